package leg

import (
	"testing"
	"time"

	"github.com/pion/rtcp"

	"rendezvous/mixer/audio"
	"rendezvous/mixer/ladder"
)

// Sound that is mixed and a picture that is composed at one time are said to be captured at one time, however long
// encoding and queues take after.
func TestReportsSayWhenThingsWereCaptured(t *testing.T) {
	start := time.Unix(1000, 0)
	now := start
	l := New(Config{Now: func() time.Time { return now }})
	sound, video := newFake(), newFake()
	for _, m := range []Media{
		{Kind: Audio, Transport: sound, Send: opus, SSRC: 1},
		{Kind: Video, Transport: video, Send: h264, SSRC: 2, Congestion: controlled(1e6)},
	} {
		if _, err := l.Attach(m); err != nil {
			t.Fatal(err)
		}
	}
	l.sender.close() // its work is done below
	l.Port().Enter(testRungs, nil)
	type sr struct {
		rtp uint32
		at  time.Time
	}
	report := func(f *fake) (r *rtcp.SenderReport) {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, p := range f.rtcp {
			if x, ok := p.(*rtcp.SenderReport); ok {
				r = x
			}
		}
		return r
	}
	var heard, seen sr // a packet each, and when it was captured
	for tick := range 150 {
		now = start.Add(time.Duration(tick) * 20 * time.Millisecond)
		captured := now
		l.Port().WritePacket(audio.Packet{Payload: []byte{0x78, 1}, Samples: audio.FrameSamples}, l.Port().Format())
		if tick%2 == 0 {
			u := unit(ladder.H264, l.view.target, tick == 0, uint32(tick)*1800, 3)
			u.Number = uint32(tick)/2 + 1
			u.At = captured
			now = now.Add(time.Duration(5+tick%7*5) * time.Millisecond) // of encoding
			l.Port().Watching(nil)
			l.Port().WriteUnit(u)
		}
		if p, ok := l.sender.sound.pop(); ok {
			l.sender.sendSound(p)
			out := sound.take()
			heard = sr{out[0].header.Timestamp, captured}
		}
		for wait := l.sender.sendPictures(now); wait > 0; wait = l.sender.sendPictures(now) {
			now = now.Add(wait)
		}
		if out := video.take(); len(out) > 0 {
			seen = sr{out[0].header.Timestamp, captured}
		}
	}
	for _, x := range []struct {
		name string
		f    *fake
		rate int
		sr   sr
	}{{"sound", sound, 48000, heard}, {"picture", video, 90000, seen}} {
		r := report(x.f)
		if r == nil {
			t.Fatalf("%s: no report", x.name)
		}
		// Where the report puts the packet, against when it was captured.
		ntp := time.Duration(r.NTPTime>>32)*time.Second + time.Duration((r.NTPTime&0xffffffff)*uint64(time.Second)>>32)
		said := ntp + time.Duration(int32(x.sr.rtp-r.RTPTime))*time.Second/time.Duration(x.rate)
		want := time.Duration(x.sr.at.Unix()+2_208_988_800)*time.Second + time.Duration(x.sr.at.Nanosecond())
		if off := said - want; off > 3*time.Millisecond || off < -3*time.Millisecond {
			t.Errorf("%s: said to be captured %v later than it was", x.name, off)
		}
		if r.PacketCount == 0 || r.OctetCount == 0 {
			t.Errorf("%s: %d packets, %d octets", x.name, r.PacketCount, r.OctetCount)
		}
	}
	sound.close()
	video.close()
	l.Close()
}

// The round trip is known from what the caller's reports give back of ours, whatever the time of day does.
func TestRoundTripIsLearnedFromReports(t *testing.T) {
	start := time.Unix(1000, 0)
	var r roundTrips
	for i := range 40 {
		at := start.Add(time.Duration(i) * time.Second)
		ntp := toNTP(at)
		r.sending(ntp, at)
		kept := 300 * time.Millisecond
		block := rtcp.ReceptionReport{LastSenderReport: uint32(ntp >> 16), Delay: uint32(kept * 65536 / time.Second)}
		r.answered(block, at.Add(kept+80*time.Millisecond))
		r.answered(rtcp.ReceptionReport{}, at) // who has had none yet
		block.LastSenderReport++               // of somebody else
		r.answered(block, at)
	}
	if got := r.value(); got < 79*time.Millisecond || got > 81*time.Millisecond {
		t.Errorf("a round trip of 80 ms is taken for %v", got)
	}
}

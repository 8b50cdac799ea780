package leg

import (
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"rendezvous/mixer/audio"
)

// FuzzPackets gives a leg in a mix whatever a peer may send: b is cut into packets by their
// first byte, to the picture, the sound and the reports in turn.
func FuzzPackets(f *testing.F) {
	f.Add([]byte("\x14\x80\x60\x00\x01\x00\x00\x00\x0a\x00\x00\x00\x05\x67\x42\xe0\x1f\xda\x02\x80\xbf\xe5"))
	f.Add([]byte("\x0d\x80\xe1\x00\x01\x00\x00\x00\x0a\x00\x00\x00\x05\x90"))
	f.Add([]byte("\x00\x12\xb0\x6f\x00\x01\x00\x00\x00\x0a\x00\x00\x00\x05\xbe\xde\x00\x01\x10\x1e\x08\x8f\xce\x00\x05\x00\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		l := New(Config{OnDTMF: func(rune) {}})
		vs, video := attach(t, l, Media{Kind: Video, Receive: []Codec{h264, vp8, {Name: "H265", PayloadType: 98, ClockRate: 90000}}, SSRC: 1})
		as, sound := attach(t, l, Media{Kind: Audio, Receive: []Codec{opus, pcmu, {Name: "G722", PayloadType: 9, ClockRate: 8000},
			{Name: "telephone-event", PayloadType: 101, ClockRate: 8000}}, SSRC: 2, LevelExt: 1})
		l.Port().Enter(testRungs, nil)
		now := time.Unix(1000, 0)
		var packet rtp.Packet
		for i := 0; len(b) > 0; i++ {
			n := min(int(b[0]), len(b)-1)
			raw := b[1 : 1+n]
			b = b[1+n:]
			now = now.Add(7 * time.Millisecond)
			switch i % 3 {
			case 0:
				vs.receive(&packet, raw, now)
			case 1:
				as.receive(&packet, raw, now)
			case 2:
				packets, err := rtcp.Unmarshal(raw)
				vs.control(packets, err, now)
			}
			var frame audio.Frame
			l.Port().ReadFrame(&frame)
			l.Port().Watching(nil)
			if p, _ := vs.Picture(); p != nil {
				p.Release()
			}
		}
		if a := l.reports.State().Target; a < minBitrate {
			t.Errorf("%d bit/s available", a)
		}
		video.close()
		sound.close()
		l.Close()
	})
}

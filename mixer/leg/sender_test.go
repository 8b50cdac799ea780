package leg

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rendezvous/mixer/audio"
	"rendezvous/mixer/ladder"
)

// watch makes one pass of a picture clock over a leg and returns what the caller wants.
func watch(l *Leg) []ladder.Want {
	l.Port().Adapt(l.cfg.Now())
	return l.Port().Watching(nil)
}

// Pictures leave in order, paced and under one timestamp each; sound does not wait for them.
func TestSenderPaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{})
		_, video := attach(t, l, Media{Kind: Video, Send: h264, SSRC: 1, Congestion: controlled(600_000)})
		_, sound := attach(t, l, Media{Kind: Audio, Send: opus, SSRC: 2})
		l.Port().Enter(testRungs, nil)
		want := watch(l)
		if len(want) != 1 || want[0] != (ladder.Want{Codec: ladder.H264, Rung: 2, Key: true, Bitrate: pictureBudget(600_000, soundSteps[0].bitrate)}) {
			t.Fatalf("wants %+v", want)
		}
		began := time.Now()
		l.Port().WriteUnit(unit(ladder.H264, 2, true, 9000, 40)) // 381 kbit at 1.5 Mb/s: 254 ms
		time.Sleep(100 * time.Millisecond)
		l.Port().WritePacket(audio.Packet{Payload: []byte{1}, Samples: audio.FrameSamples}, l.Port().Format())
		synctest.Wait()
		if s := sound.take(); len(s) != 1 || s[0].at.Sub(began) != 100*time.Millisecond || !s[0].header.Marker {
			t.Errorf("sound: %+v", s)
		}
		time.Sleep(time.Second)
		out := video.take()
		if len(out) != 40 {
			t.Fatalf("%d packets, want 40", len(out))
		}
		for i, p := range out {
			if p.header.Timestamp != out[0].header.Timestamp || p.header.SequenceNumber != out[0].header.SequenceNumber+uint16(i) ||
				p.header.Marker != (i == 39) || p.header.PayloadType != 96 || p.header.SSRC != 1 || p.payload[ladder.MaxPayload-1] != byte(i) {
				t.Fatalf("packet %d: %+v", i, p.header)
			}
		}
		if d := out[39].at.Sub(began); d < 200*time.Millisecond || d > 260*time.Millisecond {
			t.Errorf("40 packets took %v", d)
		}
		video.close()
		sound.close()
		l.Close()
	})
}

// A transport that blocks holds up neither the mixer nor, when it is free again, the caller
// with old pictures: they go on with a key frame.
func TestSenderOverBlockedTransport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{})
		_, video := attach(t, l, Media{Kind: Video, Send: h264, SSRC: 1})
		free := make(chan struct{})
		video.write = func() error { <-free; return nil }
		l.Port().Enter(testRungs, nil)
		watch(l)
		pts := uint32(0)
		pass := func(key bool) {
			pts += 3000
			l.Port().WriteUnit(unit(ladder.H264, 0, key, pts, 1))
			time.Sleep(time.Second / 30)
		}
		pass(true)
		for range pictureQueue + 5 {
			pass(false)
		}
		if want := watch(l); len(want) != 1 || !want[0].Key {
			t.Fatalf("after an overflow they want %+v", want)
		}
		close(free)
		synctest.Wait()
		n := len(video.take())
		if n != 1 {
			t.Errorf("%d packets, want the one that was under way", n)
		}
		pass(false) // without a reference
		pass(true)
		pass(false)
		if out := video.take(); len(out) != 2 {
			t.Errorf("%d pictures, want the key frame and the one after it", len(out))
		}
		if want := watch(l); len(want) != 1 || want[0].Key {
			t.Errorf("wants %+v", want)
		}
		video.close()
		l.Close()
	})
}

// What waited too long is not sent, even if the queue did not overflow.
func TestSenderDropsStalePictures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{})
		_, video := attach(t, l, Media{Kind: Video, Send: vp8, SSRC: 1, Congestion: controlled(100_000)})
		l.Port().Enter(testRungs, nil)
		watch(l)
		// At the pace of 250 kbit/s 40 packets take 1.5 s.
		l.Port().WriteUnit(unit(ladder.VP8, 2, true, 3000, 40))
		time.Sleep(30 * time.Millisecond)
		l.Port().WriteUnit(unit(ladder.VP8, 2, false, 6000, 1))
		time.Sleep(2 * time.Second)
		if out := video.take(); len(out) != 40 {
			t.Errorf("%d packets, want 40", len(out))
		}
		if want := watch(l); len(want) != 1 || !want[0].Key {
			t.Errorf("wants %+v", want)
		}
		video.close()
		l.Close()
	})
}

// Errors of the transport end nothing.
func TestSenderOverFailingTransport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{})
		_, video := attach(t, l, Media{Kind: Video, Send: h264, SSRC: 1})
		var working atomic.Bool
		video.write = func() error {
			if !working.Load() {
				return errors.New("no route")
			}
			return nil
		}
		l.Port().Enter(testRungs, nil)
		watch(l)
		l.Port().WriteUnit(unit(ladder.H264, 0, true, 3000, 3))
		time.Sleep(time.Second)
		working.Store(true)
		second := unit(ladder.H264, 0, false, 93000, 3)
		second.Number = 2
		l.Port().WriteUnit(second)
		time.Sleep(time.Second)
		if out := video.take(); len(out) != 3 {
			t.Errorf("%d packets, want 3", len(out))
		}
		video.close()
		l.Close()
	})
}

// After a change of codec nothing of the old one is sent, and pictures begin with a key frame.
func TestUpdateChangesCodec(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{})
		vs, video := attach(t, l, Media{Kind: Video, Send: h264, SSRC: 1})
		as, sound := attach(t, l, Media{Kind: Audio, Send: opus, SSRC: 2})
		block := make(chan struct{})
		sound.write = func() error { <-block; return nil }
		l.Port().Enter(testRungs, nil)
		watch(l)
		say := func(n int) {
			for range n {
				l.Port().WritePacket(audio.Packet{Payload: []byte{1}, Samples: audio.FrameSamples}, l.Port().Format())
			}
		}
		say(3)
		synctest.Wait() // the first is being written, and the sender waits
		l.Port().WriteUnit(unit(ladder.H264, 0, true, 3000, 2))
		asked := l.Port().Format() // Opus; then the format changes before the packet comes
		vs.Update(nil, vp8)
		as.Update(nil, pcmu)
		l.Port().WritePacket(audio.Packet{Payload: []byte{1}, Samples: audio.FrameSamples}, asked)
		say(2)
		l.Port().WriteUnit(unit(ladder.H264, 0, false, 6000, 2))
		if want := watch(l); len(want) != 1 || want[0] != (ladder.Want{Codec: ladder.VP8, Rung: 0, Key: true, Bitrate: testRungs[0].Bitrate}) {
			t.Errorf("wants %+v", want)
		}
		l.Port().WriteUnit(unit(ladder.VP8, 0, false, 6000, 2)) // not yet
		l.Port().WriteUnit(unit(ladder.VP8, 0, true, 9000, 2))
		close(block)
		time.Sleep(time.Second)
		if out := sound.take(); len(out) != 3 || out[0].header.PayloadType != 111 || out[1].header.PayloadType != 0 {
			t.Errorf("sound: %+v", out)
		}
		if out := video.take(); len(out) != 2 || out[0].header.PayloadType != 97 {
			t.Errorf("pictures: %+v", out)
		}
		vs.Update(nil, Codec{}) // hold
		if want := watch(l); len(want) != 0 {
			t.Errorf("on hold they want %+v", want)
		}
		vs.Update(nil, vp8)
		if want := watch(l); len(want) != 1 || !want[0].Key {
			t.Errorf("resumed they want %+v", want)
		}
		video.close()
		sound.close()
		l.Close()
	})
}

// The timestamps of pictures go on through the rooms the caller is in, and through pauses.
func TestVideoTimestamps(t *testing.T) {
	var o outState
	o.init()
	start := time.Unix(1000, 0)
	first := o.videoTimestamp(5000, start, 1)
	for _, tt := range []struct {
		name string
		mix  uint64
		pts  uint32
		at   time.Duration
		want uint32 // after the first
	}{
		{"next", 1, 8000, 33 * time.Millisecond, 3000},
		{"late", 1, 11000, 500 * time.Millisecond, 6000},
		{"other room, clock behind", 2, 100, 600 * time.Millisecond, 6000 + 9000},
		{"its next", 2, 3100, 633 * time.Millisecond, 18000},
		{"other room, clock ahead", 3, 1<<32 - 2000, 1633 * time.Millisecond, 18000 + 90000},
		{"wrap", 3, 4000, 1700 * time.Millisecond, 114000},
		{"the same once more", 3, 4000, 1700 * time.Millisecond, 114090},
		{"after a hold of 10 s", 3, 904000, 11700 * time.Millisecond, 1014090},
		{"other room, clock half a second ahead", 4, 904000 + 45000, 11733 * time.Millisecond, 1014090 + 2970},
		{"its next, after a jump of the clock", 4, 104000, 11800 * time.Millisecond, 1014090 + 2970 + 6030},
	} {
		if got := o.videoTimestamp(tt.pts, start.Add(tt.at), tt.mix) - first; got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

// Sound's timestamps show a pause between two rooms.
func TestSoundTimestampsThroughPause(t *testing.T) {
	for _, c := range []struct {
		codec Codec
		want  uint32
	}{{opus, 51 * 960}, {pcmu, 51 * 160}} {
		synctest.Test(t, func(t *testing.T) {
			l := New(Config{})
			_, sound := attach(t, l, Media{Kind: Audio, Send: c.codec, SSRC: 2})
			say := func() {
				l.Port().WritePacket(audio.Packet{Payload: []byte{1}, Samples: audio.FrameSamples}, l.Port().Format())
				synctest.Wait()
			}
			say()
			time.Sleep(20 * time.Millisecond)
			say()
			time.Sleep(time.Second)
			say()
			out := sound.take()
			if len(out) != 3 || out[2].header.Timestamp-out[0].header.Timestamp != c.want {
				t.Errorf("%s: %+v", c.codec.Name, out)
			}
			sound.close()
			l.Close()
		})
	}
}

// A prompt that nobody will hear ends at once.
func TestPlayAfterClose(t *testing.T) {
	l := New(Config{})
	waiting := l.Play(make([]int16, 100))
	l.Close()
	<-waiting
	<-l.Play(make([]int16, 100))
	if _, err := l.Attach(Media{Kind: Audio, Transport: newFake(), Receive: []Codec{opus}}); !errors.Is(err, ErrClosed) {
		t.Errorf("attach to a closed leg: %v", err)
	}
}

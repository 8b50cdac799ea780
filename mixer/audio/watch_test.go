package audio_test

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rendezvous/mixer/audio"
)

// bursts is noise like speech: words of random lengths, with pauses.
func bursts(seed uint64) func(*audio.Frame) bool {
	r := rand.New(rand.NewPCG(seed, 9))
	left, loud := 0, 0.0
	return func(f *audio.Frame) bool {
		if left--; left <= 0 {
			left, loud = 2+r.IntN(12), 0.2*r.Float64()*r.Float64()
			if r.IntN(3) == 0 {
				loud = 0
			}
		}
		for i := range f {
			f[i] = int16(r.NormFloat64() * loud * 32768)
		}
		return loud > 0
	}
}

// What troubles the bus sees are those of the member who makes them, while it is to look for them.
func TestFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := audio.NewBus(audio.Config{})
		talker, steady, howler := newMember(t, "L16", bursts(1)), newMember(t, "L16", tone(440, 0.25)), newMember(t, "L16", tone(2100, 0.9))
		repeater := newMember(t, "L16", nil)
		const late = 13 // frames
		var past [late]audio.Frame
		n := 0
		repeater.source = func(f *audio.Frame) bool { // their microphone takes up their loudspeaker
			heard, _ := repeater.sound()
			*f = past[n%late]
			clear(past[n%late][:])
			for i := range min(len(heard), len(f)) {
				past[n%late][i] = heard[i] / 3
			}
			n++
			return true
		}
		for _, m := range []*member{talker, howler, repeater} {
			b.Add(m)
		}
		b.SetMuted(howler, true) // or nobody else is heard
		time.Sleep(15 * time.Second)
		for _, m := range []*member{talker, howler, repeater} {
			if got := b.Fault(m); got != (audio.Fault{}) {
				t.Errorf("nobody asked, and there is %+v", got)
			}
		}
		b.SetProcessing(audio.Processing{Howling: true, Echo: true})
		time.Sleep(15 * time.Second)
		if got := b.Fault(repeater); got.Echo < late*audio.FrameDuration || got.Echo > (late+2)*audio.FrameDuration || got.Howling {
			t.Errorf("the repeater: %+v", got)
		}
		b.Add(steady)
		b.SetMuted(howler, false)
		time.Sleep(3 * time.Second)
		if got := b.Fault(howler); !got.Howling || got.Echo != 0 {
			t.Errorf("the howler: %+v", got)
		}
		for name, m := range map[string]*member{"talker": talker, "steady": steady} {
			if got := b.Fault(m); got != (audio.Fault{}) {
				t.Errorf("the %s: %+v", name, got)
			}
		}
		b.SetMuted(howler, true)
		b.SetProcessing(audio.Processing{})
		time.Sleep(time.Second)
		for _, m := range []*member{talker, steady, howler, repeater} {
			if got := b.Fault(m); got != (audio.Fault{}) {
				t.Errorf("nobody asks any more, and there is %+v", got)
			}
		}
		b.Close()
	})
}

// sparing is a member who is told whether their background is wanted.
type sparing struct {
	*member
	spares atomic.Bool
}

func (s *sparing) SetSparing(on bool) { s.spares.Store(on) }

// Without the gate, background is heard, and senders' words for it are not believed.
func TestUngated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := audio.NewBus(audio.Config{})
		noisy, listener := &sparing{member: newMember(t, "L16", noise(0.003))}, newMember(t, "L16", nil) // -50 dBov
		noisy.spares.Store(true)
		b.Add(noisy)
		b.Add(listener)
		level := func() uint8 {
			time.Sleep(10 * time.Second)
			listener.sound()
			time.Sleep(time.Second)
			_, packets := listener.sound()
			return packets[len(packets)-1].Level
		}
		if got := level(); got != 127 || !noisy.spares.Load() {
			t.Errorf("gated: level %d, spares %v", got, noisy.spares.Load())
		}
		b.SetProcessing(audio.Processing{Ungated: true})
		if got := level(); got < 48 || got > 52 || noisy.spares.Load() || b.Talking(noisy) {
			t.Errorf("ungated: level %d, spares %v, talks %v", got, noisy.spares.Load(), b.Talking(noisy))
		}
		b.SetProcessing(audio.Processing{})
		if got := level(); got != 127 || !noisy.spares.Load() {
			t.Errorf("gated again: level %d, spares %v", got, noisy.spares.Load())
		}
		b.Close()
	})
}

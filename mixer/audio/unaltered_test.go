//go:build !race

// A bus's goroutine and a test that sleeps meanwhile, for minutes: nothing for the race detector that other tests of the bus do not show it.

package audio_test

import (
	"testing"
	"testing/synctest"
	"time"

	"rendezvous/mixer/audio"
	"rendezvous/mixer/audio/talk"
)

// TestSteadyTonesPassUnaltered listens for four minutes: the detector must not take a tone for a background.
func TestSteadyTonesPassUnaltered(t *testing.T) {
	for _, a := range []float64{0.05, 0.5} {
		synctest.Test(t, func(t *testing.T) {
			b := audio.NewBus(audio.Config{})
			want := tone(700, a)
			b.Add(newMember(t, "L16", tone(700, a)))
			listener := newMember(t, "L16", nil)
			b.Add(listener)
			var f audio.Frame
			want(&f)
			time.Sleep(21 * time.Millisecond)
			listener.sound() // the first frame has a ramp
			for minute := range 4 {
				time.Sleep(time.Minute)
				x, _ := listener.sound()
				if len(x) != 60*audio.SampleRate {
					t.Fatalf("heard %d samples in a minute", len(x))
				}
				for i := range x {
					if i%audio.FrameSamples == 0 {
						want(&f)
					}
					if x[i] != f[i%audio.FrameSamples] {
						t.Fatalf("amplitude %v, minute %d: sample %d is %d, want %d", a, minute, i, x[i], f[i%audio.FrameSamples])
					}
				}
			}
			b.Close()
		})
	}
}

// TestQuietSpeechIsNotLost speaks at a tenth of the usual loudness over a faint background.
func TestQuietSpeechIsNotLost(t *testing.T) {
	voice := speech(t, pangram, 0.03)
	hiss := noise(0.0003) // -70 dBov
	var f audio.Frame
	for i := range voice {
		if i%960 == 0 {
			hiss(&f)
		}
		voice[i] += f[i%960]
	}
	synctest.Test(t, func(t *testing.T) {
		b := audio.NewBus(audio.Config{})
		b.Add(newMember(t, "L16", clip(voice)))
		listener := newMember(t, "L16", nil)
		b.Add(listener)
		time.Sleep(time.Minute)
		x, _ := listener.sound()
		b.Close()
		source := clip(voice)
		var spoken, lost, total float64
		for i := 0; i < len(x); i += 960 {
			source(&f)
			for j, v := range f {
				e := float64(v) * float64(v)
				d := float64(int(v) - int(x[i+j]))
				total += e
				lost += d * d
			}
			if l := talk.Level(f[:]); l > -55 {
				spoken++
			}
		}
		t.Logf("%.0f frames of speech of %d; %.4f %% of the energy lost", spoken, len(x)/960, 100*lost/total)
		if lost > 0.003*total {
			t.Errorf("%.2f %% of quiet speech is lost", 100*lost/total)
		}
	})
}

package audio_test

import (
	"testing"
	"testing/synctest"
	"time"

	"rendezvous/mixer/audio"
)

func TestEverybodyHearsTheOthersAndNotHimself(t *testing.T) {
	for _, codecName := range []string{"opus", "G722", "PCMU", "PCMA"} {
		t.Run(codecName, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := audio.NewBus(audio.Config{})
				low, high := newMember(t, codecName, tone(500, 0.2)), newMember(t, codecName, tone(1300, 0.1))
				listener, recorder := newMember(t, codecName, nil), newMember(t, codecName, nil)
				for _, m := range []*member{low, high, listener, recorder} {
					b.Add(m)
				}
				time.Sleep(2*time.Second + time.Millisecond)
				b.Close()
				for _, c := range []struct {
					name      string
					m         *member
					low, high float64 // amplitudes expected
				}{
					{"low", low, 0, 0.1},
					{"high", high, 0.2, 0},
					{"listener", listener, 0.2, 0.1},
					{"recorder", recorder, 0.2, 0.1},
				} {
					x, packets := c.m.sound()
					if len(packets) != 100 {
						t.Errorf("%s got %d packets in 2 s", c.name, len(packets))
					}
					x = x[len(x)/2:]
					for _, f := range []struct{ hertz, want float64 }{{500, c.low}, {1300, c.high}} {
						got := amplitude(x, f.hertz)
						switch {
						case f.want == 0 && decibels(got/0.2) > -40:
							t.Errorf("%s hears himself at %.0f Hz: %.1f dB", c.name, f.hertz, decibels(got/0.2))
						case f.want > 0 && (got < 0.85*f.want || got > 1.15*f.want):
							t.Errorf("%s hears %.0f Hz with amplitude %.3f, want %.3f", c.name, f.hertz, got, f.want)
						}
					}
				}
			})
		})
	}
}

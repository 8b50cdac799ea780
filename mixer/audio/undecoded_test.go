//go:build !race

// One goroutine, and minutes of sound: nothing for the race detector. The helpers of a bus, which so few members do not call, have TestManyMembers.

package audio_test

import (
	"math"
	"testing"

	"rendezvous/mixer/audio"
	"rendezvous/mixer/audio/talk"
)

// heard is what others hear of whoever sends this, 48 kHz mono, and what is said of how loud they are, each 20 ms.
func (s script) heard(t testing.TB, sparing bool) (x []int16, levels []uint8, undecoded uint64) {
	r := newRoom()
	defer r.close()
	r.add(s, 1)
	sender := r.legs[0]
	sender.receiver.SetSparing(sparing)
	listener := newMember(t, "L16", nil)
	r.bus.AddStill(listener)
	for range s.span {
		r.step()
		levels = append(levels, r.bus.Level(sender))
	}
	x, _ = listener.sound()
	return x, levels, sender.receiver.Stats().Undecoded
}

// words begin with all kinds of sounds.
func words(t testing.TB) (said [][]int16) {
	for _, word := range []string{"Hello.", "Four of them.", "She does.", "Okay.", "Maybe."} {
		x := speech(t, word, 1)
		for len(x) > 480 && talk.Level(x[:480]) < -60 {
			x = x[480:]
		}
		said = append(said, x)
	}
	return said
}

// utterances are words over a background, with pauses between them that are longer than hang-over, and of each frame how loud the
// voice in it is.
func utterances(words [][]int16, peak float64, background func(*audio.Frame) bool) (x []int16, voice []float64) {
	x = make([]int16, 5*audio.SampleRate)
	for i, word := range words {
		for _, v := range word {
			x = append(x, int16(peak*float64(v)))
		}
		x = append(x, make([]int16, audio.SampleRate*5/4-137*i)...)
	}
	x = x[:len(x)/audio.FrameSamples*audio.FrameSamples]
	for i := 0; i < len(x); i += audio.FrameSamples {
		voice = append(voice, talk.Level(x[i:i+audio.FrameSamples]))
		var f audio.Frame
		background(&f)
		for k, v := range f {
			x[i+k] += v
		}
	}
	return x, voice
}

// step is the largest difference of two samples in a row.
func step(x []int16) int {
	most := 0
	for i := 1; i < len(x); i++ {
		d := int(x[i]) - int(x[i-1])
		most = max(most, d, -d)
	}
	return most
}

// TestNobodyWhoSpeaksIsMissed compares what is heard of callers without levels, whose background is not decoded, with what is heard where
// everything is.
func TestNobodyWhoSpeaksIsMissed(t *testing.T) {
	words, others := words(t), speech(t, pangram, 0.01)
	for _, o := range opusSenders {
		for _, c := range []struct {
			name       string
			peak       float64
			background func() func(*audio.Frame) bool
			undecoded  int // percent, at least
		}{
			{"loud", 0.5, func() func(*audio.Frame) bool { return noise(0.0003) }, 30},
			{"very softly", 0.015, func() func(*audio.Frame) bool { return noise(0.0003) }, 30},
			{"in noise", 0.1, func() func(*audio.Frame) bool { return noise(0.003) }, 1}, // which is learned for 4 s
			{"with a hum", 0.1, func() func(*audio.Frame) bool { return tone(150, 0.003) }, 0},
			{"among others", 0.3, func() func(*audio.Frame) bool { return clip(others) }, 0},
		} {
			t.Run(o.name+"/"+c.name, func(t *testing.T) {
				x, voice := utterances(words, c.peak, c.background())
				s := o.record(t, x)
				want, levels, _ := s.heard(t, false)
				got, told, undecoded := s.heard(t, true)
				if share := int(undecoded) * 100 / len(s.packets); share < c.undecoded {
					t.Errorf("%d %% undecoded", share)
				}
				most := 1 // frames
				if o.calm {
					most = 2
				}
				const delay = 4 // frames that a voice takes at most
				missing, silent, wrong, extra := 0, 0, 0, 0
				for i := delay; i < s.span; i++ {
					a, b := i*audio.FrameSamples, (i+1)*audio.FrameSamples
					w, g := talk.Level(want[a:b]), talk.Level(got[a:b])
					speaks := false
					for _, v := range voice[i-delay : i] {
						speaks = speaks || v > -58
					}
					if !speaks {
						missing = 0
					}
					if speaks && w > -60 && g < w-6 {
						missing++
						silent++
						if missing > most {
							t.Errorf("at %d ms nobody hears what is said, at %.1f dBov", i*20, w)
						}
					}
					if g > -60 && w < g-6 {
						extra++
					}
					if d := int(levels[i]) - int(told[i]); i > 30 && (d > 6 || d < -6) {
						wrong++
					}
				}
				if extra > s.span/20 {
					t.Errorf("%d frames of background are heard", extra)
				}
				if wrong > 10 {
					t.Errorf("%d frames are said to be louder or softer than they are", wrong)
				}
				if w, g := step(want), step(got); g > w+w/4+100 {
					t.Errorf("a step of %d in the sound: a click? %d where everything is decoded", g, w)
				}
				t.Logf("%d of %d packets undecoded, %d frames of speech missing", undecoded, len(s.packets), silent)
			})
		}
	}
}

// TestMusicOnHoldIsHeard has callers without levels begin to play what no encoder takes for a voice.
func TestMusicOnHoldIsHeard(t *testing.T) {
	chord := func() func(*audio.Frame) bool {
		notes := []func(*audio.Frame) bool{tone(262, 0.02), tone(330, 0.02), tone(392, 0.02)}
		return func(f *audio.Frame) bool {
			var sum, note audio.Frame
			for _, n := range notes {
				n(&note)
				for i, v := range note {
					sum[i] += v
				}
			}
			*f = sum
			return true
		}
	}
	for _, o := range opusSenders {
		for name, music := range map[string]func(*audio.Frame) bool{"tone": tone(440, 0.02), "chord": chord(), "hiss": noise(0.01)} {
			t.Run(o.name+"/"+name, func(t *testing.T) {
				const begins = 300
				var x []int16
				quiet := noise(0.0001)
				for i := range 500 {
					var f, g audio.Frame
					quiet(&f)
					if i >= begins {
						music(&g)
						for k, v := range g {
							f[k] += v
						}
					}
					x = append(x, f[:]...)
				}
				s := o.record(t, x)
				want, _, _ := s.heard(t, false)
				got, _, _ := s.heard(t, true)
				first := func(x []int16) int {
					for i := begins - 5; i < s.span; i++ {
						if talk.Level(x[i*audio.FrameSamples:(i+1)*audio.FrameSamples]) > -45 {
							return i
						}
					}
					return s.span
				}
				if late := first(got) - first(want); late > 2 {
					t.Errorf("heard %d ms late", 20*late)
				}
				for i := begins + 20; i < s.span; i++ {
					a, b := i*audio.FrameSamples, (i+1)*audio.FrameSamples
					if w, g := talk.Level(want[a:b]), talk.Level(got[a:b]); g < w-6 {
						t.Fatalf("%d ms after it began it is at %.1f dBov, and not at %.1f", (i-begins)*20, g, w)
					}
				}
			})
		}
	}
}

// TestFaultsAreFoundInWhatWasUndecoded compares when a howl that grows out of the background and an echo of the meeting are found where
// background is decoded and where it is not.
func TestFaultsAreFoundInWhatWasUndecoded(t *testing.T) {
	voice := speech(t, pangram, 0.4)
	voice = append(append(voice, voice...), voice...)
	background := func(n int) []int16 {
		quiet, x := noise(0.0003), []int16(nil)
		for range n / audio.FrameSamples {
			var f audio.Frame
			quiet(&f)
			x = append(x, f[:]...)
		}
		return x
	}
	echo := background(len(voice))
	for i := range echo[15*audio.FrameSamples:] {
		echo[i+15*audio.FrameSamples] += voice[i] / 8
	}
	howl := background(12 * audio.SampleRate)
	amplitude := 3.0
	for i := 5 * audio.SampleRate; i < len(howl); i++ {
		howl[i] += int16(amplitude * math.Sin(2*math.Pi*1000*float64(i)/audio.SampleRate))
		amplitude = min(20000, amplitude*math.Pow(10, 0.4/20/audio.FrameSamples)) // by 20 dB a second
	}
	for _, o := range []opusSender{opusSenders[0], opusSenders[len(opusSenders)-1]} {
		t.Run(o.name, func(t *testing.T) {
			for _, c := range []struct {
				name  string
				other []int16
				x     []int16
				is    func(audio.Fault) bool
			}{
				{"howl", nil, howl, func(f audio.Fault) bool { return f.Howling }},
				{"echo", voice, echo, func(f audio.Fault) bool { return f.Echo > 0 }},
			} {
				s := o.record(t, c.x)
				found := func(sparing bool) int {
					r := newRoom()
					defer r.close()
					r.bus.SetProcessing(audio.Processing{Howling: true, Echo: true})
					r.add(s, 1)
					suspect := r.legs[0]
					suspect.receiver.SetSparing(sparing)
					if c.other != nil {
						r.add(o.record(t, c.other), 1)
					}
					for i := range s.span {
						r.step()
						if c.is(r.bus.Fault(suspect)) {
							return i
						}
					}
					return -1
				}
				whole, sparing := found(false), found(true)
				if whole < 0 || sparing < 0 || sparing > whole+25 {
					t.Errorf("%s found at frame %d where all is decoded, and else at %d", c.name, whole, sparing)
				}
				t.Logf("%s: frame %d, %d", c.name, whole, sparing)
			}
		})
	}
}

package gate_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"rendezvous/internal/speech"
	"rendezvous/mixer/audio/gate"
	"rendezvous/mixer/audio/talk"
)

const frame = 960 // samples of 20 ms

func dB(v float64) float64 { return math.Pow(10, v/20) }

// pass sends sound through a gate as the bus does, and returns what comes out.
func pass(pcm []int16, onset func([]int16) float64) []int16 {
	d := talk.New(talk.Mixing)
	var s gate.Slope
	out := make([]int16, len(pcm))
	for at := 0; at+frame <= len(pcm); at += frame {
		f := out[at : at+frame]
		copy(f, pcm[at:])
		level := talk.Level(f)
		if s.Closed() {
			level = onset(f)
		}
		if open := d.Update(level); open || !s.Closed() {
			s.Apply(f, open)
		} else {
			clear(f)
		}
	}
	return out
}

// Speech in a noisy room passes from the first sound of each sentence; the noise between does not.
func TestSpeechPassesAndNoiseDoesNot(t *testing.T) {
	e, err := speech.New("en")
	if err != nil {
		t.Fatalf("this test needs the Debian package espeak-ng: %v", err)
	}
	for _, noise := range []float64{-70, -62, -54} {
		r := rand.New(rand.NewPCG(1, 2))
		room := func(n int) []int16 {
			pcm := make([]int16, n)
			for i := range pcm {
				pcm[i] = int16(32768 * dB(noise) * r.NormFloat64())
			}
			return pcm
		}
		pcm := room(10 * 48000)
		clean := make([]int16, len(pcm))
		for i, sentence := range []string{"Hello, who is there?", "Fine. So let us start.", "She has seven of them.", "For whom?", "Some ships sank."} {
			said, err := e.Speak(t.Context(), sentence)
			if err != nil {
				t.Fatal(err)
			}
			for len(said) > 0 && said[0] > -20 && said[0] < 20 { // espeak-ng's own silence
				said = said[1:]
			}
			pause := room(5*48000 + 311*i) // sentences begin anywhere in a frame
			pcm, clean = append(pcm, pause...), append(clean, make([]int16, len(pause))...)
			words := room(len(said))
			for i := range words {
				words[i] = int16(max(-32768, min(32767, int(words[i])+int(said[i])/3)))
				said[i] /= 3
			}
			pcm, clean = append(pcm, words...), append(clean, said...)
		}
		out := pass(pcm, gate.Onset)
		plain := pass(pcm, talk.Level)
		const block = 240 // 5 ms
		var spoken, lost, lostPlain int
		var held, still float64
		for at := 10 * 48000; at+block <= len(out); at += block {
			l := talk.Level(clean[at : at+block])
			kept := func(of []int16) bool { return talk.Level(of[at:at+block]) > l-3 }
			switch {
			case l > noise+12 && l > -55: // more than the room's noise
				spoken++
				if !kept(out) {
					lost++
				}
				if !kept(plain) {
					lostPlain++
				}
			case l == talk.Silence && at+block < len(out):
				still++
				if talk.Level(out[at:at+block]) == talk.Silence {
					held++
				}
			}
		}
		t.Logf("noise of %.0f dBov: %d of %d pieces of speech lost (%d without the look at 5 ms), %.0f %% of the pauses silent",
			noise, lost, spoken, lostPlain, 100*held/still)
		if lost > 5 || lost > lostPlain {
			t.Errorf("noise of %.0f dBov: %d of %d pieces of 5 ms of speech are lost", noise, lost, spoken)
		}
		if held < 0.7*still { // the gate stays open for 0.6 s after a word
			t.Errorf("noise of %.0f dBov: in %.0f %% of the pauses something is heard", noise, 100-100*held/still)
		}
	}
}

// Where a gate closes, the sound falls without a step, and where it opens it is there in 5 ms.
func TestSlope(t *testing.T) {
	var s gate.Slope
	constant := func(open bool) []int16 {
		f := make([]int16, frame)
		for i := range f {
			f[i] = 10000
		}
		s.Apply(f, open)
		return f
	}
	f := constant(true)
	if f[0] != 0 || f[239] < 9900 || f[240] != 10000 || f[959] != 10000 {
		t.Errorf("opening: %d … %d %d … %d", f[0], f[239], f[240], f[959])
	}
	last, frames := int16(10000), 0
	for ; !s.Closed(); frames++ {
		for _, v := range constant(false) {
			if v > last || last-v > 10 {
				t.Fatalf("frame %d: %d follows %d", frames, v, last)
			}
			last = v
		}
	}
	if frames != 10 || last > 10 {
		t.Errorf("closed after %d frames, the last sample is %d", frames, last)
	}
	constant(true)
	constant(false)
	if f := constant(true); f[0] != 9000 || f[240] != 10000 { // opened again on the way
		t.Errorf("opening again: %d … %d", f[0], f[240])
	}
}

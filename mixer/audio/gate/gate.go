// Package gate keeps a microphone's background out of the mix without being noticed: the
// frame in which a word begins passes whole, and what is shut out fades away slowly. Whether
// there is a word is talk.Detector's to say.
package gate

import "rendezvous/mixer/audio/talk"

const (
	parts   = 4   // that Onset looks at
	rise    = 240 // samples of 48 kHz in which the gain rises to 1: 5 ms
	release = 10  // frames of 20 ms in which it falls to 0
)

// Open are the parameters of a detector that holds nothing back but what nobody can hear, for a gate that is
// not wanted.
var Open = talk.Parameters{Least: -80, Surely: -80}

// Onset is the level in dBov of the loudest 5 ms of a frame. A closed gate that goes by it opens
// for a word that begins at the very end of a frame, and lets pass what came before it in
// that frame, which costs no delay.
func Onset(pcm []int16) float64 {
	loudest := talk.Silence
	for i := range parts {
		loudest = max(loudest, talk.Level(pcm[i*len(pcm)/parts:(i+1)*len(pcm)/parts]))
	}
	return loudest
}

// Slope is the gain with which a member is mixed. The zero Slope is closed.
type Slope struct {
	gain float32 // at the end of the last frame
}

// Closed reports whether nothing is let through any more.
func (s *Slope) Closed() bool { return s.gain == 0 }

// Cut closes it at once.
func (s *Slope) Cut() { s.gain = 0 }

// Apply gives a frame the gain it is to have, on its way to 1 or to 0.
func (s *Slope) Apply(pcm []int16, open bool) {
	from, to, ramp := s.gain, float32(1), rise
	if !open {
		to, ramp = max(0, from-1./release), len(pcm)
		if to < 0.5/release { // sums of tenths
			to = 0
		}
	}
	s.gain = to
	if from == to {
		return
	}
	step := (to - from) / float32(ramp)
	for i := range pcm[:ramp] {
		pcm[i] = int16(float32(pcm[i]) * (from + step*float32(i)))
	}
}

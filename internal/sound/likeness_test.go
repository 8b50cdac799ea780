package sound

import (
	"math/rand/v2"
	"testing"
)

// A phrase is known although it stutters, and another is not.
func TestSaid(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	phrase := func() []int16 { // noise below 1 kHz, in syllables of 200 ms
		out, v := make([]int16, 2*48000), 0.0
		for i := range out {
			v += (r.NormFloat64()*8000 - v) / 16
			out[i] = int16(v)
		}
		return out
	}
	said, other := phrase(), phrase()
	var heard []float32
	for i := 0; i < len(said); i += 16000 { // a third of a second, and 20 ms that are missing or too many
		for _, v := range said[i:min(len(said), i+16000)] {
			heard = append(heard, float32(v)/32768)
		}
		heard = append(heard, make([]float32, 960)...)
	}
	heard = append(make([]float32, 30000), heard...)
	if whole, share := Likeness(heard, said), Said(heard, said); share < 0.5 || whole > 0.5 {
		t.Errorf("of what was said with stutters, %.2f was heard; as a whole %.2f", share, whole)
	}
	if share := Said(heard, other); share > 0.1 {
		t.Errorf("of something else, %.2f was heard", share)
	}
}

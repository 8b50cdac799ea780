package conference

import "slices"

const (
	silence    = 127 // -dBov
	voiceLevel = 70  // -dBov: fainter than that is not taken for speech
	noiseLevel = 50  // -dBov: sound that never falls below this is noise
	noiseSpan  = 40  // observations, one each infoInterval
)

// noiseMeter tells noise from speech by its pauses: somebody who speaks falls
// silent between words and sentences, a fan, a street or a howling loop does not.
type noiseMeter struct {
	levels [noiseSpan]uint8
	n      int // observations so far
}

func (m *noiseMeter) add(level uint8) {
	m.levels[m.n%noiseSpan] = level
	m.n++
}

// noisy reports whether in the last seconds less than a tenth was quiet.
func (m *noiseMeter) noisy() bool {
	if m.n < noiseSpan {
		return false
	}
	sorted := m.levels
	slices.Sort(sorted[:])
	return sorted[noiseSpan*9/10] < noiseLevel
}

package howl

import "math"

const (
	// A tone counts from faintest on. It howls when it has been there for enough frames of 20 ms that
	// were louder than full, or for enough frames of which the last is louder than grown and has risen
	// by rise dB that took at least rising frames: a tone that is switched on rises at once.
	faintest = -45.0 // dBov
	full     = -9.0  // dBov: a sine at half of full scale
	grown    = -13.0 // dBov
	rise     = 10.0  // dB
	rising   = 10    // frames
	enough   = 50    // frames

	// A frame without the tone takes so many frames with it away: there is loss on the way, and others speak.
	otherwise, silence = 2, 3

	purity = 0.65 // of a frame's power that its strongest tone must have; a clipped sine has 0.81
	crest  = 3.0  // peak by root mean square, at most; of a sine 1.41
	drift  = 0.04 // by which a tone may change its frequency: jitter buffers shorten and lengthen the loop
	follow = 0.2  // of a change
)

// Detector follows the sound of one microphone. The zero Detector has heard nothing. It is
// for one goroutine.
type Detector struct {
	hz          float64 // of the tone; 0: none
	there, loud int     // frames with it, and with it louder than full, less those that count against it
	age         int     // frames since it began
	first       float64 // dBov: its least
	began, rose int     // the age at which it began to rise and had risen; 0: not yet
}

// Add takes the next 20 ms of 48 kHz sound and its level in dBov, and reports whether it howls now.
func (d *Detector) Add(pcm []int16, level float64) bool {
	d.age++
	hz := 0.0
	if level > faintest && pointed(pcm, level) {
		hz = tone(pcm)
	}
	if hz == 0 || d.hz != 0 && math.Abs(hz-d.hz) > drift*d.hz {
		against := otherwise
		if level <= faintest {
			against = silence
		}
		d.loud = max(0, d.loud-against)
		if d.there -= against; d.there <= 0 {
			*d = Detector{}
		}
		return false
	}
	if d.hz == 0 {
		*d = Detector{hz: hz, first: level, age: 1}
	}
	d.hz += follow * (hz - d.hz)
	d.there = min(d.there+1, 2*enough)
	if level > full {
		d.loud = min(d.loud+1, 2*enough)
	} else {
		d.loud = max(0, d.loud-1)
	}
	d.first = min(d.first, level)
	if d.began == 0 && level > d.first+2 {
		d.began = d.age
	}
	if d.rose == 0 && level > d.first+rise {
		d.rose = d.age
	}
	return d.loud >= enough || d.there >= enough && level > grown && d.rose-d.began >= rising
}

// Reset forgets what was heard.
func (d *Detector) Reset() { *d = Detector{} }

// pointed rules out at little cost most of what is no lone tone: its peaks are higher.
func pointed(pcm []int16, level float64) bool {
	var peak int
	for _, v := range pcm {
		peak = max(peak, int(v), -int(v))
	}
	return float64(peak) < crest*32768*math.Pow(10, level/20)
}

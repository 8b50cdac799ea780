package howl

import "math"

const (
	// A tone counts from faintest on. It howls when it has lasted for lasting frames of 20 ms, and
	// either has been louder than full for as long, or is louder than grown and has risen by rise dB
	// that took at least rising frames: a tone that is switched on rises at once.
	faintest = -45.0 // dBov
	full     = -9.0  // dBov: a sine at half of full scale
	grown    = -13.0 // dBov
	rise     = 10.0  // dB
	rising   = 10    // frames
	lasting  = 50    // frames

	purity    = 0.75 // of a frame's power that its strongest tone must have; a clipped sine has 0.81
	crest     = 2.5  // peak by root mean square, at most; of a sine 1.41
	drift     = 0.01 // by which a tone may change its frequency from frame to frame…
	leastHz   = 4.0  // …or so much
	forgiving = 3    // frames in a row without the tone that do not end it: loss, somebody's word
)

// Detector follows the sound of one microphone. The zero Detector has heard nothing. It is
// for one goroutine.
type Detector struct {
	hz      float64 // of the tone; 0: none
	frames  int     // that it has lasted
	missing int     // frames in a row without it
	loud    int     // frames that it has been louder than full
	first   float64 // dBov at its beginning
	began   int     // the frame in which it began to rise, of frames; 0: not yet
	rose    int     // the frame in which it had risen; 0: not yet
}

// Add takes the next 20 ms of 48 kHz sound and its level in dBov, and reports whether it howls now.
func (d *Detector) Add(pcm []int16, level float64) bool {
	hz := 0.0
	if level > faintest && pointed(pcm, level) {
		hz = tone(pcm)
	}
	if hz == 0 || d.hz != 0 && math.Abs(hz-d.hz) > max(leastHz, drift*d.hz) {
		if d.missing++; d.missing > forgiving {
			*d = Detector{}
		}
		return false
	}
	if d.hz == 0 {
		*d = Detector{first: level}
	}
	d.hz, d.missing = hz, 0
	d.frames++
	d.first = min(d.first, level)
	if level > full {
		d.loud++
	} else {
		d.loud = 0
	}
	if d.began == 0 && level > d.first+2 {
		d.began = d.frames
	}
	if d.rose == 0 && level > d.first+rise {
		d.rose = d.frames
	}
	return d.loud >= lasting || d.frames >= lasting && level > grown && d.rose-d.began >= rising
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

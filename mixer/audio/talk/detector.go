// Package talk judges from the loudness of 20 ms frames whether somebody talks.
package talk

import "math"

// Silence is the level of silence in dBov, the least that is told apart.
const Silence = -127.0

// Parameters of a Detector, levels in dB and dBov (0 is a full-scale square wave).
type Parameters struct {
	Margin  float64 // a talker is this much above their background
	Least   float64 // a frame below is never talk
	Surely  float64 // a frame above always is: a loud steady tone is never learned away as background
	Hang    int     // frames that a talker stays one after their last loud frame
	Settled int     // loud frames in a row that make talk of a noise
}

// Mixing are the parameters by which the bus gates its members: nothing but a
// background is held back, quiet speech passes.
var Mixing = Parameters{Margin: 8, Least: -58, Surely: -40, Hang: 30, Settled: 4}

// Decoding are more generous: by the levels in packet headers they choose what need not be decoded,
// so they must let through whatever Mixing might.
var Decoding = Parameters{Margin: 5, Least: -64, Surely: -46, Hang: 40, Settled: 1}

// The background is the least smoothed level of the last 4 s: speech pauses more often than that.
const (
	buckets      = 8
	bucketFrames = 25
	smoothing    = 0.3
	relief       = 3 // dB by which a talker may fall below the level that made them one
)

// Detector follows one member. Use it from one goroutine.
type Detector struct {
	p Parameters

	mins     [buckets]float64
	bucket   int
	inBucket int
	smooth   float64

	left  int // frames of hang-over left; open while above 0
	loud  int // loud frames in a row
	known bool
}

// New returns a detector that has heard nothing.
func New(p Parameters) *Detector { return &Detector{p: p} }

// Update takes the level of the next frame in dBov and reports whether the member is to be heard.
func (d *Detector) Update(level float64) bool {
	if level > d.threshold() || d.left > 0 && level > d.threshold()-relief {
		d.left = d.p.Hang
		d.loud++
	} else {
		d.left = max(0, d.left-1)
		d.loud = 0
	}
	d.learn(level)
	return d.left > 0
}

// Talking reports whether what is heard has lasted long enough to be called talk.
func (d *Detector) Talking(before bool) bool {
	return d.left > 0 && (before || d.loud >= d.p.Settled)
}

func (d *Detector) threshold() float64 {
	if !d.known {
		return d.p.Least
	}
	floor := d.mins[0]
	for _, v := range d.mins[1:] {
		floor = min(floor, v)
	}
	return min(max(floor+d.p.Margin, d.p.Least), d.p.Surely)
}

func (d *Detector) learn(level float64) {
	if !d.known {
		// Until a full memory has passed the background counts as silent: whoever joins talking is heard.
		for i := range d.mins {
			d.mins[i] = Silence
		}
		d.known, d.smooth = true, level
		d.mins[0] = level
	}
	d.smooth += smoothing * (level - d.smooth)
	d.mins[d.bucket] = min(d.mins[d.bucket], d.smooth)
	if d.inBucket++; d.inBucket == bucketFrames {
		d.inBucket = 0
		d.bucket = (d.bucket + 1) % buckets
		d.mins[d.bucket] = d.smooth
	}
}

// Level is the loudness of a frame of 16 bit sound in dBov, Silence to 0.
func Level(x []int16) float64 {
	var sum int64
	for _, v := range x {
		sum += int64(v) * int64(v)
	}
	return levelOf(float64(sum), len(x))
}

// levelOf is the level of n samples with the given sum of squares.
func levelOf(squares float64, n int) float64 {
	if squares == 0 || n == 0 {
		return Silence
	}
	return max(Silence, min(0, 10*math.Log10(squares/float64(n)/(32768*32768))))
}

// Header is a level as RFC 6464 and RFC 6465 write it: -dBov, 0..127.
func Header(level float64) uint8 { return uint8(math.Round(-level)) }

package echo

import (
	"math"
	"time"
)

const (
	frame = 20 * time.Millisecond

	window  = 200 // frames that are compared: 4 s
	nearest = 3   // frames that an echo is late, at least…
	latest  = 45  // …and at most: 60 to 900 ms, with the callers' jitter buffers
	ahead   = 5   // frames by which somebody may be early who is in the same room as the talker
	every   = 25  // frames from one comparison to the next

	least     = -60.0 // dBov: fainter sound is as good as none
	liveliest = 5.0   // dB of standard deviation that both must have: a steady sound says nothing
	alike     = 0.8   // correlation of the two
	times     = 4     // comparisons in a row, 1.5 s more, that must agree on the delay

	kept = window + ahead + latest
)

// Detector follows one caller. The zero Detector has heard nothing. It is for one goroutine.
type Detector struct {
	sent, back [kept]float32 // dBov, the newest at n-1
	n          int           // frames so far
	wait       int           // frames until the next comparison

	late  int // frames, by the last comparison
	agree int // comparisons in a row that gave that
}

// Add takes the loudness in dBov of what the caller was just sent and of what just came from them,
// and returns how late they repeat it; 0: they do not, or it cannot be told.
func (d *Detector) Add(sent, back float64) time.Duration {
	d.sent[d.n%kept] = float32(max(least, sent))
	d.back[d.n%kept] = float32(max(least, back))
	d.n++
	if d.wait++; d.wait >= every && d.n >= kept {
		d.wait = 0
		late, c := d.compare()
		switch {
		case c < alike:
			d.agree = 0
		case d.agree > 0 && late >= d.late-1 && late <= d.late+1:
			d.agree++
		default:
			d.agree = 1
		}
		d.late = late
	}
	if d.agree < times {
		return 0
	}
	return time.Duration(d.late) * frame
}

// Reset forgets what was heard.
func (d *Detector) Reset() { *d = Detector{} }

// compare finds the delay at which the two are most alike, and their correlation there. Where the
// two are most alike without a delay, the microphone takes up the voice itself and not the meeting.
func (d *Detector) compare() (late int, best float64) {
	var back [window]float64
	mean, spread := d.stretch(d.back[:], ahead, &back)
	if spread < liveliest || mean <= least {
		return 0, 0
	}
	var sent [window]float64
	for lag := -ahead; lag <= latest; lag++ {
		_, s := d.stretch(d.sent[:], ahead+lag, &sent)
		if s < liveliest {
			continue
		}
		var dot float64
		for i, v := range sent {
			dot += v * back[i]
		}
		if c := dot / (window * s * spread); c > best {
			late, best = lag, c
		}
	}
	if late < nearest {
		return 0, 0
	}
	return late, best
}

// stretch copies the window that ended lag frames ago, less its mean, and returns its mean and
// standard deviation.
func (d *Detector) stretch(of []float32, lag int, to *[window]float64) (mean, deviation float64) {
	at := (d.n - lag - window) % kept
	for i := range to {
		to[i] = float64(of[at])
		mean += to[i]
		if at++; at == kept {
			at = 0
		}
	}
	mean /= window
	var squares float64
	for i := range to {
		to[i] -= mean
		squares += to[i] * to[i]
	}
	return mean, math.Sqrt(squares / window)
}

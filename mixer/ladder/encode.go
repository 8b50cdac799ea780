package ladder

import (
	"fmt"
	"time"

	"rendezvous/mixer/av"
)

const (
	keyInterval   = 500 * time.Millisecond // at most one key frame per encode and this long
	staticMinimum = 200 * time.Millisecond // between pictures when nothing moves: 5 a second
	reopenDelay   = 2 * time.Second        // after an encoder failed
	clockSlack    = 4 * time.Millisecond   // the picture clock's jitter
)

// encode is one (codec, rung) that somebody watches.
type encode struct {
	codec   Codec
	index   int
	rung    Rung
	metrics encodeMetrics
	shown   *shown
	watched []Viewer // in this pass, but for those who have pictures held
	budgets []int    // bit/s that each who watches carries, these too
	base    int      // how many of all do with every second picture
	rate    rate
	halved  bool // every second picture is made
	idle    bool // nobody watched in the pass before

	encoder *av.VideoEncoder // nil: not open
	retry   time.Time        // not to be opened before, after a failure
	used    time.Time        // last pass in which somebody watched
	next    time.Time        // when the next picture is due by the rung's rate
	last    time.Time        // of the last picture
	lastKey time.Time
	wantKey bool   // somebody can start only with a key frame
	changed bool   // since the last picture
	lastID  uint16 // VP8 picture id
	number  uint32 // of the last unit
}

// due decides whether the picture of now is to be encoded, and whether as a key frame.
func (e *encode) due(now time.Time) (due, key bool) {
	if e.encoder == nil {
		return !now.Before(e.retry), true
	}
	if e.wantKey && now.Sub(e.lastKey) >= keyInterval {
		return true, true
	}
	if now.Before(e.next.Add(-clockSlack)) {
		return false, false
	}
	return e.changed || now.Sub(e.last) >= staticMinimum-clockSlack, false
}

// thinned reports whether a picture that is due is left out because time is short, and only
// every divisor-th can be made.
func (e *encode) thinned(now time.Time, divisor int) bool {
	return now.Sub(e.last) < time.Duration(divisor)*e.period()-clockSlack
}

func (e *encode) fps() int {
	if e.halved {
		return max(1, e.rung.FPS/2)
	}
	return e.rung.FPS
}

func (e *encode) period() time.Duration { return time.Second / time.Duration(e.fps()) }

// forget begins to ask anew who watches.
func (e *encode) forget() {
	e.idle = len(e.budgets) == 0
	clear(e.watched)
	e.watched, e.budgets, e.base = e.watched[:0], e.budgets[:0], 0
}

// add takes in somebody who watches.
func (e *encode) add(v Viewer, w Want) {
	if !w.Hold {
		e.wantKey = e.wantKey || w.Key
		e.watched = append(e.watched, v)
	}
	budget := w.Bitrate
	if budget <= 0 {
		budget = e.rung.Bitrate
	}
	e.budgets = append(e.budgets, budget)
	if w.Base {
		e.base++
	}
}

// follow sets the encoder by those who watch now.
func (e *encode) follow(now time.Time) {
	e.shown.viewers.Store(int64(len(e.budgets)))
	if len(e.budgets) == 0 {
		return
	}
	halved := e.base == len(e.budgets)
	other := halved != e.halved
	e.halved = halved
	if !e.rate.follow(e.rung.aim(e.budgets, halved), e.idle, now) && !other {
		return
	}
	e.shown.bitrate.Store(int64(e.rate.bitrate))
	if e.encoder != nil {
		e.encoder.SetRate(e.rate.bitrate, e.fps())
	}
}

// encoded is what one encode made of one picture.
type encoded struct {
	encode *encode
	data   []byte
	key    bool
	err    error
	took   time.Duration
}

// run encodes p, opening the encoder where needed.
func (e *encode) run(p *av.Picture, pts uint32, key bool) encoded {
	began := time.Now()
	r := encoded{encode: e}
	if e.encoder == nil {
		e.encoder, r.err = av.NewVideoEncoder(av.VideoEncoderConfig{
			Codec: string(e.codec), Width: e.rung.Width, Height: e.rung.Height, FPS: e.rung.FPS,
			Bitrate: e.rate.bitrate, MaxBitrate: e.rung.Max, MaxSlice: MaxPayload,
		})
		if r.err == nil {
			e.encoder.SetRate(e.rate.bitrate, e.fps())
		}
	}
	if r.err == nil {
		r.data, r.key, r.err = e.encoder.Encode(p, pts, key)
	}
	if r.err != nil {
		r.err = fmt.Errorf("ladder: %s at rung %d: %w", e.codec, e.index, r.err)
	}
	r.took = time.Since(began)
	return r
}

// advance books the picture of now as done.
func (e *encode) advance(now time.Time, key bool) {
	e.last, e.changed = now, false
	// A clock that is turned, and comes a little early each time, leaves no picture out for it.
	if e.next = e.next.Add(e.period()); e.next.Before(now.Add(-e.period())) || e.next.After(now.Add(e.period())) {
		e.next = now.Add(e.period())
	}
	if key {
		e.lastKey, e.wantKey = now, false
	}
}

func (e *encode) close() {
	if e.encoder != nil {
		e.encoder.Close()
		e.encoder = nil
	}
}

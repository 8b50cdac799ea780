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
	watched []Viewer // in this pass

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

func (e *encode) period() time.Duration { return time.Second / time.Duration(e.rung.FPS) }

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
			Codec: string(e.codec), Width: e.rung.Width, Height: e.rung.Height, FPS: e.rung.FPS, Bitrate: e.rung.Bitrate,
			MaxSlice: MaxPayload,
		})
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
	if e.next = e.next.Add(e.period()); e.next.Before(now.Add(-e.period())) || e.next.After(now.Add(2*e.period())) {
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

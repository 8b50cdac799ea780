package ladder

import (
	"cmp"
	"image"
	"log/slog"
	"slices"
	"sync"
	"time"

	"rendezvous/mixer/av"
)

// Config says which qualities there are. Without Log and Metrics nothing is logged or counted.
type Config struct {
	Log     *slog.Logger
	Metrics *Metrics
	Rungs   []Rung // the best first; even sizes, of the canvas's shape. Default: DefaultRungs

	// Worked is told how long each picture took to scale and to encode; nil: nobody is. It must not block.
	Worked func(time.Duration)
}

// DefaultRungs are three sizes of a 16:9 picture, the smallest also at a rate that
// leaves room for sound on 150 kbit/s. Both encoders keep to each Min with a lively picture, without leaving any out
// (BenchmarkRate of mixer/av).
func DefaultRungs() []Rung {
	return []Rung{
		{Width: 1280, Height: 720, FPS: 30, Min: 900_000, Bitrate: 1_800_000, Max: 2_500_000},
		{Width: 640, Height: 360, FPS: 30, Min: 300_000, Bitrate: 700_000, Max: 1_200_000},
		{Width: 320, Height: 180, FPS: 30, Min: 110_000, Bitrate: 220_000, Max: 350_000},
		{Width: 320, Height: 180, FPS: 15, Min: 50_000, Bitrate: 90_000, Max: 130_000},
	}
}

// unusedAfter is how long an encoder that nobody watches stays open.
const unusedAfter = 3 * time.Second

// Ladder makes the encodes of one room's picture.
type Ladder struct {
	cfg   Config  // never changes
	shown []shown // of each rung in H264, then of each in VP8

	mu      sync.Mutex // guards all below; Encode holds it, and so does the idle timer
	encodes map[encodeKey]*encode
	order   []*encode // the same, largest first
	pools   map[image.Point]*av.Pool
	scaled  []*av.Picture // of this pass, largest first; the canvas itself is not among them
	wants   []Want
	jobs    []job // of this pass
	results chan encoded
	made    []encoded // of this pass
	epoch   time.Time // picture clock zero
	called  time.Time
	idle    *time.Timer
	closed  bool
	load    load
}

// job is one picture to be encoded.
type job struct {
	*encode
	picture *av.Picture
	key     bool
}

type encodeKey struct {
	codec Codec
	rung  int
}

// New returns a ladder without encoders.
func New(cfg Config) *Ladder {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Metrics == nil {
		cfg.Metrics = NewMetrics(nil)
	}
	if len(cfg.Rungs) == 0 {
		cfg.Rungs = DefaultRungs()
	}
	cfg.Rungs = slices.Clone(cfg.Rungs)
	for i, r := range cfg.Rungs {
		cfg.Rungs[i] = r.fill()
	}
	return &Ladder{
		cfg:     cfg,
		shown:   make([]shown, 2*len(cfg.Rungs)),
		encodes: map[encodeKey]*encode{},
		pools:   map[image.Point]*av.Pool{},
		results: make(chan encoded, 2*len(cfg.Rungs)),
		load:    load{divisor: 1},
	}
}

// Rungs are the qualities of the ladder, the best first, with Min and Max; the slice is the caller's.
func (l *Ladder) Rungs() []Rung { return slices.Clone(l.cfg.Rungs) }

// Encode asks every viewer what they watch, encodes that of the picture p which is due,
// each (codec, rung) once, and hands the units to those who asked, before it returns. It reports
// whether there was any.
// changed says whether p differs from the picture of the call before. Call it at the picture
// clock, with now growing; when it is no longer called the encoders are closed after a while.
func (l *Ladder) Encode(p *av.Picture, changed bool, now time.Time, viewers []Viewer) (encoded bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || p == nil {
		return false
	}
	l.tick(now)
	l.ask(viewers, now)
	pts := uint32(now.Sub(l.epoch) * 90 / time.Millisecond)
	began := time.Now()
	for _, e := range l.order {
		e.changed = e.changed || changed
		if len(e.watched) == 0 {
			continue
		}
		due, key := e.due(now)
		if !due {
			continue
		}
		if !key && e.thinned(now, l.load.divisor) {
			l.cfg.Metrics.skipped.WithLabelValues("overload").Inc()
			continue
		}
		scaled := l.scale(p, e.rung)
		if scaled == nil {
			continue
		}
		l.jobs = append(l.jobs, job{e, scaled, key})
	}
	l.runJobs(pts)
	// Key frames are handed out first: a viewer who changes rungs with one must not get this
	// picture from the old rung too, with the same timestamp.
	for _, first := range []bool{true, false} {
		for _, r := range l.made {
			if first == (r.key || r.err != nil) {
				l.deliver(r, now, pts)
			}
			encoded = encoded || len(r.data) > 0
		}
	}
	clear(l.made)
	l.made = l.made[:0]
	for _, s := range l.scaled {
		s.Release()
	}
	l.scaled = l.scaled[:0]
	l.load.observe(time.Since(began), now)
	l.dropUnused(now)
	return encoded
}

// Skip notes that a picture is left out for the host's load: the pictures before and after it are not further apart by accident.
func (l *Ladder) Skip(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.called.IsZero() || l.closed {
		return
	}
	l.called = now
	l.cfg.Metrics.skipped.WithLabelValues("overload").Inc()
}

// runJobs encodes what is due, on several cores if it is more than one picture.
func (l *Ladder) runJobs(pts uint32) {
	if len(l.jobs) == 0 {
		return
	}
	for _, j := range l.jobs[1:] {
		go func() { l.results <- j.run(j.picture, pts, j.key) }()
	}
	largest := l.jobs[0] // in the goroutine that is here anyway
	l.made = append(l.made, largest.run(largest.picture, pts, largest.key))
	for range l.jobs[1:] {
		l.made = append(l.made, <-l.results)
	}
	clear(l.jobs)
	l.jobs = l.jobs[:0]
}

// tick notes the time of this pass, and what was missed since the last.
func (l *Ladder) tick(now time.Time) {
	if l.epoch.IsZero() {
		l.epoch = now
	}
	const interval = time.Second / 30
	if gap := now.Sub(l.called); !l.called.IsZero() && gap < unusedAfter && gap > interval*3/2 {
		l.cfg.Metrics.skipped.WithLabelValues("late").Add(float64((gap+interval/2)/interval - 1))
	}
	l.called = now
	if l.idle == nil {
		l.idle = time.AfterFunc(unusedAfter, l.closeIdle)
	} else {
		l.idle.Reset(unusedAfter)
	}
}

// ask collects what is wanted, by whom.
func (l *Ladder) ask(viewers []Viewer, now time.Time) {
	for _, e := range l.order {
		e.forget()
	}
	for _, v := range viewers {
		l.wants = v.Watching(l.wants[:0])
		for _, w := range l.wants {
			if e := l.encodeOf(w); e != nil {
				e.used = now
				e.add(v, w)
			}
		}
	}
	for _, e := range l.order {
		e.follow(now)
	}
}

// encodeOf finds or makes the encode that w wants; nil if there can be none.
func (l *Ladder) encodeOf(w Want) *encode {
	if w.Rung < 0 || w.Rung >= len(l.cfg.Rungs) || w.Codec != H264 && w.Codec != VP8 {
		return nil
	}
	k := encodeKey{w.Codec, w.Rung}
	e := l.encodes[k]
	if e == nil {
		e = &encode{codec: w.Codec, index: w.Rung, rung: l.cfg.Rungs[w.Rung], idle: true,
			metrics: l.cfg.Metrics.of(w.Codec, w.Rung), shown: l.shownAt(w.Codec, w.Rung)}
		l.encodes[k] = e
		l.order = append(l.order, e)
		slices.SortFunc(l.order, func(a, b *encode) int {
			return cmp.Or(b.rung.Width*b.rung.Height-a.rung.Width*a.rung.Height, a.index-b.index, cmp.Compare(a.codec, b.codec))
		})
		l.cfg.Metrics.encoders.Inc()
	}
	return e
}

// scale returns the picture in the rung's size, made once in a pass and from the
// smallest one at hand that is larger.
func (l *Ladder) scale(p *av.Picture, r Rung) *av.Picture {
	from := p
	if n := len(l.scaled); n > 0 {
		from = l.scaled[n-1] // the order of encodes is by size
	}
	size := image.Pt(r.Width, r.Height)
	if from.Bounds().Size() == size {
		return from
	}
	pool := l.pools[size]
	if pool == nil {
		pool = av.NewPool(size.X, size.Y)
		l.pools[size] = pool
	}
	to := pool.Get()
	began := time.Now()
	err := av.Scale(to, to.Bounds(), from, from.Bounds())
	l.worked(time.Since(began))
	if err != nil {
		to.Release()
		l.cfg.Log.Error("cannot scale the picture", "error", err)
		l.cfg.Metrics.errors.Inc()
		return nil
	}
	l.scaled = append(l.scaled, to)
	return to
}

// worked tells how long something took.
func (l *Ladder) worked(d time.Duration) {
	if l.cfg.Worked != nil {
		l.cfg.Worked(d)
	}
}

// deliver hands one encoded picture to its viewers.
func (l *Ladder) deliver(r encoded, now time.Time, pts uint32) {
	e := r.encode
	e.metrics.seconds.Add(r.took.Seconds())
	l.worked(r.took)
	if r.err != nil {
		l.cfg.Metrics.errors.Inc()
		l.cfg.Log.Error("encoding failed", "error", r.err)
		e.close()
		e.retry = now.Add(reopenDelay)
		return
	}
	e.advance(now, r.key)
	if len(r.data) == 0 {
		l.cfg.Metrics.skipped.WithLabelValues("bitrate").Inc()
		return
	}
	e.metrics.pictures.Inc()
	e.metrics.bytes.Add(float64(len(r.data)))
	if r.key {
		e.metrics.keyFrames.Inc()
		e.lastID = l.nextKeyID(e.codec)
	} else {
		e.lastID++
	}
	u := newUnit(e.codec, e.index, r.key, pts, e.lastID&0x7fff, r.data)
	u.Bitrate = e.rate.bitrate
	u.At = now
	e.number++
	u.Number = e.number
	for _, v := range e.watched {
		v.WriteUnit(u)
	}
}

// nextKeyID is a VP8 picture id ahead of those on all rungs. A receiver changes rungs at
// a key frame only, so that for it ids always grow.
func (l *Ladder) nextKeyID(codec Codec) uint16 {
	first, top := true, uint16(0)
	for _, e := range l.order {
		if e.codec != codec {
			continue
		}
		if first || int16(e.lastID-top) > 0 {
			top, first = e.lastID, false
		}
	}
	return top + 1
}

// dropUnused closes the encoders that nobody has watched for a while.
func (l *Ladder) dropUnused(now time.Time) {
	l.order = slices.DeleteFunc(l.order, func(e *encode) bool {
		if now.Sub(e.used) < unusedAfter {
			return false
		}
		l.drop(e)
		return true
	})
}

func (l *Ladder) drop(e *encode) {
	e.close()
	e.shown.viewers.Store(0)
	delete(l.encodes, encodeKey{e.codec, e.index})
	l.cfg.Metrics.encoders.Dec()
}

// closeIdle gives everything back when Encode has not been called for a while.
func (l *Ladder) closeIdle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.release()
}

func (l *Ladder) release() {
	for _, e := range l.order {
		l.drop(e)
	}
	l.order = nil
	l.called = time.Time{}
	clear(l.pools)
}

// Close closes all encoders. Encode does nothing afterwards.
func (l *Ladder) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.idle != nil {
		l.idle.Stop()
	}
	l.release()
	l.closed = true
}

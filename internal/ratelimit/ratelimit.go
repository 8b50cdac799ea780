// Package ratelimit limits how often each of many sources may do something: a token bucket of golang.org/x/time/rate for each of those
// heard of lately, which are never more than a number given, however many there are.
package ratelimit

import (
	"container/list"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Config is what holds for each source.
type Config struct {
	Rate  rate.Limit // tokens a second
	Burst int        // tokens at once, and what a source has that is not remembered
	// Sources is the most that are remembered, at about 300 bytes each. Whose bucket is full again looks like a new one,
	// and is forgotten first.
	Sources int
	// Share says what becomes of a new source when Sources others have a bucket that is not full: it shares one more
	// bucket with all such, so that ever new sources get no further than known ones. Without it, the source that was not
	// heard of for the longest time is forgotten: new sources always get in, which suits those that are not to be had for nothing.
	Share bool
}

// Limiter knows the buckets of its sources. It may be used by many goroutines at once. Times are its caller's, from a clock that
// nobody sets: time.Now has one.
type Limiter[K comparable] struct {
	cfg Config

	mu      sync.Mutex          // guards what follows, not what is in a bucket
	sources map[K]*list.Element // in order
	order   *list.List          // of *source[K], who was not heard of for the longest time first
	shared  *rate.Limiter       // of all sources that do not fit
}

type source[K comparable] struct {
	key    K
	bucket *rate.Limiter
}

// New makes a Limiter.
func New[K comparable](cfg Config) *Limiter[K] {
	return &Limiter[K]{cfg: cfg, sources: make(map[K]*list.Element), order: list.New(), shared: rate.NewLimiter(cfg.Rate, cfg.Burst)}
}

// AllowN takes n tokens of a source. If it has fewer, it keeps them, and AllowN reports false.
func (l *Limiter[K]) AllowN(now time.Time, key K, n int) bool {
	return l.bucket(now, key).AllowN(now, n)
}

// Charge takes n tokens of a source, at most Burst, whether it has them or not: it is to wait until they are there again.
func (l *Limiter[K]) Charge(now time.Time, key K, n int) { l.bucket(now, key).ReserveN(now, n) }

// Has reports whether a source has n tokens, at most Burst. It takes none, and who is asked about is not remembered for it.
func (l *Limiter[K]) Has(now time.Time, key K, n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.sources[key]; ok {
		return tokens(e.Value.(*source[K]).bucket, now) >= float64(n)
	}
	if l.cfg.Share && l.order.Len() >= l.cfg.Sources && !full(l.oldest().bucket, now) {
		return tokens(l.shared, now) >= float64(n)
	}
	return n <= l.cfg.Burst
}

// Len is how many sources are remembered.
func (l *Limiter[K]) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.order.Len()
}

// bucket returns that of a source, or the shared one.
func (l *Limiter[K]) bucket(now time.Time, key K) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.sources[key]; ok {
		l.order.MoveToBack(e)
		return e.Value.(*source[K]).bucket
	}
	// Two for each new one, so that what a crowd leaves behind becomes less again.
	for range 2 {
		if l.order.Len() > 0 && full(l.oldest().bucket, now) {
			l.forget()
		}
	}
	if l.order.Len() >= l.cfg.Sources {
		if l.cfg.Share {
			return l.shared
		}
		l.forget()
	}
	s := &source[K]{key, rate.NewLimiter(l.cfg.Rate, l.cfg.Burst)}
	l.sources[key] = l.order.PushBack(s)
	return s.bucket
}

// oldest is the source not heard of for the longest time; there is one. l.mu is held.
func (l *Limiter[K]) oldest() *source[K] { return l.order.Front().Value.(*source[K]) }

// forget drops it.
func (l *Limiter[K]) forget() { delete(l.sources, l.order.Remove(l.order.Front()).(*source[K]).key) }

// tokens is what a bucket has, but for the error of its floating-point numbers: AllowN does not see it either.
func tokens(b *rate.Limiter, now time.Time) float64 { return b.TokensAt(now) + 1e-6 }

func full(b *rate.Limiter, now time.Time) bool { return tokens(b, now) >= float64(b.Burst()) }

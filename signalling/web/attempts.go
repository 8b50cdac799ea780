package web

import (
	"net/netip"
	"sync"
	"time"

	"rendezvous/internal/sourcenet"
)

// attempts slows down those who guess PINs and tokens: an address that has used up its
// wrong guesses gets one more each refill. Right ones cost nothing.
type attempts struct {
	most   int
	refill time.Duration
	now    func() time.Time

	mu    sync.Mutex
	spent map[netip.Prefix]spent // guarded by mu; bounded by maxGuessers
}

type spent struct {
	guesses float64
	at      time.Time
}

// maxGuessers bounds the addresses remembered; past it those with the least to remember go.
const maxGuessers = 10000

func newAttempts(most int, refill time.Duration, now func() time.Time) *attempts {
	return &attempts{most: most, refill: refill, now: now, spent: make(map[netip.Prefix]spent)}
}

func (a *attempts) left(n netip.Prefix, now time.Time) float64 {
	s, ok := a.spent[n]
	if !ok {
		return 0
	}
	return max(0, s.guesses-float64(now.Sub(s.at))/float64(a.refill))
}

// allow reports whether an address may try.
func (a *attempts) allow(ip netip.Addr) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.left(sourcenet.Of(ip), a.now())+1 <= float64(a.most)
}

// failed notes a wrong guess.
func (a *attempts) failed(ip netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now, n := a.now(), sourcenet.Of(ip)
	a.spent[n] = spent{a.left(n, now) + 1, now}
	if len(a.spent) <= maxGuessers {
		return
	}
	for k := range a.spent {
		if a.left(k, now) == 0 {
			delete(a.spent, k)
		}
	}
	for k := range a.spent {
		if len(a.spent) <= maxGuessers*3/4 {
			break
		}
		if k != n {
			delete(a.spent, k)
		}
	}
}

package conference

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/netip"
	"sync"
	"time"
)

const (
	freeTries    = 3                // wrong PINs before the first wait
	longestWait  = 15 * time.Minute // between tries
	forgetAfter  = 30 * time.Minute // since the last wrong PIN
	guardedKeys  = 4096
	roomTries    = 60 // wrong PINs in a room and a minute, from wherever they come
	roomInterval = time.Minute
)

// samePIN compares in constant time, whatever the lengths.
func samePIN(want, got string) bool {
	a, b := sha256.Sum256([]byte(want)), sha256.Sum256([]byte(got))
	return want != "" && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// network is the part of an address that one caller cannot change at will: of IPv6 the
// first half.
func network(source string) string {
	if ip, err := netip.ParseAddr(source); err == nil && ip.Is6() && !ip.Is4In6() {
		if p, err := ip.WithZone("").Prefix(64); err == nil {
			return p.String()
		}
	}
	return source
}

// pinGuard slows down whoever tries PINs: by network address and by identity the wait
// doubles with each wrong one after the first few. A right PIN does not clear the
// record, or knowing one would help to guess another.
type pinGuard struct {
	mu    sync.Mutex // guards what follows
	tries map[string]*tries
}

type tries struct {
	wrong int
	last  time.Time
	until time.Time // no try before
}

func newPINGuard() *pinGuard { return &pinGuard{tries: make(map[string]*tries)} }

// wait is how long the keys' owner must wait before the next try.
func (g *pinGuard) wait(now time.Time, keys ...string) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	var wait time.Duration
	for _, k := range keys {
		if t := g.tries[k]; t != nil && now.Sub(t.last) < forgetAfter {
			wait = max(wait, t.until.Sub(now))
		}
	}
	return wait
}

// wrong records a wrong PIN.
func (g *pinGuard) wrong(now time.Time, keys ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, k := range keys {
		t := g.tries[k]
		if t == nil || now.Sub(t.last) >= forgetAfter {
			g.makeRoom(now)
			t = &tries{}
			g.tries[k] = t
		}
		t.wrong++
		t.last = now
		if n := t.wrong - freeTries; n >= 0 {
			t.until = now.Add(min(time.Second<<min(n, 20), longestWait))
		}
	}
}

// makeRoom forgets what has expired, else the longest untried.
func (g *pinGuard) makeRoom(now time.Time) {
	if len(g.tries) < guardedKeys {
		return
	}
	var oldest string
	for k, t := range g.tries {
		if now.Sub(t.last) >= forgetAfter {
			delete(g.tries, k)
		} else if oldest == "" || t.last.Before(g.tries[oldest].last) {
			oldest = k
		}
	}
	if len(g.tries) >= guardedKeys {
		delete(g.tries, oldest)
	}
}

// pinBudget limits the wrong PINs in one room however many addresses and
// identities the guesser has. It is guarded by the room's mutex.
type pinBudget struct {
	since time.Time
	wrong int
}

func (b *pinBudget) spent(now time.Time) bool {
	if now.Sub(b.since) >= roomInterval {
		b.since, b.wrong = now, 0
	}
	return b.wrong >= roomTries
}

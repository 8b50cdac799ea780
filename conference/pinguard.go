package conference

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/netip"
	"sync"
	"time"

	"rendezvous/internal/sourcenet"
)

const (
	freeTries   = 3                // wrong PINs before the first wait
	longestWait = 15 * time.Minute // between tries
	forgetAfter = 30 * time.Minute // since the last wrong PIN
	guardedKeys = 8192
	soundPIN    = 6              // digits; of fewer the log warns
	blemishFor  = 24 * time.Hour // how long a wrong PIN is held against where it came from

	// Wrong guesses at one PIN of a room, from wherever they come; and so many more from where none has come from.
	roomTries     = 60 // a minute
	roomTriesADay = 1000
	reserve       = 10 // a minute
	reserveADay   = 1000
)

// samePIN compares in constant time, whatever the lengths.
func samePIN(want, got string) bool {
	a, b := sha256.Sum256([]byte(want)), sha256.Sum256([]byte(got))
	return want != "" && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// network is the part of an address that one caller cannot change at will. What is no address is its own network.
func network(source string) string {
	if ip, err := netip.ParseAddr(source); err == nil {
		return sourcenet.Of(ip).String()
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
		if now.Sub(t.last) >= blemishFor {
			delete(g.tries, k)
		} else if oldest == "" || t.last.Before(g.tries[oldest].last) {
			oldest = k
		}
	}
	if len(g.tries) >= guardedKeys {
		delete(g.tries, oldest)
	}
}

// spotless reports whether no wrong PIN has come from a network address, or its neighbourhood, for long.
func (g *pinGuard) spotless(now time.Time, source string) bool {
	area := neighbourhood(source)
	if area == "" {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.tries["area "+area]
	return t == nil || now.Sub(t.last) >= blemishFor
}

// neighbourhood is what one customer may have of addresses at little cost: an IPv4 address, or an IPv6 /48; "" if it is
// none.
func neighbourhood(source string) string {
	ip, err := netip.ParseAddr(source)
	if err != nil {
		return ""
	}
	ip = ip.Unmap().WithZone("")
	bits := 32
	if ip.Is6() {
		bits = 48
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

// pinBudget limits the wrong guesses at one PIN of a room, however many addresses and identities the guesser has. It
// is guarded by the room's mutex.
type pinBudget struct {
	minute, day window
}

// window counts what happened since it began.
type window struct {
	since time.Time
	wrong int
}

func (w *window) turn(now time.Time, length time.Duration) {
	if now.Sub(w.since) >= length {
		w.since, w.wrong = now, 0
	}
}

// wait is how long nobody may guess, or nobody but those without blemish. For them there is a reserve, so that
// whoever guesses does not close a room to those who know its PIN.
func (b *pinBudget) wait(now time.Time, spotless bool) time.Duration {
	b.minute.turn(now, time.Minute)
	b.day.turn(now, 24*time.Hour)
	perMinute, perDay := roomTries, roomTriesADay
	if spotless {
		perMinute, perDay = perMinute+reserve, perDay+reserveADay
	}
	var wait time.Duration
	if b.minute.wrong >= perMinute {
		wait = b.minute.since.Add(time.Minute).Sub(now)
	}
	if b.day.wrong >= perDay {
		wait = max(wait, b.day.since.Add(24*time.Hour).Sub(now))
	}
	return wait
}

func (b *pinBudget) count() {
	b.minute.wrong++
	b.day.wrong++
}

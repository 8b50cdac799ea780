package rtc

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"rendezvous/internal/destination"
)

const (
	// maxCandidates bounds the addresses of one ICE generation that we send checks to. Each gets several, and none
	// has asked for them: the candidates of an offer may be anybody's.
	maxCandidates = 16
	// maxLooked bounds those of a generation that the system is asked about.
	maxLooked = 4 * maxCandidates
	// What all generations of a peer may bring: two at once, and then one candidate a second.
	candidateBurst = 2 * maxCandidates
	candidateEvery = time.Second
)

// candidates decides which of a peer's candidates are taken. What is left out costs nobody the connection: a browser's
// own checks show us where it is.
type candidates struct {
	peer   netip.Addr // where its signalling comes from
	pace   *rate.Limiter
	ufrag  string                  // of the present generation
	taken  map[netip.AddrPort]bool // of it
	looked int                     // how many of it were looked at
}

func newCandidates(peer netip.Addr) *candidates {
	return &candidates{peer: peer, pace: rate.NewLimiter(rate.Every(candidateEvery), candidateBurst)}
}

// filter returns an offer without the candidates that are not taken.
func (c *candidates) filter(offer string) string {
	var b strings.Builder
	for line := range strings.Lines(offer) {
		text := strings.TrimRight(line, "\r\n")
		if ufrag, ok := strings.CutPrefix(text, "a=ice-ufrag:"); ok && ufrag != c.ufrag {
			c.ufrag, c.taken, c.looked = ufrag, nil, 0
		}
		if value, ok := strings.CutPrefix(text, "a=candidate:"); ok && !c.take(value) {
			continue
		}
		b.WriteString(line)
	}
	return b.String()
}

// take reports whether a candidate, without what stands before its foundation (RFC 8839 section 5.1), is taken.
func (c *candidates) take(value string) bool {
	// foundation component transport priority address port typ …
	f := strings.Fields(value)
	if len(f) < 8 {
		return false
	}
	addr, err := netip.ParseAddr(f[4])
	if err != nil {
		return false // a name: a browser's ".local" is of no use, and we look nothing up for strangers
	}
	port, err := strconv.ParseUint(f[5], 10, 16)
	if err != nil || port == 0 {
		return false
	}
	to := netip.AddrPortFrom(addr, uint16(port))
	switch {
	case c.taken[to]:
		return true // repeated in another m-line or offer
	case len(c.taken) >= maxCandidates || c.looked >= maxLooked:
		return false
	}
	c.looked++
	switch {
	case !destination.Allowed(addr, c.peer) || !c.pace.Allow():
		return false
	case c.taken == nil:
		c.taken = make(map[netip.AddrPort]bool)
	}
	c.taken[to] = true
	return true
}

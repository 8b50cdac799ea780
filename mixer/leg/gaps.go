package leg

import (
	"slices"
	"time"
)

const (
	unknownRTT   = 100 * time.Millisecond // assumed until somebody has told
	maxAsks      = 10                     // how often one packet is asked for; by then nobody waits for it
	maxTolerance = 60 * time.Millisecond  // of reordering, before a missing packet is asked for
	repeatMargin = 10 * time.Millisecond  // beyond a round trip and a quarter, before it is asked for again
)

// gaps are the packets of one stream that are missing, and when each is to be asked for (RFC 4585 section 6.2.1): at
// once, or after as long as reordering has lately taken on this path, and again after each round trip. It is the
// assembler's, and as little safe for concurrent use.
type gaps struct {
	list []gap // by sequence number
	// What has been seen of the path: how long a packet is overtaken by others, and how long it takes until one that
	// was asked for is there.
	tolerance time.Duration
	answer    time.Duration // 0: not known
}

type gap struct {
	seq   uint16
	seen  time.Time // when a later packet came
	first time.Time // when it was asked for first
	asked time.Time // and last
	asks  int
}

// opened notes that the packets from first up to the one before end are missing.
func (g *gaps) opened(first, end uint16, now time.Time) {
	for seq := first; seq != end; seq++ {
		g.list = append(g.list, gap{seq: seq, seen: now})
	}
}

// closed notes that a packet has come after later ones. Whether it was only overtaken, or is the answer to a request,
// is told by how long ago that was.
func (g *gaps) closed(seq uint16, rtt time.Duration, now time.Time) {
	i := slices.IndexFunc(g.list, func(x gap) bool { return x.seq == seq })
	if i < 0 {
		return
	}
	x := g.list[i]
	g.list = slices.Delete(g.list, i, i+1)
	took := now.Sub(x.first)
	if x.asks == 0 || x.asks == 1 && took < g.soonest(rtt) {
		late := now.Sub(x.seen)
		g.tolerance = max(g.tolerance, min(late+late/4, maxTolerance))
		return
	}
	g.tolerance -= g.tolerance / 16
	switch { // of several requests the first is taken for the one that was answered
	case g.answer == 0:
		g.answer = took
	case took < g.answer:
		g.answer += (took - g.answer) / 2
	default:
		g.answer += (took - g.answer) / 8
	}
}

// soonest is the least time in which an answer can come.
func (g *gaps) soonest(reported time.Duration) time.Duration {
	if reported == 0 {
		return repeatMargin // what was learned of answers cannot tell which of them are none
	}
	return reported / 2
}

// from are the missing packets that do not come before one.
func (g *gaps) from(seq uint16) []gap {
	n := 0
	for n < len(g.list) && int16(g.list[n].seq-seq) < 0 {
		n++
	}
	return g.list[n:]
}

// forget leaves out what nobody waits for: all packets before next.
func (g *gaps) forget(next uint16) {
	if n := len(g.list) - len(g.from(next)); n > 0 {
		g.list = slices.Delete(g.list, 0, n)
	}
}

// clear forgets all that is missing, but not what was learned of the path.
func (g *gaps) clear() { g.list = g.list[:0] }

// roundTrip is what the peer's reports say of it, else what answers took, else a guess.
func (g *gaps) roundTrip(reported time.Duration) time.Duration {
	switch {
	case reported > 0:
		return reported
	case g.answer > 0:
		return g.answer
	}
	return unknownRTT
}

// due appends the packets from one on to ask for now, and says when the next will have to be; zero if none.
func (g *gaps) due(first uint16, rtt time.Duration, now time.Time, dst []uint16) (ask []uint16, next time.Time) {
	rtt = g.roundTrip(rtt)
	again := rtt + rtt/4 + repeatMargin
	missing := g.from(first)
	for i := range missing {
		x := &missing[i]
		if x.asks >= maxAsks {
			continue
		}
		at := x.seen.Add(g.tolerance)
		if x.asks > 0 {
			at = x.asked.Add(again)
		}
		if !at.After(now) {
			dst = append(dst, x.seq)
			if x.asks == 0 {
				x.first = now
			}
			x.asked, x.asks = now, x.asks+1
			at = now.Add(again)
		}
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return dst, next
}

// hopeless reports whether the oldest missing packet from one on is asked for in vain: no request that could still be answered by
// the deadline is on its way, nor could one be sent.
func (g *gaps) hopeless(first uint16, rtt time.Duration, deadline, now time.Time) bool {
	missing := g.from(first)
	if len(missing) == 0 {
		return false
	}
	rtt = g.roundTrip(rtt)
	x := &missing[0]
	if now.Add(rtt).Before(deadline) && x.asks < maxAsks {
		return false
	}
	return x.asks == 0 || now.Sub(x.asked) > rtt+rtt/4
}

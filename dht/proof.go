package dht

import (
	"net/netip"
	"time"

	"rendezvous/dht/wire"
	"rendezvous/internal/ratelimit"
	"rendezvous/internal/sourcenet"
)

const (
	// proofLife is how long an address that has shown that it receives what we send is answered at once.
	proofLife = 10 * time.Minute
	// mostProven bounds the addresses remembered; of more, those remembered longest are asked again.
	mostProven = 16 << 10
	// mostProbed bounds the addresses that are being asked, and mostHeld the requests of one that wait for that.
	mostProbed = 1024
	mostHeld   = 8
	// heldBytes bounds one of these: what is asked before anything is proven is short.
	heldBytes = 1400

	// largeAnswer is from how many bytes on answers are counted: shorter ones are about as long as what they answer, and
	// go to who has proven nothing too, whose forged addresses must not fill a map.
	largeAnswer = 1024
	// answerRate and answerBurst bound the bytes in answers to requests of one address, per second and at once:
	// the source of a datagram that was seen lately can be forged too.
	answerRate  = 64 << 10
	answerBurst = 512 << 10
)

// proofs knows which addresses receive what we send them. The source of a datagram can be forged, and answers are many
// times as large as requests: who asks from an address that nothing is known of is pinged, in as many bytes as
// they have sent, and answered when the pong has come. A token proves the same. It is the engine's.
type proofs struct {
	// Two generations, each of half a proofLife at most: who is in neither has proven nothing.
	young, old map[netip.AddrPort]bool
	since      time.Time // when young began
	probes     map[netip.AddrPort]*probe

	answered *ratelimit.Limiter[netip.Prefix] // of bytes
}

// probe is an address that was pinged, and what it wants.
type probe struct{ held [][]byte }

func newProofs() *proofs {
	return &proofs{young: map[netip.AddrPort]bool{}, probes: map[netip.AddrPort]*probe{},
		answered: ratelimit.New[netip.Prefix](ratelimit.Config{Rate: answerRate, Burst: answerBurst, Sources: mostProven, Share: true})}
}

func (p *proofs) has(a netip.AddrPort, now time.Time) bool {
	p.age(now)
	return p.young[a] || p.old[a]
}

func (p *proofs) add(a netip.AddrPort, now time.Time) {
	p.age(now)
	p.young[a] = true
}

func (p *proofs) age(now time.Time) {
	switch past := now.Sub(p.since); {
	case past >= proofLife:
		p.young, p.old, p.since = map[netip.AddrPort]bool{}, nil, now
	case past >= proofLife/2, len(p.young) >= mostProven/2:
		p.young, p.old, p.since = map[netip.AddrPort]bool{}, p.young, now
	}
}

// spend takes the bytes of an answer off what its address may have. It reports false if there is too little left.
func (p *proofs) spend(a netip.Addr, bytes int, now time.Time) bool {
	return p.answered.AllowN(now, sourcenet.Of(a), bytes)
}

// prove notes that an address receives what we send, and answers what it has asked meanwhile.
func (e *engine) prove(a netip.AddrPort) {
	e.proofs.add(a, e.now)
	if p := e.proofs.probes[a]; p != nil {
		delete(e.proofs.probes, a)
		for _, b := range p.held {
			if m, err := wire.Decode(b); err == nil { // it was written by us
				e.onRequest(a, m)
			}
		}
	}
}

// hold keeps a request until its sender has proven to be where it says. nil keeps nothing, and asks only.
func (e *engine) hold(a netip.AddrPort, m *wire.Message) {
	p := e.proofs.probes[a]
	if p == nil {
		if len(e.proofs.probes) >= mostProbed {
			e.metrics.rateLimited.Add(1)
			return
		}
		p = &probe{}
		e.proofs.probes[a] = p
		gone := func() {
			if e.proofs.probes[a] == p {
				delete(e.proofs.probes, a)
			}
		}
		e.askOnce(a, &wire.Message{Method: wire.Ping}, handler{expired: gone, refused: func(int) { gone() }})
	}
	if m == nil {
		return
	}
	// Written anew: the message may point into a datagram of 64 KiB.
	if b := m.Append(nil); len(p.held) < mostHeld && len(b) <= heldBytes {
		p.held = append(p.held, b)
		return
	}
	e.metrics.rateLimited.Add(1)
}

package call

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/pion/ice/v2"
	"github.com/pion/stun"
	pion "github.com/pion/transport/v2"

	"rendezvous/signalling/stunguard"
)

// echoes asks a peer by Binding requests how long the path takes there and back: an ICE agent answers them at once, as long as it lives (RFC 8445
// section 7.3), and they stand in the same queues as the media. Daemons' reports are too seldom to tell (docs/jami/calls.md#rtcp-and-bit-rates).
// Where media goes by a relay nothing is asked.
type echoes struct {
	mu       sync.Mutex // guards all below
	via      pion.UDPConn
	to       net.Addr // where media goes
	username stun.Username
	password stun.MessageIntegrity
	role     stun.Setter // nil: nothing is asked yet
	take     func(trip time.Duration)
	asked    [echoesKept]question // a ring
	n        int
}

// echoesKept is how many questions may be without an answer before the oldest is forgotten.
const echoesKept = 64

// echoPriority is what a check of a host candidate would say (RFC 8445 section 7.1.1): that of a peer-reflexive one.
const echoPriority = 110<<24 | 65535<<8 | 255

type question struct {
	id [stun.TransactionIDSize]byte
	at time.Time // zero: answered
}

// prepare says by whose credentials is asked, and whether we control the ICE session.
func (e *echoes) prepare(local, remote, password string, controlling bool) {
	var tie [8]byte
	rand.Read(tie[:]) // never fails (crypto/rand)
	n := binary.BigEndian.Uint64(tie[:])
	var role stun.Setter = ice.AttrControlled(n)
	if controlling {
		role = ice.AttrControlling(n)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.username, e.password, e.role = stun.NewUsername(remote+":"+local), stun.NewShortTermIntegrity(password), role
}

// tell says who is told of answers; nil: nobody.
func (e *echoes) tell(take func(trip time.Duration)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.take = take
}

// ask sends a question the way that the newest packet of media went, and reports whether there is one.
func (e *echoes) ask(now time.Time) (asked bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.via == nil || e.role == nil || e.take == nil {
		return false, nil
	}
	m, err := stun.Build(stun.TransactionID, stun.BindingRequest, e.username, ice.PriorityAttr(echoPriority), e.role, e.password, stun.Fingerprint)
	if err != nil {
		return false, fmt.Errorf("ask how long the path is: %w", err)
	}
	e.asked[e.n%echoesKept] = question{m.TransactionID, now}
	e.n++
	if _, err := e.via.WriteTo(m.Raw, e.to); err != nil {
		return false, fmt.Errorf("ask how long the path is: %w", err)
	}
	return true, nil
}

// answered reports whether a packet is an answer to a question, and tells of it. A peer that refuses has answered, too.
func (e *echoes) answered(b []byte, now time.Time) bool {
	const head, success, failure = 20, 0x0101, 0x0111
	if len(b) < head {
		return false
	}
	if kind := binary.BigEndian.Uint16(b); kind != success && kind != failure {
		return false
	}
	e.mu.Lock()
	var sent time.Time
	for i := range e.asked {
		if q := &e.asked[i]; !q.at.IsZero() && bytes.Equal(q.id[:], b[8:head]) {
			sent, q.at = q.at, time.Time{}
			break
		}
	}
	take := e.take
	e.mu.Unlock()
	if sent.IsZero() {
		return false
	}
	if take != nil {
		take(now.Sub(sent))
	}
	return true
}

// echoNet is the network of one ICE agent: it learns which way media go, and takes out the answers.
type echoNet struct {
	*stunguard.Net
	echoes *echoes
}

// ListenUDP implements pion's network.
func (n *echoNet) ListenUDP(network string, local *net.UDPAddr) (pion.UDPConn, error) {
	c, err := n.Net.ListenUDP(network, local)
	if err != nil {
		return nil, err
	}
	return &echoConn{c, n.echoes}, nil
}

type echoConn struct {
	pion.UDPConn
	echoes *echoes
}

func (c *echoConn) WriteTo(b []byte, to net.Addr) (int, error) {
	if len(b) > 0 && b[0]>>6 == 2 { // RTP (RFC 7983), not within what a relay forwards
		c.echoes.mu.Lock()
		c.echoes.via, c.echoes.to = c.UDPConn, to
		c.echoes.mu.Unlock()
	}
	return c.UDPConn.WriteTo(b, to)
}

func (c *echoConn) ReadFrom(b []byte) (n int, from net.Addr, err error) {
	for {
		if n, from, err = c.UDPConn.ReadFrom(b); err != nil || !c.echoes.answered(b[:n], time.Now()) {
			return n, from, err
		}
	}
}

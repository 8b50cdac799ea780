package icetcp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/turn/v2"
)

// TURN names a relay server that offers TCP allocations (RFC 6062).
type TURN struct {
	Server             string // host:port
	Username, Password string
	Realm              string // usually empty: the server tells
}

// Relay is one TCP allocation: an address on the TURN server where peers can
// connect to us. It serves one attempt.
type Relay struct {
	candidate Candidate
	control   net.Conn
	client    *turn.Client
	alloc     relayAllocation
	taken     atomic.Bool // a Conn owns it now
	once      sync.Once
}

// relayAllocation is the part of pion's TCPAllocation that is used here.
type relayAllocation interface {
	Accept() (net.Conn, error)
	SetDeadline(time.Time) error
	Close() error
	Addr() net.Addr
}

// Allocate asks the TURN server for a TCP allocation (RFC 6062). It fails if the server
// cannot be reached within ctx, or refuses.
func Allocate(ctx context.Context, t TURN) (*Relay, error) {
	d := net.Dialer{KeepAliveConfig: keepAlive}
	conn, err := d.DialContext(ctx, "tcp", t.Server)
	if err != nil {
		return nil, fmt.Errorf("icetcp: TURN server: %w", err)
	}
	c, err := turn.NewClient(&turn.ClientConfig{
		TURNServerAddr: conn.RemoteAddr().String(),
		STUNServerAddr: conn.RemoteAddr().String(),
		Conn:           turn.NewSTUNConn(conn),
		Username:       t.Username,
		Password:       t.Password,
		Realm:          t.Realm,
	})
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("icetcp: TURN client: %w", err)
	}
	r := &Relay{control: conn, client: c}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := c.Listen(); err != nil {
		r.Close()
		return nil, fmt.Errorf("icetcp: TURN client: %w", err)
	}
	alloc, err := c.AllocateTCP()
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("icetcp: TURN allocation: %w", err)
	}
	r.alloc = alloc
	r.candidate = newCandidate(maxCandidates-1, Relayed, Passive, addrPort(alloc.Addr()))
	return r, nil
}

// Addr is the relayed address to offer.
func (r *Relay) Addr() netip.AddrPort { return r.candidate.Addr }

// accept lets the peer's addresses in and returns the next connection that
// comes through the relay.
func (r *Relay) accept(ctx context.Context, remote Description) (net.Conn, error) {
	var peers []net.Addr
	seen := make(map[netip.Addr]bool)
	for _, c := range remote.Candidates {
		if ip := c.Addr.Addr(); !seen[ip] && ip.Is4() == r.candidate.Addr.Addr().Is4() {
			seen[ip] = true
			peers = append(peers, &net.TCPAddr{IP: ip.AsSlice(), Port: int(c.Addr.Port())})
		}
	}
	if len(peers) == 0 {
		return nil, errors.New("icetcp: nobody to let in at the relay")
	}
	if err := r.client.CreatePermission(peers...); err != nil {
		return nil, fmt.Errorf("icetcp: TURN permission: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { r.alloc.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	return r.alloc.Accept()
}

// Close gives the allocation back. The error is always nil.
func (r *Relay) Close() error {
	r.once.Do(func() {
		if r.alloc != nil {
			r.alloc.Close()
		}
		r.client.Close()
		r.control.Close()
	})
	return nil
}

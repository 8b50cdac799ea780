package icetcp

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// maxHosts bounds own addresses that are offered.
const maxHosts = 8

// Bounds of asking others for our address.
const (
	seenFresh   = 5 * time.Minute
	stunTimeout = time.Second
)

// hostAddresses lists the addresses of this machine's interfaces that a peer may be able
// to reach: no loopback, no link-local, maxHosts at most. It fails only as the system
// does.
func hostAddresses() ([]netip.Addr, error) {
	ifs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("icetcp: own addresses: %w", err)
	}
	var out []netip.Addr
	for _, a := range ifs {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		ip, ok := netip.AddrFromSlice(n.IP)
		ip = ip.Unmap()
		if ok && ip.IsGlobalUnicast() && len(out) < maxHosts {
			out = append(out, ip)
		}
	}
	return out, nil
}

// Addresses is where an Agent can be reached and what it looks like from
// outside.
type Addresses struct {
	// Host lists own addresses; Port is where the Listener listens.
	Host []netip.Addr
	Port uint16
	// Mapped lists outside addresses that lead to the Listener: configured
	// port forwards, UPnP and NAT-PMP mappings.
	Mapped []netip.AddrPort
	// Seen lists outside addresses as others saw us (STUN, the DHT); they let
	// the peer recognise connections that we open.
	Seen []netip.Addr
	// Relay is the address of an allocation on a TURN server.
	Relay netip.AddrPort
}

// Candidates lists all of them, best first, without repeats.
func (a Addresses) Candidates() []Candidate {
	var out []Candidate
	has := make(map[netip.AddrPort]bool)
	add := func(t CandidateType, tt TCPType, ap netip.AddrPort) {
		if len(out) < maxCandidates && !has[ap] {
			has[ap] = true
			out = append(out, newCandidate(len(out), t, tt, ap))
		}
	}
	for _, ip := range a.Host {
		add(Host, Passive, netip.AddrPortFrom(ip, a.Port))
		add(Host, Active, netip.AddrPortFrom(ip, discardPort))
	}
	for _, ap := range a.Mapped {
		add(ServerReflexive, Passive, ap)
		add(ServerReflexive, Active, netip.AddrPortFrom(ap.Addr(), discardPort))
	}
	for _, ip := range a.Seen {
		add(ServerReflexive, Active, netip.AddrPortFrom(ip, discardPort))
	}
	if a.Relay.IsValid() {
		add(Relayed, Passive, a.Relay)
	}
	return out
}

// PortMapper has addresses on a gateway that lead to us.
type PortMapper interface {
	// Mapped lists outside addresses of the TCP port.
	Mapped() []netip.AddrPort
}

// Gatherer finds the candidates of each attempt. All attempts of a program
// share one. It is safe for many goroutines.
type Gatherer struct {
	// Listener is where peers connect to us. Required.
	Listener *Listener
	// Hosts replaces the addresses of this machine's interfaces.
	Hosts []netip.Addr
	// External lists outside addresses that somebody forwards to Listener.
	External []netip.AddrPort
	// STUN lists servers, host:port, that tell us our outside address.
	STUN []string
	// TURN lists servers that relay TCP; the first that works is used.
	TURN []TURN
	// Mapper is a gateway that forwards a port, or nil.
	Mapper PortMapper
	// Reported returns outside addresses that others told us of, such as nodes
	// of the DHT. May be nil.
	Reported func(context.Context) []netip.Addr
	// Logger is told of servers that fail; nil is silent.
	Logger *slog.Logger

	mu     sync.Mutex // guards the rest; held while STUN servers are asked
	seen   []netip.Addr
	seenAt time.Time
}

// Gather lists the candidates for one attempt. The relay, if not nil, is the caller's to
// close, or to give to the Agent. Servers that do not answer cost time, not the attempt:
// it fails only if the system does not tell the machine's addresses.
func (g *Gatherer) Gather(ctx context.Context) ([]Candidate, *Relay, error) {
	a := Addresses{Host: g.Hosts, Port: g.Listener.Port(), Mapped: slices.Clone(g.External)}
	if a.Host == nil {
		var err error
		if a.Host, err = hostAddresses(); err != nil {
			return nil, nil, err
		}
	}
	if g.Mapper != nil {
		a.Mapped = append(a.Mapped, g.Mapper.Mapped()...)
	}
	a.Seen = g.outside(ctx)
	if g.Reported != nil {
		for _, ip := range g.Reported(ctx) {
			if ip = ip.Unmap(); ip.IsGlobalUnicast() && !slices.Contains(a.Host, ip) {
				a.Seen = append(a.Seen, ip)
			}
		}
	}
	var relay *Relay
	for _, t := range g.TURN {
		tctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		r, err := Allocate(tctx, t)
		cancel()
		if err == nil {
			relay, a.Relay = r, r.Addr()
			break
		}
		g.warn("TURN server", t.Server, err)
	}
	return a.Candidates(), relay, nil
}

func (g *Gatherer) warn(what, server string, err error) {
	if g.Logger != nil {
		g.Logger.Warn("jami: "+what, "server", server, "error", err)
	}
}

// outside returns our addresses as the STUN servers see them, remembered for
// some minutes.
func (g *Gatherer) outside(ctx context.Context) []netip.Addr {
	if len(g.STUN) == 0 {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if time.Since(g.seenAt) < seenFresh {
		return slices.Clone(g.seen)
	}
	g.seen = nil
	for _, server := range g.STUN {
		ip, err := askSTUN(ctx, server)
		if err != nil {
			g.warn("STUN server", server, err)
			continue
		}
		if !slices.Contains(g.seen, ip) {
			g.seen = append(g.seen, ip)
		}
	}
	g.seenAt = time.Now()
	return slices.Clone(g.seen)
}

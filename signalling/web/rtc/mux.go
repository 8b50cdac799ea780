package rtc

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/pion/ice/v2"
	"github.com/pion/stun"

	"rendezvous/signalling/stunguard"
)

const (
	mostDatagram = 8192 // bytes, as pion reads them; there are no longer ones
	mostWaiting  = 1024 // datagrams of one peer that it has not read
)

// mux is the UDP ports that all peers share, one for each address of the machine. It is an ice.UDPMux in the place of pion's, which has
// a goroutine for each address of each peer that waits for its end, and looks each packet's address up under three locks.
type mux struct {
	sockets []*socket
	readers sync.WaitGroup
}

// listenUDP opens a port of one address, or of each address of the machine where addr is unspecified: of its loopback too if that is
// wished for. The errors are the system's; nothing is left open then.
func listenUDP(addr *net.UDPAddr, loopback bool, log *slog.Logger, malformed func()) (*mux, error) {
	ips := []net.IP{addr.IP}
	if addr.IP == nil || addr.IP.IsUnspecified() {
		var err error
		if ips, err = addresses(loopback); err != nil {
			return nil, err
		}
	}
	m := &mux{}
	for _, ip := range ips {
		conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: ip, Port: addr.Port, Zone: addr.Zone})
		if err != nil {
			return nil, errors.Join(err, m.Close())
		}
		// Smaller buffers than wished for are no reason to fail.
		_ = conn.SetReadBuffer(udpBuffer)
		_ = conn.SetWriteBuffer(udpBuffer)
		s := &socket{
			conn: conn, addr: conn.LocalAddr().(*net.UDPAddr), log: log, malformed: malformed,
			peers: make(map[string]*muxedConn), remotes: make(map[netip.AddrPort]remote),
		}
		m.sockets = append(m.sockets, s)
		m.readers.Go(s.read)
	}
	return m, nil
}

// addresses are those of the machine at which browsers can reach it.
func addresses(loopback bool) ([]net.IP, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("interfaces of the machine: %w", err)
	}
	var ips []net.IP
	for _, i := range interfaces {
		if i.Flags&net.FlagUp == 0 {
			continue
		}
		of, err := i.Addrs()
		if err != nil {
			continue // it has gone
		}
		for _, a := range of {
			prefix, ok := a.(*net.IPNet)
			if !ok {
				continue
			}
			ip, _ := netip.AddrFromSlice(prefix.IP)
			ip = ip.Unmap()
			// RFC 8445 section 5.1.1.1: neither ::1 nor what is deprecated; and of IPv4 the loopback only as a wish.
			deprecated := ip.Is6() && (netip.MustParsePrefix("::/96").Contains(ip) || netip.MustParsePrefix("fec0::/10").Contains(ip))
			if ip.IsLinkLocalUnicast() || deprecated || ip.IsLoopback() && !loopback {
				continue
			}
			ips = append(ips, prefix.IP)
		}
	}
	return ips, nil
}

// Close closes the ports and waits for those who read them.
func (m *mux) Close() error {
	var errs []error
	for _, s := range m.sockets {
		errs = append(errs, s.conn.Close())
	}
	m.readers.Wait()
	return errors.Join(errs...)
}

// of is the mux as a peer is to see it, whose signalling comes from an address: one elsewhere is not offered our loopback.
func (m *mux) of(peer netip.Addr) *muxView {
	v := &muxView{}
	for _, s := range m.sockets {
		if mayBeHere(peer) || !s.addr.IP.IsLoopback() {
			v.sockets = append(v.sockets, s)
		}
	}
	if len(v.sockets) == 0 {
		v.sockets = m.sockets
	}
	return v
}

// mayBeHere reports whether a peer may be on this machine, as its signalling comes from there or from nobody knows where.
func mayBeHere(peer netip.Addr) bool { return !peer.IsValid() || peer.Unmap().IsLoopback() }

// muxView is some sockets of a mux, as one peer's ice.UDPMux.
type muxView struct{ sockets []*socket }

var _ ice.UDPMux = (*muxView)(nil)

// Close implements ice.UDPMux. Nobody calls it: the ports are the engine's.
func (v *muxView) Close() error { return nil }

// GetListenAddresses implements ice.UDPMux.
func (v *muxView) GetListenAddresses() []net.Addr {
	addrs := make([]net.Addr, len(v.sockets))
	for i, s := range v.sockets {
		addrs[i] = s.addr
	}
	return addrs
}

// GetConn implements ice.UDPMux: what is for an ICE agent with that user fragment comes by it, and for another address is another one.
func (v *muxView) GetConn(ufrag string, local net.Addr) (net.PacketConn, error) {
	for _, s := range v.sockets {
		if s.addr.String() == local.String() {
			return s.join(ufrag)
		}
	}
	return nil, fmt.Errorf("no media port at %s", local)
}

// RemoveConnByUfrag implements ice.UDPMux.
func (v *muxView) RemoveConnByUfrag(ufrag string) {
	for _, s := range v.sockets {
		s.mu.Lock()
		c := s.peers[ufrag]
		s.mu.Unlock()
		if c != nil {
			s.leave(c)
		}
	}
}

// socket is one port.
type socket struct {
	conn      *net.UDPConn
	addr      *net.UDPAddr
	log       *slog.Logger
	malformed func()    // may be nil
	spare     sync.Pool // of *[]byte that are not in use

	mu      sync.RWMutex // guards all below
	peers   map[string]*muxedConn
	remotes map[netip.AddrPort]remote
	closed  bool
}

// remote is an address that a peer has been written to.
type remote struct {
	conn *muxedConn
	addr *net.UDPAddr
}

// join returns the connection of a user fragment.
func (s *socket) join(ufrag string) (*muxedConn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, net.ErrClosed
	}
	c := s.peers[ufrag]
	if c == nil {
		c = &muxedConn{socket: s, ufrag: ufrag, come: make(chan struct{}, 1), closed: make(chan struct{})}
		s.peers[ufrag] = c
	}
	return c, nil
}

// leave has nothing come to c any more.
func (s *socket) leave(c *muxedConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.peers[c.ufrag] == c {
		delete(s.peers, c.ufrag)
	}
	for _, a := range c.remotes {
		if s.remotes[a].conn == c {
			delete(s.remotes, a)
		}
	}
	c.remotes = nil
}

// write sends a datagram of c's. Who answers from there is c's peer from now on.
func (s *socket) write(c *muxedConn, b []byte, to *net.UDPAddr) (int, error) {
	at := plain(to.AddrPort())
	s.mu.RLock()
	known := s.remotes[at].conn == c
	s.mu.RUnlock()
	if !known {
		s.mu.Lock()
		// Whoever is told of another peer's address as their own does not get what comes from there.
		if s.peers[c.ufrag] == c && (s.remotes[at].conn == nil || c.named == at) {
			s.remotes[at] = remote{c, to}
			c.remotes = append(c.remotes, at)
		}
		s.mu.Unlock()
	}
	return s.conn.WriteToUDPAddrPort(b, at)
}

// read hands out what comes until the port is closed.
func (s *socket) read() {
	defer func() {
		s.mu.Lock()
		s.closed = true
		var all []*muxedConn
		for _, c := range s.peers {
			all = append(all, c)
		}
		s.mu.Unlock()
		for _, c := range all {
			_ = c.Close()
		}
	}()
	b := make([]byte, mostDatagram)
	for {
		n, from, err := s.conn.ReadFromUDPAddrPort(b)
		if errors.Is(err, net.ErrClosed) {
			return
		} else if err != nil { // of a datagram sent before: nobody was there
			s.log.Debug("reading a media port", "error", err)
			continue
		}
		if !stunguard.WellFormed(b[:n]) {
			if s.malformed != nil {
				s.malformed()
			}
			continue
		}
		from = plain(from)
		s.mu.RLock()
		to := s.remotes[from]
		// A check says whom it is for, also from an address that another peer had before.
		var named *muxedConn
		if name := called(b[:n]); name != "" {
			if named = s.peers[name]; named != nil && named != to.conn {
				to = remote{named, net.UDPAddrFromAddrPort(from)}
			}
		}
		s.mu.RUnlock()
		if named != nil {
			s.mu.Lock()
			named.named = from
			s.mu.Unlock()
		}
		if to.conn != nil {
			to.conn.put(b[:n], to.addr)
		}
	}
}

// plain is an address as it is known by: one of IPv4 as such.
func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// called is the user fragment of ours that a STUN message is for (RFC 8445 section 7.2.2), "" if it is none.
func called(b []byte) string {
	if !stun.IsMessage(b) {
		return ""
	}
	m := stun.Message{Raw: b}
	if m.Decode() != nil {
		return ""
	}
	name, err := m.Get(stun.AttrUsername)
	if err != nil {
		return ""
	}
	ours, _, _ := strings.Cut(string(name), ":")
	return ours
}

// muxedConn is a socket as one ICE agent sees it: a net.PacketConn.
type muxedConn struct {
	socket  *socket
	ufrag   string
	remotes []netip.AddrPort // guarded by socket.mu, as is named
	named   netip.AddrPort   // where the newest check that names it came from
	come    chan struct{}    // capacity 1: waiting has something
	closed  chan struct{}

	mu      sync.Mutex // guards all below
	waiting []datagram // the oldest first
	first   int        // of waiting that has not been read
	shut    bool
}

type datagram struct {
	bytes *[]byte // of socket.spare
	from  *net.UDPAddr
}

// put leaves a datagram to be read. When too many wait, the oldest goes.
func (c *muxedConn) put(b []byte, from *net.UDPAddr) {
	buf, ok := c.socket.spare.Get().(*[]byte)
	if !ok {
		buf = new([]byte)
	}
	*buf = append((*buf)[:0], b...)
	c.mu.Lock()
	if c.shut {
		c.mu.Unlock()
		return
	}
	if len(c.waiting)-c.first == mostWaiting {
		c.drop()
	}
	if c.first >= mostWaiting {
		c.waiting = c.waiting[:copy(c.waiting, c.waiting[c.first:])]
		c.first = 0
	}
	c.waiting = append(c.waiting, datagram{buf, from})
	c.mu.Unlock()
	select {
	case c.come <- struct{}{}:
	default:
	}
}

// drop forgets the oldest datagram. c.mu is held.
func (c *muxedConn) drop() {
	c.socket.spare.Put(c.waiting[c.first].bytes)
	if c.first++; c.first == len(c.waiting) {
		c.waiting, c.first = c.waiting[:0], 0
	}
}

// ReadFrom implements net.PacketConn.
func (c *muxedConn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		c.mu.Lock()
		if len(c.waiting) > 0 {
			d := c.waiting[c.first]
			n := copy(b, *d.bytes)
			c.drop()
			c.mu.Unlock()
			return n, d.from, nil
		}
		c.mu.Unlock()
		select {
		case <-c.come:
		case <-c.closed:
			return 0, nil, io.EOF
		}
	}
}

// WriteTo implements net.PacketConn.
func (c *muxedConn) WriteTo(b []byte, to net.Addr) (int, error) {
	select {
	case <-c.closed:
		return 0, io.ErrClosedPipe
	default:
	}
	addr, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, fmt.Errorf("%v is no address of UDP", to)
	}
	return c.socket.write(c, b, addr)
}

// Close implements net.PacketConn.
func (c *muxedConn) Close() error {
	c.socket.leave(c)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.shut {
		c.shut = true
		close(c.closed)
		for len(c.waiting) > 0 {
			c.drop()
		}
	}
	return nil
}

// LocalAddr implements net.PacketConn.
func (c *muxedConn) LocalAddr() net.Addr { return c.socket.addr }

// SetDeadline does nothing: pion sets one before it closes.
func (c *muxedConn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing either.
func (c *muxedConn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing either.
func (c *muxedConn) SetWriteDeadline(time.Time) error { return nil }

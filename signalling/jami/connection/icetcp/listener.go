package icetcp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"rendezvous/internal/anyaddr"
)

// Listener bounds.
const (
	// firstCheckTimeout is how long a fresh connection may take to say which
	// attempt it is for.
	firstCheckTimeout = 10 * time.Second
	// maxUnclaimed bounds connections that have not said so yet.
	maxUnclaimed = 256
)

// Reasons given to Listener.Refused and Config.Refused.
const (
	RefusedFull      = "too_many_connections"
	RefusedFirst     = "bad_first_frame"
	RefusedUnknown   = "unknown_ufrag"
	RefusedIntegrity = "bad_check"
	RefusedEarlyData = "data_before_nomination"
)

// Listener accepts the TCP connections of all attempts on one port and hands
// each to the Agent that its first check names.
type Listener struct {
	tcp     *net.TCPListener
	refused func(reason string)

	wg     sync.WaitGroup
	slots  chan struct{}
	mu     sync.Mutex // guards agents, fresh, closed
	agents map[string]*Agent
	fresh  map[net.Conn]struct{}
	closed bool
}

// Listen opens the port (address as for net.Listen; ":0" picks one, both
// address families). refused, if not nil, is told the reason of every
// connection that is dropped; it must not block.
func Listen(address string, refused func(reason string)) (*Listener, error) {
	l, err := anyaddr.Listen(context.Background(), address)
	if err != nil {
		return nil, fmt.Errorf("icetcp: listening: %w", err)
	}
	if refused == nil {
		refused = func(string) {}
	}
	ln := &Listener{
		tcp:     l.(*net.TCPListener),
		refused: refused,
		slots:   make(chan struct{}, maxUnclaimed),
		agents:  make(map[string]*Agent),
		fresh:   make(map[net.Conn]struct{}),
	}
	ln.wg.Add(1)
	go ln.accept()
	return ln, nil
}

// keepAlive notices a peer that vanished within about a minute.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3}

// userTimeout ends a connection whose peer acknowledges nothing.
const userTimeout = 60 * time.Second

// unsentLimit keeps little data waiting in the kernel, so that a small
// message need not queue behind megabytes of a file.
const unsentLimit = 128 << 10

// tune sets what every connection of ours has; failing to is harmless.
func tune(conn net.Conn) {
	t, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	_ = t.SetKeepAliveConfig(keepAlive)
	raw, err := t.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(userTimeout.Milliseconds()))
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentLimit)
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, tcpRTOMax, int(rtoMax.Milliseconds()))
	})
}

// Port is the listening TCP port.
func (l *Listener) Port() uint16 { return l.tcp.Addr().(*net.TCPAddr).AddrPort().Port() }

// Close stops listening, closes connections that no attempt has claimed, and waits.
// Attempts that run, and connections they yielded, are not touched. The error is of
// closing the socket.
func (l *Listener) Close() error {
	l.mu.Lock()
	l.closed = true
	for c := range l.fresh {
		c.Close()
	}
	l.mu.Unlock()
	err := l.tcp.Close()
	l.wg.Wait()
	return err
}

func (l *Listener) accept() {
	defer l.wg.Done()
	for {
		conn, err := l.tcp.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of descriptors or a connection reset while it queued: the
			// port must not be lost for it.
			time.Sleep(10 * time.Millisecond)
			continue
		}
		select {
		case l.slots <- struct{}{}:
		default:
			l.refused(RefusedFull)
			conn.Close()
			continue
		}
		l.mu.Lock()
		if l.closed {
			l.mu.Unlock()
			conn.Close()
			<-l.slots
			return
		}
		l.fresh[conn] = struct{}{}
		l.mu.Unlock()
		l.wg.Add(1)
		go l.claim(conn)
	}
}

// claim reads the first check and passes the connection on.
func (l *Listener) claim(conn net.Conn) {
	defer l.wg.Done()
	defer func() { <-l.slots }()
	tune(conn)
	conn.SetReadDeadline(time.Now().Add(firstCheckTimeout))
	br := bufio.NewReader(conn)
	in, reason := l.identify(br)
	l.mu.Lock()
	delete(l.fresh, conn)
	a := l.agents[in.ufrag]
	l.mu.Unlock()
	if reason == "" && a == nil {
		reason = RefusedUnknown
	}
	if reason != "" {
		l.refused(reason)
		conn.Close()
		return
	}
	conn.SetReadDeadline(time.Time{})
	if !a.incoming(&link{conn: conn, br: br, first: in.frame, remote: prflx(conn.RemoteAddr()), incoming: true}) {
		l.refused(RefusedFull)
		conn.Close()
	}
}

type firstCheck struct {
	ufrag string
	frame []byte
}

func (l *Listener) identify(br *bufio.Reader) (firstCheck, string) {
	frame, err := readCheck(br)
	if err != nil {
		return firstCheck{}, RefusedFirst
	}
	m, err := decode(frame)
	if err != nil {
		return firstCheck{}, RefusedFirst
	}
	u, err := addressee(m)
	if err != nil {
		return firstCheck{}, RefusedFirst
	}
	return firstCheck{u, frame}, ""
}

func (l *Listener) register(ufrag string, a *Agent) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return net.ErrClosed
	}
	if _, dup := l.agents[ufrag]; dup {
		return fmt.Errorf("icetcp: ufrag %q is in use", ufrag)
	}
	l.agents[ufrag] = a
	return nil
}

func (l *Listener) unregister(ufrag string) {
	l.mu.Lock()
	delete(l.agents, ufrag)
	l.mu.Unlock()
}

// addrPort of a TCP connection's end.
func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		p := t.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	p, _ := netip.ParseAddrPort(a.String())
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

func prflx(a net.Addr) Candidate { return newCandidate(0, PeerReflexive, Active, addrPort(a)) }

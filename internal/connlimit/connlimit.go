// Package connlimit bounds what strangers may hold open at the same time, of one network and in all: connections of a listener, or
// whatever else begins and ends. How often something may be done is ratelimit's.
package connlimit

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"rendezvous/internal/sourcenet"
)

// Config are the bounds.
type Config struct {
	All       int // places in all
	PerSource int // of one network, as sourcenet.Of has it; an address that is not known is a network of its own
	// Exempt says which addresses stand for many sources, as a proxy's does: of All alone is a place for them. nil: none.
	Exempt func(netip.Addr) bool
	// Refused is called whenever there was no place; nil: nobody is told.
	Refused func(source netip.Addr)
	// Starved is told each time that a connection could not be taken for want of descriptors or memory; nil: nobody is told.
	Starved func(error)
}

// Limiter knows whose places are taken. It may be used by many goroutines at once, and remembers nobody who has none.
type Limiter struct {
	cfg Config

	mu       sync.Mutex // guards what follows
	all      int
	bySource map[netip.Prefix]int
}

// New makes a Limiter.
func New(cfg Config) *Limiter {
	return &Limiter{cfg: cfg, bySource: make(map[netip.Prefix]int)}
}

// Enter takes a place for an address, if there is one. leave gives it back, once, however often it is called.
func (l *Limiter) Enter(source netip.Addr) (leave func(), ok bool) {
	source = source.Unmap().WithZone("")
	exempt := l.cfg.Exempt != nil && l.cfg.Exempt(source)
	key := sourcenet.Of(source)
	if !l.take(key, exempt) {
		if l.cfg.Refused != nil {
			l.cfg.Refused(source)
		}
		return nil, false
	}
	return sync.OnceFunc(func() { l.giveBack(key, exempt) }), true
}

func (l *Limiter) take(key netip.Prefix, exempt bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all >= l.cfg.All || !exempt && l.bySource[key] >= l.cfg.PerSource {
		return false
	}
	l.all++
	if !exempt {
		l.bySource[key]++
	}
	return true
}

func (l *Limiter) giveBack(key netip.Prefix, exempt bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if exempt {
		return
	}
	if l.bySource[key]--; l.bySource[key] == 0 {
		delete(l.bySource, key)
	}
}

// Taken is how many places are taken, and by how many sources; those that are exempt are none.
func (l *Limiter) Taken() (all, sources int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all, len(l.bySource)
}

// Listener returns inner, whose connections have a place each until they are closed. Those that there is no place for are closed before
// anything is read of them.
func (l *Limiter) Listener(inner net.Listener) net.Listener {
	return &listener{Listener: inner, limiter: l, closed: make(chan struct{})}
}

type listener struct {
	net.Listener
	limiter *Limiter
	closing sync.Once
	closed  chan struct{}
}

// Close is net.Listener's. It ends a pause of Accept's.
func (l *listener) Close() error {
	l.closing.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// Pauses of Accept while the system has no more to give.
const firstPause, longestPause = 5 * time.Millisecond, time.Second

// Accept is net.Listener's, with its errors, but for those that pass: while there are no descriptors or no memory it waits, as not
// everybody who accepts does.
func (l *listener) Accept() (net.Conn, error) {
	pause := firstPause
	for {
		c, err := l.Listener.Accept()
		if passes(err) {
			if l.limiter.cfg.Starved != nil {
				l.limiter.cfg.Starved(err)
			}
			select {
			case <-time.After(pause):
			case <-l.closed:
			}
			pause = min(2*pause, longestPause)
			continue
		}
		if err != nil {
			return nil, err
		}
		pause = firstPause
		if leave, ok := l.limiter.Enter(addrOf(c.RemoteAddr())); ok {
			return &conn{c, leave}, nil
		}
		_ = c.Close() // nothing was written to it that could be lost
	}
}

// passes reports whether an error of accept(2) says nothing of the listener.
func passes(err error) bool {
	for _, e := range []error{syscall.ECONNABORTED, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

type conn struct {
	net.Conn
	leave func()
}

// Close is net.Conn's.
func (c *conn) Close() error {
	c.leave()
	return c.Conn.Close()
}

// addrOf takes the address out of that of a TCP connection; the zero Addr of another.
func addrOf(a net.Addr) netip.Addr {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.AddrPort().Addr()
	}
	return netip.Addr{}
}

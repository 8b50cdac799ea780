package icetcp

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"sync"
	"time"
)

// Times of an attempt (RFC 6544 as pjnath keeps them).
const (
	dialTimeout  = 15 * time.Second
	redialAfter  = 500 * time.Millisecond
	maxDials     = 24
	writeTimeout = 5 * time.Second
	// nominateGrace is how long the controlling side waits, once a connection
	// works, for a better one or for the peer's own check.
	nominateGrace = 100 * time.Millisecond
	// maxLinks bounds the connections of one attempt.
	maxLinks = 24
)

// Config says how an Agent reaches the world.
type Config struct {
	// Listener takes the connections that the peer opens. Required.
	Listener *Listener
	// Controlling is the role to start in: the side that answers a Jami
	// connection request controls. A role conflict may change it.
	Controlling bool
	// Candidates lists the local addresses, as Gather returns them.
	Candidates []Candidate
	// Relay is an allocation on a TURN server that Candidates tells of, or
	// nil. The Agent owns it.
	Relay *Relay
	// AllowLoopback accepts the peer's loopback candidates; for tests.
	AllowLoopback bool
	// Refused is told the reason of every connection of this attempt that is
	// dropped for what it sent. May be nil; must not block.
	Refused func(reason string)
}

// Agent is one attempt to connect to one peer. Use it once: New, tell the peer
// Local, then Connect or Close.
type Agent struct {
	cfg        Config
	local      Description
	controller bool // the present role
	tieBreaker uint64

	inbound chan *link
	closed  chan struct{}
	once    sync.Once
}

// ErrClosed is returned by Connect after Close.
var ErrClosed = errors.New("icetcp: agent closed")

// New makes the credentials of an attempt and registers them with the Listener, so that
// the peer's checks find it. It fails with net.ErrClosed if that is closed.
func New(cfg Config) (*Agent, error) {
	if cfg.Refused == nil {
		cfg.Refused = func(string) {}
	}
	var b [24]byte
	rand.Read(b[:])
	a := &Agent{
		cfg:        cfg,
		controller: cfg.Controlling,
		tieBreaker: binary.BigEndian.Uint64(b[16:]),
		inbound:    make(chan *link, maxLinks),
		closed:     make(chan struct{}),
	}
	a.local = Description{
		Ufrag:      hex.EncodeToString(b[:4]),
		Password:   hex.EncodeToString(b[4:16]),
		Candidates: cfg.Candidates,
	}
	if err := cfg.Listener.register(a.local.Ufrag, a); err != nil {
		return nil, err
	}
	return a, nil
}

// Local is what the peer has to be told.
func (a *Agent) Local() Description { return a.local }

// Close abandons the attempt. A connection that Connect has returned lives on. The error
// is always nil.
func (a *Agent) Close() error {
	a.once.Do(func() {
		close(a.closed)
		a.cfg.Listener.unregister(a.local.Ufrag)
		a.drain()
		if r := a.cfg.Relay; r != nil && !r.taken.Load() {
			r.Close()
		}
	})
	return nil
}

// incoming queues a connection for Connect. It reports false if the attempt
// has enough of them or is over.
func (a *Agent) incoming(l *link) bool {
	select {
	case <-a.closed:
		return false
	default:
	}
	select {
	case a.inbound <- l:
	default:
		return false
	}
	select {
	case <-a.closed: // Close may have drained before this one was queued
		a.drain()
	default:
	}
	return true
}

func (a *Agent) drain() {
	for {
		select {
		case l := <-a.inbound:
			l.conn.Close()
		default:
			return
		}
	}
}

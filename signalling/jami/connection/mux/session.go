package mux

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// version is what we tell the peer: 1 means that beacons are answered.
const version = 1

// goodbyeWait is how long the end of a session waits for a write that is under way.
const goodbyeWait = 300 * time.Millisecond

// Defaults of Config.
const (
	defaultBuffer       = 1 << 20
	defaultMaxChannels  = 64
	defaultPatience     = 250 * time.Millisecond
	defaultBeaconWait   = 3 * time.Second
	defaultDoubtAfter   = 5 * time.Second
	defaultDoubtWait    = 10 * time.Second
	defaultProbeEvery   = 30 * time.Second
	defaultOpenTimeout  = 30 * time.Second
	defaultWriteTimeout = 60 * time.Second
)

// queueLength bounds control messages that wait for the connection: a peer that
// asks without reading our answers is cut off.
const queueLength = 256

// Errors of sessions and channels.
var (
	ErrDeclined = errors.New("mux: channel declined")
	ErrOverrun  = errors.New("mux: channel ended: nobody reads it")
	ErrBeacon   = errors.New("mux: beacon not answered")
	ErrFull     = errors.New("mux: too many channels")
)

// Reasons given to Config.Dropped.
const (
	DroppedUnknown   = "data_for_unknown_channel"
	DroppedOverrun   = "channel_overrun"
	DroppedMalformed = "malformed"
	DroppedFlood     = "control_flood"
	DroppedDeclined  = "channel_declined"
)

// Config is how a Session behaves. Zero values mean the defaults.
type Config struct {
	// TLSClient tells the side that numbers its channels from 1; the other
	// starts at 0x8000.
	TLSClient bool
	// Accept decides about a channel that the peer asks for, and returns what
	// serves it. It runs in a goroutine of its own and may take its time;
	// serve must return when the channel ends, which closes it. nil declines.
	Accept func(name string) (serve func(*Channel), ok bool)
	// Dropped is told why something of the peer's was dropped or refused. It
	// must not block. May be nil.
	Dropped func(reason string)
	// Unanswered is told that the session ends because a beacon was not
	// answered, before the connection is closed. It must not block. May be nil.
	Unanswered func()

	Buffer       int           // bytes buffered per channel before the peer is slowed
	MaxChannels  int           // open channels, ours and the peer's
	Patience     time.Duration // wait for a slow reader before its channel is ended
	BeaconWait   time.Duration // wait for the answer to a beacon
	OpenTimeout  time.Duration // wait for the answer to a channel request
	WriteTimeout time.Duration // a connection that takes no data for so long is dead
	DoubtAfter   time.Duration // a peer silent for so long is asked for a sign of life when data is sent
	DoubtWait    time.Duration // wait for that sign
	ProbeEvery   time.Duration // a peer silent for so long is asked in any case
}

func (c *Config) defaults() {
	def := func(p *time.Duration, d time.Duration) {
		if *p == 0 {
			*p = d
		}
	}
	if c.Buffer == 0 {
		c.Buffer = defaultBuffer
	}
	if c.MaxChannels == 0 {
		c.MaxChannels = defaultMaxChannels
	}
	def(&c.Patience, defaultPatience)
	def(&c.BeaconWait, defaultBeaconWait)
	def(&c.OpenTimeout, defaultOpenTimeout)
	def(&c.WriteTimeout, defaultWriteTimeout)
	def(&c.DoubtAfter, defaultDoubtAfter)
	def(&c.DoubtWait, defaultDoubtWait)
	def(&c.ProbeEvery, defaultProbeEvery)
	if c.Dropped == nil {
		c.Dropped = func(string) {}
	}
	if c.Unanswered == nil {
		c.Unanswered = func() {}
	}
}

// Session is one connection with its channels. Two goroutines run it, one that
// reads and one that sends control messages, and one for each channel that
// Accept took.
type Session struct {
	conn net.Conn
	cfg  Config

	turn     chan struct{} // cap 1: whose turn it is to write; waiters queue in order
	wbuf     []byte        // held with turn
	controls chan []byte
	waiting  chan struct{} // one token: there are controls
	done     chan struct{} // closed when the session has ended
	ready    chan struct{} // closed when the peer told its version
	pong     chan struct{} // cap 1: a beacon was answered
	pinging  chan struct{} // cap 1: held by Ping
	wg       sync.WaitGroup

	began   time.Time
	heard   atomic.Int64 // when something last came, nanoseconds from began
	doubted atomic.Bool  // a sign of life is waited for
	version atomic.Uint64

	mu       sync.Mutex // guards the rest
	channels map[uint16]*Channel
	next     uint16
	err      error
}

// New takes over conn, on which both sides are authenticated, and starts.
func New(conn net.Conn, cfg Config) *Session {
	cfg.defaults()
	s := &Session{
		conn:     conn,
		cfg:      cfg,
		began:    time.Now(),
		turn:     make(chan struct{}, 1),
		controls: make(chan []byte, queueLength),
		waiting:  make(chan struct{}, 1),
		done:     make(chan struct{}),
		ready:    make(chan struct{}),
		pong:     make(chan struct{}, 1),
		pinging:  make(chan struct{}, 1),
		channels: make(map[uint16]*Channel),
		next:     0x8000,
	}
	if cfg.TLSClient {
		s.next = 1
	}
	v := uint64(version)
	s.queue(appendObject(nil, protocolChannel, protocol{version: &v}.append(nil)))
	s.wg.Add(2)
	go s.read()
	go s.sendControls()
	return s
}

// Done is closed when the session has ended; Err then says why.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err is why the session ended: io.EOF if the peer closed it, net.ErrClosed if
// we did. It is nil before.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Channels counts the open channels.
func (s *Session) Channels() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.channels)
}

// Abort ends the session and all its channels without waiting for those who
// serve them; it waits a moment for a write that is under way.
func (s *Session) Abort() { s.fail(net.ErrClosed) }

// Close ends the session and waits for everything it started. Whoever serves a channel
// must not call it: use Abort there. The error is always nil.
func (s *Session) Close() error {
	s.Abort()
	s.wg.Wait()
	return nil
}

// fail ends the session. TLS says goodbye only if no write is under way, and a
// daemon that was told nothing takes the connection for alive for tens of seconds:
// so a write gets a moment to finish.
func (s *Session) fail(err error) {
	if !s.end(err) {
		return
	}
	t := time.NewTimer(goodbyeWait)
	defer t.Stop()
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-t.C:
	}
	s.conn.Close()
}

// end gives up all channels; it reports false if that had been done.
func (s *Session) end(err error) bool {
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return false
	}
	s.err = err
	all := s.channels
	s.channels = nil
	close(s.done)
	s.mu.Unlock()
	for _, c := range all {
		c.end(err)
	}
	return true
}

// Open asks the peer for a channel of this name. It fails with ErrDeclined if
// the peer does not want it, and with the session's error if that ends.
func (s *Session) Open(ctx context.Context, name string) (*Channel, error) {
	if name == "" || len(name) > maxName {
		return nil, fmt.Errorf("mux: channel name of %d bytes", len(name))
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.OpenTimeout)
	defer cancel()
	c, err := s.allocate(name)
	if err != nil {
		return nil, err
	}
	s.queue(appendObject(nil, controlChannel, control{name, c.number, stateRequest}.append(nil)))
	select {
	case ok := <-c.answer:
		if !ok {
			c.end(ErrDeclined)
			s.forget(c)
			return nil, fmt.Errorf("%w: %q", ErrDeclined, name)
		}
		return c, nil
	case <-c.gone:
		// Accepted and ended at once still is a channel with data.
		select {
		case ok := <-c.answer:
			if ok {
				return c, nil
			}
		default:
		}
		return nil, fmt.Errorf("mux: opening %q: %w", name, c.reason(io.ErrClosedPipe))
	case <-ctx.Done():
		c.Close()
		return nil, fmt.Errorf("mux: opening %q: %w", name, ctx.Err())
	}
}

// allocate registers a channel under the next free number of our half.
func (s *Session) allocate(name string) (*Channel, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, fmt.Errorf("mux: opening %q: session ended: %w", name, s.err)
	}
	if len(s.channels) >= s.cfg.MaxChannels {
		return nil, ErrFull
	}
	for {
		n := s.next
		s.next++
		if n == controlChannel || n == protocolChannel {
			continue
		}
		if _, used := s.channels[n]; !used {
			c := newChannel(s, name, n)
			s.channels[n] = c
			return c, nil
		}
	}
}

// forget removes a channel that has ended.
func (s *Session) forget(c *Channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.channels[c.number] == c {
		delete(s.channels, c.number)
	}
}

func (s *Session) channel(n uint16) *Channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.channels[n]
}

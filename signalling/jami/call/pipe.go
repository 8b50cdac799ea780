package call

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"rendezvous/signalling/sdes"
	"rendezvous/signalling/srtp"
)

// pipe carries one medium: SRTP on one ICE component, RTCP in the clear on the next,
// as jamid has it (docs/jami/calls.md#srtp-keys). It is a leg.Pipe. Its connections can be
// exchanged, when the peer restarts ICE, without its user noticing.
type pipe struct {
	began time.Time // times of sending are counted from then

	in struct {
		sync.Mutex
		srtp srtp.Receiver
	}

	mu      sync.Mutex // guards all below
	changed *sync.Cond // the connections were exchanged, or the pipe closed
	rtp     net.Conn
	rtcp    net.Conn
	serial  int
	closed  bool
	out     srtp.Sender
	stamp   bool // the time of sending is written into each packet
	stamped []byte

	plain   []byte // the reader's scratch
	dropped atomic.Uint64
}

func newPipe() *pipe {
	p := &pipe{began: time.Now(), plain: make([]byte, 2048), stamped: make([]byte, 0, 2048)}
	p.changed = sync.NewCond(&p.mu)
	return p
}

// use gives the pipe its connections and the key for what we send. A key that is in
// use already goes on with its rollover counter.
func (p *pipe) use(rtpConn, rtcpConn net.Conn, master sdes.Crypto) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.out.SetKey(master); err != nil {
		return err
	}
	if p.closed {
		return net.ErrClosed
	}
	p.rtp, p.rtcp = rtpConn, rtcpConn
	p.serial++
	p.changed.Broadcast()
	return nil
}

// pause drops what is sent until use gives the pipe new connections.
func (p *pipe) pause() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rtp, p.rtcp = nil, nil
}

// close ends the readers, and with them the connections, on which they may wait.
func (p *pipe) close() {
	p.mu.Lock()
	p.closed = true
	rtpConn, rtcpConn := p.rtp, p.rtcp
	p.rtp, p.rtcp = nil, nil
	p.changed.Broadcast()
	p.mu.Unlock()
	for _, c := range []net.Conn{rtpConn, rtcpConn} {
		if c != nil {
			_ = c.Close() // it can only say that its ICE session has closed it
		}
	}
}

// conn waits for a connection newer than serial.
func (p *pipe) conn(rtcp bool, serial int) (net.Conn, int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.closed && (p.serial == serial || p.rtp == nil) {
		p.changed.Wait()
	}
	if p.closed {
		return nil, 0, io.EOF
	}
	if rtcp {
		return p.rtcp, p.serial, nil
	}
	return p.rtp, p.serial, nil
}

// reader reads one of the pipe's two connections, going over to a new one when the
// old is closed. Each belongs to one goroutine.
type reader struct {
	pipe   *pipe
	rtcp   bool
	conn   net.Conn
	serial int
}

func (r *reader) read(b []byte) (int, error) {
	for {
		if r.conn == nil {
			var err error
			if r.conn, r.serial, err = r.pipe.conn(r.rtcp, r.serial); err != nil {
				return 0, err
			}
		}
		n, err := r.conn.Read(b)
		if err == nil {
			return n, nil
		}
		r.conn = nil // closed: by the end of the call, or by a restart of ICE
	}
}

// endpoint is the pipe with its two readers, as leg.NewSession wants it.
type endpoint struct {
	*pipe
	media, control reader
	encrypted      []byte
	listening      sync.WaitGroup // to RTCP
}

func newEndpoint() *endpoint {
	p := newPipe()
	return &endpoint{pipe: p, media: reader{pipe: p}, control: reader{pipe: p, rtcp: true}, encrypted: make([]byte, 2048)}
}

// ReadRTP reads and opens one packet; those that do not verify are counted and passed over.
func (e *endpoint) ReadRTP(b []byte) (int, error) {
	for {
		n, err := e.media.read(e.encrypted)
		if err != nil {
			return 0, err
		}
		out, err := e.open(e.encrypted[:n])
		if err != nil || len(out) > len(b) {
			e.dropped.Add(1)
			continue
		}
		return copy(b, out), nil
	}
}

// open decrypts a packet into plain.
func (p *pipe) open(packet []byte) ([]byte, error) {
	p.in.Lock()
	defer p.in.Unlock()
	return p.in.srtp.RTP(p.plain, packet)
}

// expect takes what the peer encrypts with: beside the keys that there are, or, with new paths, in their place.
func (p *pipe) expect(key sdes.Crypto, replace bool) error {
	p.in.Lock()
	defer p.in.Unlock()
	if replace {
		return p.in.srtp.Replace(key)
	}
	return p.in.srtp.Add(key)
}

// OnRTCP implements leg.Pipe.
func (e *endpoint) OnRTCP(take func(b []byte)) {
	e.listening.Go(func() {
		b := make([]byte, 2048)
		for {
			n, err := e.control.read(b)
			if err != nil {
				return
			}
			take(b[:n])
		}
	})
}

// close ends the pipe and waits for who listens to its RTCP.
func (e *endpoint) close() {
	e.pipe.close()
	e.listening.Wait()
}

// WriteRTP encrypts and sends one packet; before ICE is done it is dropped.
func (e *endpoint) WriteRTP(b []byte) error {
	p := e.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rtp == nil {
		return nil
	}
	if p.stamp {
		b = p.stampTime(b, time.Now())
	}
	out, err := p.out.RTP(b)
	if err != nil {
		return err
	}
	_, err = p.rtp.Write(out)
	return err
}

// stampTime adds the absolute send time to a packet that has neither extensions nor
// contributing sources, as just those eight bytes that Jami receivers look for; they judge
// the path by it and tell us (docs/jami/calls.md#rtp).
func (p *pipe) stampTime(b []byte, now time.Time) []byte {
	const head = 12
	if len(b) < head || b[0]&0x1f != 0 {
		return b
	}
	// 6 bits of seconds and 18 of their fraction. Receivers look at differences alone.
	t := uint32(uint64(now.Sub(p.began).Microseconds()) % 64_000_000 << 18 / 1_000_000)
	out := append(p.stamped[:0], b[:head]...)
	out[0] |= 0x10
	out = append(out, 0xbe, 0xde, 0, 1, 3<<4|2, byte(t>>16), byte(t>>8), byte(t))
	p.stamped = append(out, b[head:]...)
	return p.stamped
}

// WriteRTCP sends one datagram of RTCP.
func (e *endpoint) WriteRTCP(b []byte) error {
	e.mu.Lock()
	conn := e.rtcp
	e.mu.Unlock()
	if conn == nil {
		return nil
	}
	_, err := conn.Write(b)
	return err
}

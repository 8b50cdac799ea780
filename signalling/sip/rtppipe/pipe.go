package rtppipe

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rendezvous/internal/destination"
	"rendezvous/mixer/leg"
	"rendezvous/signalling/sdes"
	"rendezvous/signalling/sdp"
	"rendezvous/signalling/srtp"
)

// Counters count what goes through pipes. All are set.
type Counters struct {
	In, Out     prometheus.Counter // RTP packets taken and sent
	Malformed   prometheus.Counter // not RTP or RTCP
	Stranger    prometheus.Counter // from a source that is not the caller
	Unauthentic prometheus.Counter // failed SRTP authentication or replayed
}

// Limits of what is read, in bytes and packets.
const (
	maxPacket = 2048
)

// Pipe carries one medium of one call.
type Pipe struct {
	count   Counters
	consent *Consent
	now     func() time.Time

	rtp, rtcp *net.UDPConn
	reports   atomic.Pointer[func([]byte)] // who takes the peer's RTCP, decrypted; nil: nobody yet
	done      chan struct{}
	readers   sync.WaitGroup
	closeOnce sync.Once
	datagram  [maxPacket]byte // of the goroutine that calls ReadRTP

	// Destinations of what is sent; nil while unknown.
	rtpTo, rtcpTo atomic.Pointer[netip.AddrPort]
	// Those that consent has been found for.
	rtpGiven, rtcpGiven atomic.Pointer[netip.AddrPort]
	pictures            atomic.Bool

	// in guards how packets are received.
	in struct {
		sync.Mutex
		rtp, rtcp latch
		mux       bool
		known     [128]bool // payload types that were agreed
		srtp      srtp.Receiver
	}
	// out guards how packets are sent.
	out struct {
		sync.Mutex
		srtp srtp.Sender
	}
}

// Open opens a pipe on a free pair of ports. The pipes of one call share its consent. It fails as Ports.Listen does.
func Open(ports Ports, count Counters, consent *Consent) (*Pipe, error) {
	rtp, rtcp, err := ports.Listen()
	if err != nil {
		return nil, err
	}
	p := &Pipe{
		count: count, consent: consent, now: time.Now, rtp: rtp, rtcp: rtcp,
		done: make(chan struct{}),
	}
	p.readers.Go(p.readReports)
	return p, nil
}

// Port is the local RTP port; RTCP has the next one.
func (p *Pipe) Port() int { return p.rtp.LocalAddr().(*net.UDPAddr).Port }

// Remote is where RTP is sent now, for logs; not valid while unknown.
func (p *Pipe) Remote() netip.AddrPort {
	if a := p.rtpTo.Load(); a != nil {
		return *a
	}
	return netip.AddrPort{}
}

// SetPeer says where the peer awaits packets according to its session description
// (invalid addresses: not known), which payload types it may send, and from which
// address its signalling comes.
func (p *Pipe) SetPeer(m *sdp.Medium, signalling netip.Addr) {
	p.in.Lock()
	defer p.in.Unlock()
	p.in.mux = m.Mux
	p.in.known = m.PayloadTypes()
	if !m.Remote.IsValid() {
		return // on hold the old way: its address stays what it was
	}
	p.pictures.Store(m.Kind == leg.Video)
	rtp, rtcp := m.Remote, m.RemoteRTCP
	if !destination.Allowed(rtp.Addr(), signalling) {
		rtp = netip.AddrPort{} // known when packets come
	}
	if !destination.Allowed(rtcp.Addr(), signalling) {
		rtcp = netip.AddrPort{}
	}
	p.in.rtp.expect(rtp, signalling)
	p.in.rtcp.expect(rtcp, signalling)
	if !p.in.rtp.latched {
		p.rtpTo.Store(known(rtp))
	}
	if !p.in.rtcp.latched {
		p.rtcpTo.Store(known(rtcp))
	}
	if m.Mux {
		p.rtcpTo.Store(p.rtpTo.Load())
	}
}

// known is a destination, nil while there is none.
func known(a netip.AddrPort) *netip.AddrPort {
	if !a.IsValid() {
		return nil
	}
	return &a
}

// SetKeys sets what we encrypt with and what the peer encrypts with; absent keys
// mean plain RTP. Keys that stay the same keep their counters. It fails for keys of one direction
// only, and for keys that their suites cannot use.
func (p *Pipe) SetKeys(local, remote sdes.Crypto) error {
	if local.Present() != remote.Present() {
		return fmt.Errorf("SRTP keys for one direction only")
	}
	p.out.Lock()
	err := p.out.srtp.SetKey(local)
	p.out.Unlock()
	if err != nil {
		return err
	}
	p.in.Lock()
	defer p.in.Unlock()
	if !remote.Present() {
		return p.in.srtp.Replace(remote)
	}
	return p.in.srtp.Add(remote)
}

// ReadRTP reads one RTP packet of the peer into b, decrypted. It fails when the pipe is closed; what is not of the peer, or does not
// decrypt, is counted and passed over.
func (p *Pipe) ReadRTP(b []byte) (int, error) {
	for {
		n, from, err := p.rtp.ReadFromUDPAddrPort(p.datagram[:])
		if err != nil {
			return 0, fmt.Errorf("read RTP: %w", err)
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		pkt := p.datagram[:n]
		if isRTCP(pkt) {
			p.takeRTCP(pkt, from, true)
			continue
		}
		if n < 12 || pkt[0]>>6 != 2 || n > len(b) {
			p.count.Malformed.Inc()
			continue
		}
		if n, ok := p.takeRTP(b, pkt, from); ok {
			p.count.In.Inc()
			return n, nil
		}
	}
}

// isRTCP tells RTCP from RTP on one port (RFC 5761 §4).
func isRTCP(b []byte) bool {
	return len(b) >= 8 && b[0]>>6 == 2 && b[1] >= 192 && b[1] <= 223
}

func (p *Pipe) takeRTP(b, pkt []byte, from netip.AddrPort) (int, bool) {
	p.in.Lock()
	defer p.in.Unlock()
	if !p.in.known[pkt[1]&0x7f] {
		p.count.Malformed.Inc()
		return 0, false
	}
	n := len(pkt)
	if p.in.srtp.Secure() {
		out, err := p.in.srtp.RTP(b, pkt)
		if err != nil || len(out) > len(b) {
			p.count.Unauthentic.Inc()
			return 0, false
		}
		n = copy(b, out) // out is b itself unless it was too small
	} else {
		copy(b, pkt)
	}
	ssrc, seq := binary.BigEndian.Uint32(pkt[8:]), binary.BigEndian.Uint16(pkt[2:])
	ok, moved := p.in.rtp.admit(from, ssrc, seq, p.in.srtp.Secure(), p.now())
	if !ok {
		p.count.Stranger.Inc()
		return 0, false
	}
	if moved {
		p.follow(from)
	}
	return n, true
}

// follow sends to where RTP comes from, RTCP too when the peer turned out to be elsewhere
// than it said and has not sent RTCP itself yet.
func (p *Pipe) follow(from netip.AddrPort) {
	p.consent.Give(from.Addr())
	p.rtpTo.Store(&from)
	switch {
	case p.in.mux:
		p.rtcpTo.Store(&from)
	case !p.in.rtcp.latched && from.Addr() != p.in.rtcp.expected.Addr():
		next := netip.AddrPortFrom(from.Addr(), from.Port()+1)
		p.rtcpTo.Store(&next)
	}
}

// readReports reads the RTCP port.
func (p *Pipe) readReports() {
	var buf [maxPacket]byte
	for {
		n, from, err := p.rtcp.ReadFromUDPAddrPort(buf[:])
		if err != nil {
			return
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		if !isRTCP(buf[:n]) {
			p.count.Malformed.Inc()
			continue
		}
		p.takeRTCP(buf[:n], from, false)
	}
}

// takeRTCP hands on a report of the peer. It comes from the RTP port too, if agreed or not.
func (p *Pipe) takeRTCP(pkt []byte, from netip.AddrPort, onRTP bool) {
	report, ok := p.checkRTCP(pkt, from, onRTP)
	if !ok {
		return
	}
	if take := p.reports.Load(); take != nil {
		(*take)(report)
	}
}

func (p *Pipe) checkRTCP(pkt []byte, from netip.AddrPort, onRTP bool) ([]byte, bool) {
	p.in.Lock()
	defer p.in.Unlock()
	authentic := p.in.srtp.Secure()
	report := pkt // whoever takes it keeps nothing of it
	if authentic {
		out, err := p.in.srtp.RTCP(pkt)
		if err != nil {
			p.count.Unauthentic.Inc()
			return nil, false
		}
		report = out
	}
	if onRTP {
		if !authentic && p.in.rtp.latched && from != p.in.rtp.current {
			p.count.Stranger.Inc()
			return nil, false
		}
		return report, true
	}
	// Where RTP comes from, RTCP is believed too: there is no sequence to put on probation.
	if !authentic && !(p.in.rtp.latched && from.Addr() == p.in.rtp.current.Addr()) && !p.in.rtcp.familiar(from) {
		p.count.Stranger.Inc()
		return nil, false
	}
	named := p.in.rtcp.expected // once it has come from exactly there, another port of its host is somebody else's
	if !p.in.rtcp.latched || p.in.rtcp.current != from && (authentic || p.in.rtcp.current != named) {
		p.in.rtcp.hold(from, p.now())
		if !p.in.mux {
			p.rtcpTo.Store(&from)
		}
	}
	return report, true
}

// OnRTCP implements leg.Pipe. Where RTCP comes to the RTP port, take is called by who calls ReadRTP.
func (p *Pipe) OnRTCP(take func(b []byte)) { p.reports.Store(&take) }

// WriteRTP sends one RTP packet, encrypted if keys are set. Before the peer's
// address is known, or without Consent, it is dropped.
func (p *Pipe) WriteRTP(b []byte) error {
	to := p.rtpTo.Load()
	if !p.mayReach(to, &p.rtpGiven) {
		return nil
	}
	p.out.Lock()
	defer p.out.Unlock()
	if p.out.srtp.Secure() {
		out, err := p.out.srtp.RTP(b)
		if err != nil {
			return err
		}
		b = out
	}
	if _, err := p.rtp.WriteToUDPAddrPort(b, *to); err != nil {
		return fmt.Errorf("send RTP: %w", err)
	}
	p.count.Out.Inc()
	return nil
}

// mayReach reports whether a packet may be sent to a destination. given remembers one that all may be sent to.
func (p *Pipe) mayReach(to *netip.AddrPort, given *atomic.Pointer[netip.AddrPort]) bool {
	if to == nil {
		return false
	}
	if given.Load() == to {
		return true
	}
	this, all := p.consent.ask(to.Addr(), p.pictures.Load())
	if all {
		given.Store(to)
	}
	return this
}

// WriteRTCP sends one RTCP compound packet, encrypted if keys are set. Like WriteRTP, it drops what may not be
// sent.
func (p *Pipe) WriteRTCP(b []byte) error {
	to := p.rtcpTo.Load()
	if !p.mayReach(to, &p.rtcpGiven) {
		return nil
	}
	p.in.Lock()
	conn := p.rtcp
	if p.in.mux {
		conn = p.rtp
	}
	p.in.Unlock()
	p.out.Lock()
	defer p.out.Unlock()
	if p.out.srtp.Secure() {
		out, err := p.out.srtp.RTCP(b)
		if err != nil {
			return err
		}
		b = out
	}
	if _, err := conn.WriteToUDPAddrPort(b, *to); err != nil {
		return fmt.Errorf("send RTCP: %w", err)
	}
	return nil
}

// Close closes the sockets, ends all reads, and waits for who reads RTCP. The error is that of closing the sockets.
func (p *Pipe) Close() error {
	var err error
	p.closeOnce.Do(func() {
		close(p.done)
		err = p.rtp.Close()
		if e := p.rtcp.Close(); err == nil {
			err = e
		}
	})
	p.readers.Wait()
	return err
}

package rtc

import (
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v3"
)

// transport is one m-line as a leg.Transport. Tracks come and go under it (a screen
// shared twice); the leg sees one stream of packets.
type transport struct {
	local *localTrack // nil if nothing is sent
	send  func([]rtcp.Packet) error
	rtcp  atomic.Pointer[func([]rtcp.Packet, error)] // who takes what the peer says; nil: nobody yet
	done  chan struct{}

	mu     sync.Mutex
	closed bool                // guarded by mu
	track  *webrtc.TrackRemote // guarded by mu: the newest
	fresh  chan struct{}       // guarded by mu: closed when track is replaced
}

func newTransport(local *localTrack, send func([]rtcp.Packet) error) *transport {
	return &transport{
		local: local, send: send,
		done:  make(chan struct{}),
		fresh: make(chan struct{}),
	}
}

// ReadRTP waits for a track, then for its next packet.
func (t *transport) ReadRTP(b []byte) (int, error) {
	for {
		t.mu.Lock()
		track, fresh, closed := t.track, t.fresh, t.closed
		t.mu.Unlock()
		if closed {
			return 0, io.ErrClosedPipe
		}
		if track != nil {
			n, _, err := track.Read(b)
			if err == nil {
				return n, nil
			}
		}
		// The track has ended or was replaced: wait for the next.
		select {
		case <-fresh:
		case <-t.done:
			return 0, io.ErrClosedPipe
		}
	}
}

// WriteRTP sends a packet with the negotiated SSRC and payload type.
func (t *transport) WriteRTP(h *rtp.Header, payload []byte) error {
	if t.local == nil {
		return io.ErrClosedPipe
	}
	return t.local.write(h, payload)
}

// OnRTCP implements leg.Transport.
func (t *transport) OnRTCP(take func([]rtcp.Packet, error)) { t.rtcp.Store(&take) }

// deliver hands on what the peer says.
func (t *transport) deliver(packets []rtcp.Packet, err error) {
	if take := t.rtcp.Load(); take != nil {
		(*take)(packets, err)
	}
}

// WriteRTCP sends RTCP. Receiver reports and transport-wide feedback are the
// interceptors' to send.
func (t *transport) WriteRTCP(pkts []rtcp.Packet) error { return t.send(pkts) }

// setTrack gives the transport the track that has arrived on its m-line.
func (t *transport) setTrack(track *webrtc.TrackRemote) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	t.track = track
	close(t.fresh)
	t.fresh = make(chan struct{})
}

// close ends all reads. The track may serve another transport later.
func (t *transport) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	t.closed = true
	close(t.done)
	if t.track != nil {
		// A deadline in the past is the only way to wake a TrackRemote's reader.
		_ = t.track.SetReadDeadline(time.Unix(1, 0))
	}
}

// readFeedback hands on what the peer says about what we send, reports, PLI, FIR and REMB, until the connection ends.
func readFeedback(s *webrtc.RTPSender, deliver func([]rtcp.Packet, error)) {
	b := make([]byte, 1500)
	for {
		n, _, err := s.Read(b)
		if err != nil {
			return
		}
		if !isTransportCC(b[:n]) { // which the congestion controller has seen
			deliver(rtcp.Unmarshal(b[:n]))
		}
	}
}

// readReports hands on the sender reports about what the peer sends until the connection
// ends. A compound with report blocks about our stream reaches readFeedback too, so the
// blocks are left out here.
func readReports(r *webrtc.RTPReceiver, deliver func([]rtcp.Packet, error)) {
	b := make([]byte, 1500)
	for {
		n, _, err := r.Read(b)
		if err != nil {
			return
		}
		packets, err := rtcp.Unmarshal(b[:n])
		if err != nil {
			continue
		}
		for _, p := range packets {
			if sr, ok := p.(*rtcp.SenderReport); ok {
				sr.Reports = nil
				deliver([]rtcp.Packet{sr}, nil)
			}
		}
	}
}

// isTransportCC reports whether a packet is transport-wide feedback alone.
func isTransportCC(b []byte) bool {
	const rtpfb, fmtTransportCC = 205, 15
	if len(b) < 4 || b[1] != rtpfb || b[0]&0x1f != fmtTransportCC {
		return false
	}
	words := int(b[2])<<8 | int(b[3])
	return len(b) <= 4*(words+1)
}

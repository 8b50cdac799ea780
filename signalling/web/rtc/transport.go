package rtc

import (
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v3"

	"rendezvous/mixer/leg"
)

// transport is one m-line as a leg.Transport. Tracks come and go under it (a screen
// shared twice); the leg sees one stream of packets.
type transport struct {
	kind     leg.Kind
	local    *localTrack // nil if nothing is sent
	receives bool        // the peer may send
	send     func([]rtcp.Packet) error
	rtcp     atomic.Pointer[func([]rtcp.Packet, error)] // who takes what the peer says; nil: nobody yet
	done     chan struct{}

	taking sync.Mutex     // guards take and ended, and is held while take runs
	take   func(b []byte) // nil: nobody, or not any more
	ended  func()

	mu     sync.Mutex
	closed bool                // guarded by mu
	track  *webrtc.TrackRemote // guarded by mu: the newest
	fresh  chan struct{}       // guarded by mu: closed when track is replaced
}

func newTransport(kind leg.Kind, local *localTrack, receives bool, send func([]rtcp.Packet) error) *transport {
	return &transport{
		kind: kind, local: local, receives: receives, send: send,
		done:  make(chan struct{}),
		fresh: make(chan struct{}),
	}
}

// OnRTP implements leg.Pusher, for sound.
func (t *transport) OnRTP(take func(b []byte), ended func()) bool {
	if t.kind != leg.Audio {
		return false
	}
	t.taking.Lock()
	defer t.taking.Unlock()
	t.take, t.ended = take, ended
	return true
}

// push hands on a packet of sound.
func (t *transport) push(b []byte) {
	t.taking.Lock()
	defer t.taking.Unlock()
	if t.take != nil {
		t.take(b)
	}
}

// ReadRTP waits for a track of pictures, then for its next packet.
func (t *transport) ReadRTP(b []byte) (int, error) {
	if !t.receives {
		return 0, io.EOF
	}
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

// WriteRTCP sends RTCP. Receiver reports and transport-wide feedback are control's to send.
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

// close ends all reads, and waits until nothing is taken any more. The track may serve another transport later.
func (t *transport) close() {
	t.taking.Lock()
	ended := t.ended
	t.take, t.ended = nil, nil
	t.taking.Unlock()
	if ended != nil {
		ended()
	}
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

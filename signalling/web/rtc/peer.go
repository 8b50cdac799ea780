package rtc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v3"

	"rendezvous/mixer/leg"
)

// State is how far a peer's connection has come.
type State uint8

// The states.
const (
	Connecting   State = iota
	Connected          // media can flow
	Disconnected       // nothing has come for a while; it may come back
	Failed             // it will not come back without an ICE restart
	Closed
)

// String is the state in a word, as a page is told it. It panics for what is no State.
func (s State) String() string {
	return [...]string{"connecting", "connected", "disconnected", "failed", "closed"}[s]
}

// ErrOffer is the reason an offer was not accepted: it is the remote side's fault.
var ErrOffer = errors.New("the offer cannot be accepted")

// gatherTimeout bounds how long an answer waits for our own candidates. All are the
// machine's own addresses, so they are there in milliseconds.
const gatherTimeout = 2 * time.Second

// PeerConfig says whose connection it is, and where its media go.
type PeerConfig struct {
	Log *slog.Logger
	Leg *leg.Leg
	// Remote is the address that the caller's signalling comes from; not valid: unknown.
	Remote netip.Addr
	// OnState is told each change of state, from a goroutine of the connection's; it must not block.
	OnState func(State)
	// OnICE is told when ICE has found a path, likewise; may be nil.
	OnICE func()
}

// Media says what the caller shows and says at the moment.
type Media struct {
	Camera bool `json:"camera"`
	Screen bool `json:"screen"`
}

// Peer is one WebRTC connection whose media is a leg's.
type Peer struct {
	engine  *Engine
	cfg     PeerConfig
	pc      *webrtc.PeerConnection
	control *control

	mu     sync.Mutex
	lines  map[string]*line // by mid; guarded by mu
	media  Media            // guarded by mu
	remote *candidates      // guarded by mu
	closed bool             // guarded by mu
}

// line is one m-line of ours.
type line struct {
	kind      leg.Kind
	label     string
	trans     *webrtc.RTPTransceiver
	local     *localTrack // nil if nothing is sent on it
	sender    *webrtc.RTPSender
	receives  bool
	codecs    []leg.Codec
	track     *webrtc.TrackRemote
	transport atomic.Pointer[transport] // nil until it is attached
	stream    *leg.Stream               // nil while not attached
	paused    bool                      // the camera is off
}

// NewPeer makes a peer that waits for an offer. The errors are pion's, of making a
// connection: none that cfg can cause.
func (e *Engine) NewPeer(cfg PeerConfig) (*Peer, error) {
	pc, control, err := e.connection(cfg.Log, cfg.Remote)
	if err != nil {
		return nil, err
	}
	p := &Peer{
		engine: e, cfg: cfg, pc: pc, control: control,
		lines: make(map[string]*line), media: Media{Camera: true}, remote: newCandidates(cfg.Remote),
	}
	pc.OnTrack(p.onTrack)
	pc.OnConnectionStateChange(p.onState)
	if cfg.OnICE != nil {
		pc.OnICEConnectionStateChange(func(s webrtc.ICEConnectionState) {
			if s == webrtc.ICEConnectionStateConnected {
				cfg.OnICE()
			}
		})
	}
	return p, nil
}

// Answer applies an offer (RFC 3264, JSEP: RFC 9429), the first or a later one, and returns
// the answer with all our candidates. An offer with new ICE credentials restarts ICE. The
// error wraps ErrOffer if the offer cannot be taken, is the context's, or
// webrtc.ErrConnectionClosed after Close; after a bad offer the former one stays in force.
func (p *Peer) Answer(ctx context.Context, offer string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return "", webrtc.ErrConnectionClosed
	}
	if strings.Contains(offer, "\nm=application ") {
		return "", fmt.Errorf("%w: data channels are not taken", ErrOffer)
	}
	offer = p.remote.filter(offer)
	if err := p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return "", fmt.Errorf("%w: %.200s", ErrOffer, err.Error()) // it may quote a line of any length
	}
	if err := p.plan(offer); err != nil {
		return "", errors.Join(err, p.rollback())
	}
	gathered := webrtc.GatheringCompletePromise(p.pc)
	answer, err := p.pc.CreateAnswer(nil)
	if err != nil {
		return "", errors.Join(fmt.Errorf("%w: %w", ErrOffer, err), p.rollback())
	}
	if err := p.pc.SetLocalDescription(answer); err != nil {
		return "", fmt.Errorf("setting our answer: %w", err)
	}
	timer := time.NewTimer(gatherTimeout)
	defer timer.Stop()
	select {
	case <-gathered:
	case <-timer.C:
		p.cfg.Log.Warn("gathering ICE candidates takes too long; answering with those there are")
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if err := p.attach(); err != nil {
		return "", err
	}
	return tuneAnswer(p.pc.LocalDescription().SDP, offer), nil
}

func (p *Peer) rollback() error {
	return p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeRollback})
}

// plan decides what each new m-line is for: the first audio and the first video are the
// caller and the room; a second video is a shared screen; more are taken but not used.
func (p *Peer) plan(offer string) error {
	audio, video := 0, 0
	for _, l := range p.lines {
		if l.kind == leg.Audio {
			audio++
		} else {
			video++
		}
	}
	for _, t := range p.pc.GetTransceivers() {
		mid := t.Mid()
		if mid == "" || p.lines[mid] != nil {
			continue
		}
		l := &line{kind: leg.Audio, label: "main", trans: t}
		if t.Kind() == webrtc.RTPCodecTypeVideo {
			l.kind = leg.Video
			video++
			switch video {
			case 1:
			case 2:
				l.label = "screen"
			default:
				continue
			}
		} else if audio++; audio > 1 {
			continue
		}
		if err := p.negotiate(l, offer); err != nil {
			return err
		}
		p.lines[mid] = l
	}
	return nil
}

// negotiate picks codecs for a line, and a track of ours where the remote side takes one.
func (p *Peer) negotiate(l *line, offer string) error {
	codecs := l.trans.Receiver().GetParameters().Codecs
	codecs = slices.DeleteFunc(slices.Clone(codecs), func(c webrtc.RTPCodecParameters) bool { return codecName(c) == "" })
	codecs, red := checkRED(codecs)
	if len(codecs) == 0 {
		return fmt.Errorf("%w: no codec in common for %s", ErrOffer, l.kind)
	}
	// The first codec of the answer is what a browser sends.
	slices.SortStableFunc(codecs, func(a, b webrtc.RTPCodecParameters) int { return p.rank(a) - p.rank(b) })
	if err := l.trans.SetCodecPreferences(codecs); err != nil {
		return fmt.Errorf("ordering codecs: %w", err)
	}
	for _, c := range codecs {
		l.codecs = append(l.codecs, legCodec(c))
	}
	wants, gives := remoteDirection(offer, l.trans.Mid())
	l.receives = gives
	if wants && l.label == "main" {
		l.local = &localTrack{kind: l.trans.Kind(), id: l.kind.String(), codec: codecs[0], red: red, control: p.control}
		sender, err := p.pc.AddTrack(l.local)
		if err != nil {
			return fmt.Errorf("adding our %s: %w", l.kind, err)
		}
		l.sender = sender
	}
	return nil
}

func (p *Peer) rank(c webrtc.RTPCodecParameters) int {
	if i := slices.Index(p.engine.cfg.VideoCodecs, codecName(c)); i >= 0 {
		return i
	}
	return len(p.engine.cfg.VideoCodecs)
}

// attach gives the leg the lines that have been negotiated.
func (p *Peer) attach() error {
	for _, l := range p.lines {
		if l.stream != nil || (!l.receives && l.local == nil) || (l.label == "screen" && !p.media.Screen) {
			continue
		}
		if err := p.attachLine(l); err != nil {
			return err
		}
	}
	return nil
}

func (p *Peer) attachLine(l *line) error {
	first := l.transport.Load() == nil
	transport := newTransport(l.kind, l.local, l.receives, p.pc.WriteRTCP)
	l.transport.Store(transport)
	m := leg.Media{Kind: l.kind, Label: l.label, Transport: transport}
	if l.receives {
		m.Receive = l.codecs
	}
	if l.local != nil {
		m.Send = legCodec(l.local.codec)
		m.Send.RED = l.local.red
		m.SSRC = uint32(l.sender.GetParameters().Encodings[0].SSRC)
		if first {
			p.control.take(m.SSRC, taker{ours: true, take: l.deliver})
		}
	}
	params := l.trans.Receiver().GetParameters()
	m.NoRepair = l.kind == leg.Audio && !repairsSound(params.Codecs)
	for _, x := range params.HeaderExtensions {
		switch {
		case x.URI == levelURI && l.kind == leg.Audio:
			m.LevelExt = uint8(x.ID)
		case x.URI == sdp.TransportCCURI && l.kind == leg.Video && l.local != nil:
			m.Congestion = p.control.controller
		}
	}
	if l.track != nil {
		_ = l.track.SetReadDeadline(time.Time{}) // a former transport's close has set it
		transport.setTrack(l.track)
	}
	stream, err := p.cfg.Leg.Attach(m)
	if err != nil {
		return fmt.Errorf("attaching %s %s: %w", l.kind, l.label, err)
	}
	l.stream = stream
	return nil
}

// onTrack is pion's call when the first packet of a track has come.
func (p *Peer) onTrack(track *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	for _, l := range p.lines {
		if l.trans.Receiver() != receiver {
			continue
		}
		l.track = track
		ssrc := uint32(track.SSRC())
		p.control.take(ssrc, taker{take: l.deliver})
		if t := l.transport.Load(); t != nil && l.kind == leg.Video {
			t.setTrack(track)
		}
		if l.kind == leg.Audio {
			l.handOver(track, p.control)
		}
		return
	}
}

// handOver has the packets of a track of sound given to whichever transport the line has. They are handled at once, so that nobody
// need wait for them; pictures are decoded by who reads them, which would hold up the connection's sound.
func (l *line) handOver(track *webrtc.TrackRemote, control *control) {
	push := func(b []byte) {
		if t := l.transport.Load(); t != nil {
			t.push(b)
		}
	}
	b := make([]byte, mostDatagram)
	if n, _, err := track.Read(b); err == nil { // the packet that pion has looked at to know the track
		push(b[:n])
	}
	control.handOver(uint32(track.SSRC()), push)
}

// deliver hands RTCP to whichever transport the line has.
func (l *line) deliver(packets []rtcp.Packet, err error) {
	if t := l.transport.Load(); t != nil {
		t.deliver(packets, err)
	}
}

// SetMedia tells which of the caller's pictures are on. What is off is not decoded, and a
// screen that is off is no stream at all. It fails if a screen cannot be attached to the
// leg: that is closed. After Close it does nothing.
func (p *Peer) SetMedia(m Media) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.media = m
	for _, l := range p.lines {
		switch {
		case l.label == "screen" && !m.Screen && l.stream != nil:
			l.transport.Load().close()
			l.stream.Close()
			l.stream = nil
		case l.label == "screen" && m.Screen && l.stream == nil && l.receives:
			if err := p.attachLine(l); err != nil {
				return err
			}
		case l.kind == leg.Video && l.label == "main" && l.stream != nil && l.receives && l.paused == m.Camera:
			l.paused = !m.Camera
			var send leg.Codec
			if l.local != nil {
				send = legCodec(l.local.codec)
			}
			receive := l.codecs
			if l.paused {
				receive = nil
			}
			l.stream.Update(receive, send)
		}
	}
	return nil
}

// AddCandidate takes a candidate that the remote side has trickled (RFC 8838). One too many,
// or at an address that is not theirs to name, is passed over. The error wraps ErrOffer: it
// cannot be read, or there was no offer yet.
func (p *Peer) AddCandidate(c webrtc.ICECandidateInit) error {
	p.mu.Lock()
	taken := p.remote.take(strings.TrimPrefix(c.Candidate, "candidate:"))
	p.mu.Unlock()
	if !taken && c.Candidate != "" { // an empty one says that there are no more
		return nil
	}
	if err := p.pc.AddICECandidate(c); err != nil {
		return fmt.Errorf("%w: %w", ErrOffer, err)
	}
	return nil
}

// Credentials are the remote side's present ICE credentials, to tell a restart from a
// repeat (RFC 9725 section 4.3.1).
func (p *Peer) Credentials() (ufrag, pwd string) {
	d := p.pc.RemoteDescription()
	if d == nil {
		return "", ""
	}
	return iceCredentials(d.SDP)
}

// RemoteOffer is the offer in force, as it was filtered; "" before the first.
func (p *Peer) RemoteOffer() string {
	if d := p.pc.RemoteDescription(); d != nil {
		return d.SDP
	}
	return ""
}

// Estimate is what the congestion controller thinks the caller can take, in bit/s.
func (p *Peer) Estimate() int { return p.control.controller.State().Target }

func (p *Peer) onState(s webrtc.PeerConnectionState) {
	state := Connecting
	switch s {
	case webrtc.PeerConnectionStateConnected:
		state = Connected
		// Whatever was sent before had nowhere to go.
		p.cfg.Leg.RequestKeyFrame()
	case webrtc.PeerConnectionStateDisconnected:
		state = Disconnected
	case webrtc.PeerConnectionStateFailed:
		state = Failed
	case webrtc.PeerConnectionStateClosed:
		state = Closed
	}
	if p.cfg.OnState != nil {
		p.cfg.OnState(state)
	}
}

// Close ends the connection and waits until nothing of it is handed on any more. The leg is closed after.
func (p *Peer) Close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	for _, l := range p.lines {
		if t := l.transport.Load(); t != nil {
			t.close()
		}
	}
	p.mu.Unlock()
	if err := p.pc.GracefulClose(); err != nil {
		p.cfg.Log.Debug("closing the peer connection", "error", err)
	}
}

func legCodec(c webrtc.RTPCodecParameters) leg.Codec {
	return leg.Codec{
		Name: codecName(c), PayloadType: uint8(c.PayloadType),
		ClockRate: int(c.ClockRate), Channels: int(c.Channels), Fmtp: c.SDPFmtpLine,
	}
}

// checkRED puts RED last if it is of Opus, and takes it out if not. pt is its payload type, 0 without it.
func checkRED(codecs []webrtc.RTPCodecParameters) (ordered []webrtc.RTPCodecParameters, pt uint8) {
	var red []webrtc.RTPCodecParameters
	for _, c := range codecs {
		if codecName(c) != "red" {
			ordered = append(ordered, c)
		} else if of, ok := repeatedType(c.SDPFmtpLine); ok && red == nil &&
			slices.ContainsFunc(codecs, func(o webrtc.RTPCodecParameters) bool { return codecName(o) == "opus" && uint8(o.PayloadType) == of }) {
			red, pt = []webrtc.RTPCodecParameters{c}, uint8(c.PayloadType)
		}
	}
	return append(ordered, red...), pt
}

// codecName is the name legs know a codec by, "" for what is not media (rtx).
func codecName(c webrtc.RTPCodecParameters) string {
	switch strings.ToLower(c.MimeType) {
	case "audio/opus":
		return "opus"
	case mimeTypeRED:
		return "red"
	case "video/h264":
		return "H264"
	case "video/vp8":
		return "VP8"
	}
	return ""
}

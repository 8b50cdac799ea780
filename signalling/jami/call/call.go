package call

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"

	"rendezvous/conference"
	"rendezvous/mixer/leg"
	"rendezvous/moderation"
)

const (
	inboxSize   = 64 // requests of one dialog that wait to be treated
	gatherTime  = 5 * time.Second
	keyInterval = time.Second // between two key frames asked of one call: jamid obeys no more
)

// Call is one dialog with a Jami device whose media is in a room. It is a
// conference.Listener.
//
// run owns everything but what is said to be shared.
type Call struct {
	cfg    Config
	log    *slog.Logger
	link   *link
	server *Server
	leg    *leg.Leg
	member atomic.Pointer[conference.Member]

	id        string // Call-ID
	session   string // our call id, as stream ids begin with it
	localTag  string
	outgoing  bool
	inbox     chan *sip.Request
	ctx       context.Context
	cancel    context.CancelCauseFunc
	acked     chan struct{} // closed when the peer has our answer: from then on we may speak
	ackOnce   sync.Once
	over      chan struct{}  // closed when nothing of the call is left
	pickets   sync.WaitGroup // goroutines of this call
	sendsINFO atomic.Int64   // unix nanoseconds of the last key frame asked for

	seqMu sync.Mutex // guards cseq and the dialog's headers below
	cseq  uint32
	to    *sip.ToHeader
	from  *sip.FromHeader
	peer  sip.Uri // his Contact

	origin  uint64
	version uint64
	sdpName string
	mediaMu sync.Mutex // held while the media's lines or paths change
	media   []*medium  // by m-line
	ice     *iceSession
	remote  string // ufrag of the peer's ICE in use

	takesMessages atomic.Bool // his Allow header lists MESSAGE
	recordingTold atomic.Bool
}

// errEnded is why a call ends when all is well.
var errEnded = errors.New("call ended")

// end makes run come to its end. It is safe to call from anywhere.
func (c *Call) end(why error) { c.cancel(why) }

// linkLost is called when the channel is gone.
func (c *Call) linkLost() { c.end(fmt.Errorf("connection lost: %w", errEnded)) }

// answer treats an INVITE that begins a call, from the first response to the last packet.
func (c *Call) answer(r *sip.Request) {
	defer c.finish()
	if err := c.accept(r); err != nil {
		var refused *refusedError
		if errors.As(err, &refused) {
			c.log.Info("Jami caller refused", "reason", err)
			_ = c.link.respond(r, refused.code, refused.reason, c.localTag, nil)
		} else if c.ctx.Err() == nil {
			c.log.Warn("Jami call failed", "error", err)
			_ = c.link.respond(r, 500, "Server Internal Error", c.localTag, nil)
		}
		return
	}
	c.serve()
}

// refusedError is a call that is not taken, with the response for it.
type refusedError struct {
	code   int
	reason string
	why    error
}

func (e *refusedError) Error() string { return fmt.Sprintf("%d %s: %v", e.code, e.reason, e.why) }
func (e *refusedError) Unwrap() error { return e.why }

// accept answers the INVITE and starts the media.
func (c *Call) accept(r *sip.Request) error {
	_ = c.link.respond(r, 100, "Trying", "", nil)
	if err := c.link.respond(r, 180, "Ringing", c.localTag, c.contact); err != nil {
		return err
	}
	body := r.Body()
	if len(body) == 0 {
		return &refusedError{488, "Not Acceptable Here", errors.New("INVITE without a session description")}
	}
	d, err := parseDescription(body)
	if err != nil {
		return &refusedError{400, "Bad Session Description", err}
	}
	p := c.plan(d)
	if len(p.components()) == 0 {
		return &refusedError{488, "Not Acceptable Here", errors.New("no medium that we and the caller have in common")}
	}
	if d.remote.ufrag == "" {
		return &refusedError{488, "Not Acceptable Here", errors.New("no ICE in the session description")}
	}
	gather, cancel := context.WithTimeout(c.ctx, gatherTime)
	session, err := newICESession(gather, p.components(), c.cfg.ICE.internal())
	cancel()
	if err != nil {
		return fmt.Errorf("call: %w", err)
	}
	c.ice = session
	c.origin, c.version, c.remote = d.origin, d.version, d.remote.ufrag
	if err := c.apply(d, p); err != nil {
		return err
	}
	if err := c.join(r); err != nil {
		return err
	}
	answer := c.describe(p, session)
	err = c.link.respond(r, 200, "OK", c.localTag, func(resp *sip.Response) {
		c.contact(resp)
		resp.AppendHeader(sip.NewHeader("Supported", "replaces"))
		setBody(resp, "application/sdp", answer)
	})
	if err != nil {
		return err
	}
	c.startMedia(session, false, d)
	return nil
}

// startMedia runs ICE beside the dialog and tells it of a failure.
func (c *Call) startMedia(session *iceSession, controlling bool, d *description) {
	c.pickets.Go(func() {
		began := time.Now()
		if err := c.connect(c.ctx, session, controlling, d); err != nil {
			if c.ctx.Err() == nil {
				c.end(fmt.Errorf("media: %w", err))
			}
			return
		}
		c.log.Info("Jami media connected", "after", time.Since(began).Round(time.Millisecond))
		c.leg.RequestKeyFrame()
	})
}

// join asks the room to take the caller in.
func (c *Call) join(r *sip.Request) error {
	agent := ""
	if h := r.GetHeader("User-Agent"); h != nil {
		agent = h.Value()
	}
	name := r.From().DisplayName
	m, err := c.cfg.Join(c.ctx, conference.Caller{
		Door: "jami", Address: "jami:" + c.link.peer.Account, Identity: "jami:" + c.link.peer.Account, Proven: true,
		Name: name, Connection: "Jami", Agent: agent, Session: c.session, Device: c.link.peer.Device,
	}, c.leg, c)
	if err != nil {
		var refusal *conference.Refusal
		if errors.As(err, &refusal) {
			return &refusedError{refusalCode(refusal.Code), refusal.Text, err}
		}
		return err
	}
	c.member.Store(m)
	return nil
}

// refusalCode is the SIP response for a room's refusal. 486 is what jamid shows as busy.
func refusalCode(code conference.RefusalCode) int {
	switch code {
	case conference.RefusedNoRoom:
		return 404
	case conference.RefusedFull, conference.RefusedClosed:
		return 486
	case conference.RefusedDraining:
		return 503
	}
	return 403
}

// serve treats the dialog's requests until the call ends.
func (c *Call) serve() {
	for {
		select {
		case <-c.ctx.Done():
			return
		case r := <-c.inbox:
			c.treat(r)
		}
	}
}

// finish takes the call apart, in any state.
func (c *Call) finish() {
	why := context.Cause(c.ctx)
	c.cancel(errEnded)
	if m := c.member.Load(); m != nil {
		m.Leave(conference.EndLeft)
	}
	if c.confirmed() && !errors.Is(why, errPeerHungUp) {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		if _, err := c.send(ctx, sip.BYE, "", nil); err != nil {
			c.log.Debug("BYE", "error", err)
		}
		cancel()
	}
	c.link.removeCall(c.id)
	if c.ice != nil {
		c.ice.close()
	}
	for _, m := range c.media {
		if m != nil {
			m.endpoint.close()
		}
	}
	c.pickets.Wait()
	for _, m := range c.media {
		if m != nil {
			m.close()
		}
	}
	c.leg.Close()
	c.log.Info("Jami call ends", "reason", why)
}

var errPeerHungUp = fmt.Errorf("the caller hung up: %w", errEnded)

// confirmed reports whether there is a dialog to say BYE in.
func (c *Call) confirmed() bool {
	select {
	case <-c.acked:
		return true
	default:
		return false
	}
}

// treat answers one request within the dialog.
func (c *Call) treat(r *sip.Request) {
	if h := r.GetHeader("Allow"); h != nil {
		c.takesMessages.Store(strings.Contains(h.Value(), "MESSAGE"))
	}
	if r.Method != sip.CANCEL && r.Method != sip.BYE {
		c.ackOnce.Do(func() { close(c.acked) })
	}
	var err error
	switch r.Method {
	case sip.ACK:
		return
	case sip.BYE:
		err = c.link.respond(r, 200, "OK", "", nil)
		c.end(errPeerHungUp)
	case sip.CANCEL:
		err = c.link.respond(r, 200, "OK", "", nil)
	case sip.INVITE, sip.UPDATE:
		err = c.renegotiate(r)
	case sip.INFO:
		c.control(string(r.Body()))
		err = c.link.respond(r, 200, "OK", "", c.contact)
	case sip.MESSAGE:
		c.message(r)
		err = c.link.respond(r, 200, "OK", "", nil)
	case sip.OPTIONS:
		err = c.link.respond(r, 200, "OK", "", c.contact)
	default:
		err = c.link.respond(r, 405, "Method Not Allowed", "", func(resp *sip.Response) {
			resp.AppendHeader(sip.NewHeader("Allow", allow))
		})
	}
	if err != nil {
		c.log.Debug("answer to the caller", "method", r.Method, "error", err)
	}
}

// renegotiate answers a re-INVITE: media on and off, added or removed, and new ICE where
// the peer begins one (spec/calls.md §5.2).
func (c *Call) renegotiate(r *sip.Request) error {
	body := r.Body()
	if len(body) == 0 {
		return c.link.respond(r, 488, "Not Acceptable Here", "", nil)
	}
	d, err := parseDescription(body)
	if err != nil {
		c.log.Info("re-INVITE refused", "error", err)
		return c.link.respond(r, 400, "Bad Session Description", "", nil)
	}
	_ = c.link.respond(r, 100, "Trying", "", nil)
	p := c.plan(d)
	restart := d.remote.ufrag != "" && d.remote.ufrag != c.remote
	var session *iceSession
	if restart {
		gather, cancel := context.WithTimeout(c.ctx, gatherTime)
		session, err = newICESession(gather, p.components(), c.cfg.ICE.internal())
		cancel()
		if err != nil {
			c.log.Warn("re-INVITE", "error", err)
			return c.link.respond(r, 500, "Server Internal Error", "", nil)
		}
	}
	// The old paths end before the media change hands: nobody else may use c.media then.
	if restart && c.ice != nil {
		c.ice.close()
		c.pickets.Wait()
	}
	if err := c.apply(d, p); err != nil {
		c.end(err)
		return c.link.respond(r, 500, "Server Internal Error", "", nil)
	}
	answer := c.describe(p, session)
	err = c.link.respond(r, 200, "OK", "", func(resp *sip.Response) {
		c.contact(resp)
		setBody(resp, "application/sdp", answer)
	})
	if err != nil {
		return err
	}
	if restart {
		c.ice, c.remote = session, d.remote.ufrag
		c.startMedia(session, false, d)
		return nil
	}
	if err := c.keepPaths(d); err != nil {
		c.end(err)
	}
	c.leg.RequestKeyFrame()
	return nil
}

// control obeys a media control body.
func (c *Call) control(body string) {
	m, ok := ParseControl(body)
	if !ok {
		return
	}
	member := c.member.Load()
	switch m.Primitive {
	case KeyFrame:
		c.leg.RequestKeyFrame()
	case Orientation:
		for i, x := range c.media {
			if x != nil && (i == m.Stream || m.Stream < 0) {
				x.stream.SetRotation(m.Value)
			}
		}
	case MuteState:
		if err := member.SetSelfMuted(m.Value == 1); err != nil {
			c.log.Debug("mute state", "error", err)
		}
	case RecordingState:
		member.SetRecording(m.Value == 1)
	case VoiceActivity:
		c.order(moderation.Order{Action: moderation.VoiceActivity, Target: member.ID(), On: m.Value == 1})
	}
}

// message takes a text or an order.
func (c *Call) message(r *sip.Request) {
	kind := ""
	if h := r.ContentType(); h != nil {
		kind, _, _ = strings.Cut(h.Value(), ";")
		kind = strings.TrimSpace(kind)
	}
	member := c.member.Load()
	switch kind {
	case orderType:
		orders, err := ParseOrders(r.Body(), member.Room().Info(), member.ID())
		if err != nil {
			c.log.Info("conference order not understood", "error", err)
			return
		}
		for _, o := range orders {
			c.order(o)
		}
	case "text/plain":
		c.order(moderation.Order{Action: moderation.Chat, Text: string(r.Body())})
	}
}

func (c *Call) order(o moderation.Order) {
	if err := c.member.Load().Order(o); err != nil {
		c.log.Info("order refused", "action", o.Action, "target", o.Target, "reason", err)
	}
}

// askKeyFrame asks the peer for a key frame of one stream, without waiting.
func (c *Call) askKeyFrame(stream int) {
	now := time.Now().UnixNano()
	last := c.sendsINFO.Load()
	if now-last < int64(keyInterval) || !c.sendsINFO.CompareAndSwap(last, now) || c.ctx.Err() != nil || !c.confirmed() {
		return
	}
	c.server.background(func() {
		ctx, cancel := context.WithTimeout(c.ctx, answerTime)
		defer cancel()
		_, err := c.send(ctx, sip.INFO, controlType, []byte(Control{Primitive: KeyFrame, Stream: stream}.String()))
		if err != nil {
			c.log.Debug("key frame request", "error", err)
		}
	})
}

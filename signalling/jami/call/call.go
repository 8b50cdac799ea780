package call

import (
	"context"
	"errors"
	"fmt"
	"image"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"

	"rendezvous/conference"
	"rendezvous/internal/tracing"
	"rendezvous/mixer/leg"
	"rendezvous/signalling/jami/sipchannel"
	"rendezvous/signalling/jami/vcard"
	"rendezvous/signalling/keypad"
)

const (
	inboxSize   = 64          // requests of one dialog that wait to be treated
	keyInterval = time.Second // between two key frames asked of one call: jamid obeys no more
	// ackTime is how long a caller may take to acknowledge our answer (64*T1, RFC 3261 §13.3.1.4).
	ackTime = 32 * time.Second
	// byeTime bounds a call's last words.
	byeTime = 2 * time.Second
)

// Call is one dialog with a Jami device whose media is in a room. It is a
// conference.Listener.
//
// run owns everything but what is said to be shared.
type Call struct {
	cfg    Config
	log    *slog.Logger
	link   *sipchannel.Channel
	party  Peer // at its other end
	server *Server
	leg    *leg.Leg
	setup  *tracing.Setup
	pad    *keypad.Pad // its keys; converse's
	caller conference.Caller
	member atomic.Pointer[conference.Member] // nil while the caller is asked for the PIN

	id       string // Call-ID
	session  string // our call id, as stream ids begin with it
	localTag string
	inbox    chan *sip.Request
	ctx      context.Context
	cancel   context.CancelCauseFunc
	unlink   func() bool   // stops waiting for the end of the channel
	final    atomic.Bool   // the INVITE has its final response, or is being given it
	answered bool          // by 200: there is a dialog to say BYE in
	acked    chan struct{} // closed when the peer has our answer: from then on we may speak
	ackOnce  sync.Once
	over     chan struct{}             // closed when nothing of the call is left
	pickets  sync.WaitGroup            // goroutines of this call
	talk     sync.WaitGroup            // converse and the news
	refused  error                     // by the room, for want of a PIN, when the caller came
	arrived  chan *conference.Member   // converse has brought the caller in
	heard    chan struct{}             // closed when the media is up for the first time
	recorded chan struct{}             // the caller is to be told aloud that the meeting is recorded; has room for one
	keyAsked atomic.Pointer[time.Time] // when a key frame was last asked for; nil: never
	asking   atomic.Bool               // that request waits for its answer
	replaces *Call                     // the call that this one takes the place of, or nil

	sendMu    sync.Mutex // held from numbering a request to its being written; before seqMu
	seqMu     sync.Mutex // guards what follows, as far as remoteSeq
	cseq      uint32
	dialog    sipchannel.Dialog
	peer      sip.Uri // the peer's Contact
	remoteSeq uint32  // of its newest request

	origin  uint64
	version uint64
	sdpName string
	mediaMu sync.Mutex // held while the media's lines or paths change
	media   []*medium  // by m-line
	ice     *iceSession
	remote  string // ufrag of the peer's ICE in use

	latest atomic.Pointer[conference.Info] // that came
	shown  atomic.Pointer[image.Point]     // the size of the pictures that the caller is sent; nil: none yet
	news   *news
	cameAs atomic.Pointer[string] // the caller's name when the room was told of first

	cards        vcard.Joiner // the caller's profile, as far as it is here
	profileTaken bool
	cardName     string // in it
	selfMuted    bool   // the caller says
	recording    bool   // the caller is, they say
	introduce    sync.Once

	takesMessages atomic.Bool // the peer's Allow header lists MESSAGE
	recordingTold atomic.Bool
}

// errEnded is why a call ends when all is well.
var errEnded = errors.New("call ended")

// end makes run come to its end. It is safe to call from anywhere.
func (c *Call) end(why error) { c.cancel(why) }

var (
	errLinkLost   = fmt.Errorf("connection lost: %w", errEnded)
	errPeerHungUp = fmt.Errorf("the caller hung up: %w", errEnded)
	errCancelled  = fmt.Errorf("the caller gave up: %w", errEnded)
	errNoACK      = errors.New("the answer was not acknowledged")
	errPathLost   = errors.New("nothing comes from the caller any more")
)

// answer treats an INVITE that begins a call, from the first response to the last packet.
func (c *Call) answer(r *sip.Request) {
	defer c.finish()
	if err := c.accept(r); err != nil {
		c.refuse(r, err)
		return
	}
	c.cfg.Metrics.call("in", "answered")
	if c.replaces != nil {
		c.replaces.end(fmt.Errorf("replaced by another call: %w", errEnded)) // RFC 3891 §3
	}
	c.serve()
}

// refuse gives the INVITE a final response that says why there will be no call.
func (c *Call) refuse(r *sip.Request, err error) {
	c.setup.End(err)
	var refused *refusedError
	switch {
	case errors.Is(context.Cause(c.ctx), errCancelled):
		c.cfg.Metrics.call("in", "cancelled")
		_ = c.link.Respond(r, 487, "Request Terminated", c.localTag, nil)
	case errors.As(err, &refused):
		c.cfg.Metrics.call("in", "refused")
		c.server.complain(c.party, "call refused", err)
		_ = c.link.Respond(r, refused.code, refused.reason, c.localTag, nil)
	default:
		c.cfg.Metrics.call("in", "failed")
		if c.ctx.Err() == nil {
			c.log.Warn("Jami call failed", "error", err)
		}
		_ = c.link.Respond(r, 500, "Server Internal Error", c.localTag, nil)
	}
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
	_ = c.link.Respond(r, 100, "Trying", "", nil)
	if err := c.link.Respond(r, 180, "Ringing", c.localTag, c.contact); err != nil {
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
	p, err := c.plan(d)
	if err != nil {
		return &refusedError{488, "Not Acceptable Here", err}
	}
	if d.remote.ufrag == "" {
		return &refusedError{488, "Not Acceptable Here", errors.New("no ICE in the session description")}
	}
	session, err := newICESession(c.ctx, p.components(), c.iceConfig())
	if err != nil {
		return fmt.Errorf("call: %w", err)
	}
	c.ice = session
	c.origin, c.version, c.remote = d.Origin.ID, d.Origin.Version, d.remote.ufrag
	if err := c.apply(&p); err != nil {
		return err
	}
	if err := c.enter(displayName(r), agentOf(r)); err != nil {
		if refusal, ok := errors.AsType[*conference.Refusal](err); ok {
			return &refusedError{refusalCode(refusal.Code), refusal.Text, err}
		}
		return err
	}
	if !c.final.CompareAndSwap(false, true) {
		return errCancelled
	}
	answer := c.describe(&p, session)
	err = c.link.Respond(r, 200, "OK", c.localTag, func(resp *sip.Response) {
		c.contact(resp)
		resp.AppendHeader(sip.NewHeader("Supported", "replaces"))
		setBody(resp, "application/sdp", answer)
	})
	if err != nil {
		return err
	}
	c.answered = true
	c.startMedia(session, false, d.remote, &p)
	return nil
}

// startMedia runs ICE beside the dialog, and ends the call when it fails, or when the paths
// are lost later.
func (c *Call) startMedia(session *iceSession, controlling bool, remote remoteICE, p *plan) {
	c.setup.Step("ice")
	c.pickets.Go(func() {
		began := time.Now()
		err := c.connect(session, controlling, remote, p)
		if err == nil {
			c.log.Info("Jami media connected", "after", time.Since(began).Round(time.Millisecond))
			c.setup.Ready()
			c.leg.RequestKeyFrame()
			signal(c.news.begun)
			c.introduce.Do(func() {
				close(c.heard)
				c.server.background(c.sendProfile)
			})
			select {
			case <-session.lost:
				err = errPathLost
			case <-session.ctx.Done(): // the call's end, or a restart of ICE
			}
		}
		if err != nil && session.ctx.Err() == nil {
			c.end(fmt.Errorf("media: %w", err))
		}
	})
}

// agentOf is what the peer's program calls itself.
func agentOf(m interface{ GetHeader(string) sip.Header }) string {
	if h := m.GetHeader("User-Agent"); h != nil {
		return h.Value()
	}
	return ""
}

// refusalCode is the SIP response for a room's refusal. 486 is what jamid shows as busy.
func refusalCode(code conference.RefusalCode) int {
	switch code {
	case conference.RefusedNoRoom:
		return 404
	case conference.RefusedFull, conference.RefusedClosed:
		return 486
	case conference.RefusedDraining, conference.RefusedBusy:
		return 503
	}
	return 403
}

// serve treats the dialog's requests until the call ends.
func (c *Call) serve() {
	c.talk.Go(c.converse)
	c.talk.Go(func() { c.news.run(c.ctx, c.tellInfo) })
	unheard := time.NewTimer(ackTime)
	defer unheard.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case r := <-c.inbox:
			c.treat(r)
		case m := <-c.arrived:
			c.settle(m)
		case <-unheard.C:
			if !c.confirmed() {
				c.end(errNoACK)
			}
		}
	}
}

// finish takes the call apart, in any state.
func (c *Call) finish() {
	why := context.Cause(c.ctx)
	c.cancel(errEnded)
	c.talk.Wait()
	m := c.member.Load()
	select {
	case m = <-c.arrived:
	default:
	}
	if m != nil {
		m.Leave(conference.EndLeft)
	}
	if c.answered && !errors.Is(why, errPeerHungUp) && !errors.Is(why, errLinkLost) {
		c.bye()
	}
	c.unlink()
	c.server.dropCall(c)
	c.dismiss()
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
			c.cfg.Metrics.rejected(m.endpoint.dropped.Load())
		}
	}
	c.leg.Close()
	c.setup.End(why)
	c.log.Info("Jami call ends", "reason", why)
}

// bye ends the dialog. Before the caller has acknowledged our answer we may not (RFC 3261 §15).
func (c *Call) bye() {
	ctx, cancel := context.WithTimeout(context.Background(), byeTime)
	defer cancel()
	for !c.confirmed() && ctx.Err() == nil {
		select {
		case r := <-c.inbox:
			if r.Method == sip.ACK {
				c.ackOnce.Do(func() { close(c.acked) })
			} else {
				_ = c.link.Respond(r, 480, "Temporarily Unavailable", "", nil)
			}
		case <-c.link.Context().Done():
			return
		case <-ctx.Done():
		}
	}
	ctx, cancel = context.WithTimeout(context.Background(), byeTime)
	defer cancel()
	if _, err := c.send(ctx, sip.BYE, "", nil); err != nil {
		c.log.Debug("BYE", "error", err)
	}
}

// dismiss answers what the peer has sent meanwhile.
func (c *Call) dismiss() {
	for {
		select {
		case r := <-c.inbox:
			switch r.Method {
			case sip.ACK:
			case sip.BYE:
				_ = c.link.Respond(r, 200, "OK", "", nil)
			default:
				_ = c.link.Respond(r, 481, "Call/Transaction Does Not Exist", "", nil)
			}
		default:
			return
		}
	}
}

// confirmed reports whether there is a dialog to say BYE in.
func (c *Call) confirmed() bool {
	select {
	case <-c.acked:
		return true
	default:
		return false
	}
}

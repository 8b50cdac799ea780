package sip

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"

	"rendezvous/conference"
	"rendezvous/internal/tracing"
	"rendezvous/mixer/leg"
	"rendezvous/signalling/keypad"
	"rendezvous/signalling/sdp"
	"rendezvous/signalling/sip/rtppipe"
)

// call is one telephone call, from the INVITE to the BYE. Its goroutine run tells its story:
// menu, room, goodbye. Requests of the peer are answered in sipgo's goroutines.
type call struct {
	door     *Door
	log      *slog.Logger
	dialog   *dialog
	to       destination
	caller   conference.Caller
	outgoing bool
	leg      *leg.Leg
	setup    *tracing.Setup
	pad      *keypad.Pad // its keys
	cname    string
	consent  rtppipe.Consent

	acks      chan *sip.Request
	keyFrames chan struct{} // one token: the phone is to be asked for a key frame

	over    context.Context // ends when the call does; the cause says why
	end     context.CancelCauseFunc
	gone    chan struct{} // closed when nothing is left of the call
	release sync.Once

	held       atomic.Bool
	connection atomic.Value // string
	latestInfo atomic.Pointer[conference.Info]
	established,
	peerEnded atomic.Bool
	began   time.Time
	created time.Time

	member atomic.Pointer[conference.Member] // nil before the caller is in a room
	joined chan struct{}                     // closed when they are; nil if nobody wants to know
	ack    atomic.Pointer[sip.Request]       // the newest we sent

	inviting chan struct{} // holds a token from the answer to an INVITE of the peer to its ACK

	// negotiation is held during an exchange of offer and answer. It guards what follows.
	negotiation sync.Mutex
	media       []*medium
	agreed      []sdp.Medium
	offered     []sdp.Medium // ours, while it waits for an answer
	origin      sdp.Origin
	body        []byte // description to be sent with the next answer or request

	timer sessionTimer

	why string // the room's reason for our BYE, a word; belongs to the call's goroutine
}

// Why a call ended.
var (
	errPeerHungUp  = errors.New("hung up")
	errTimedOut    = errors.New("no media")
	errExpired     = errors.New("session timer ran out")
	errUnreachable = errors.New("phone does not answer")
	errOver        = errors.New("told to leave")
	errUnconfirmed = errors.New("not confirmed")
)

// newCall makes a call with a leg and without media.
func (d *Door) newCall(g *dialog, to destination, caller conference.Caller, direction string) *call {
	c := &call{
		door: d, dialog: g, to: to, caller: caller,
		created: d.cfg.Now(),
		log:     d.log.With("call", g.callID, "from", caller.Address),
		acks:    make(chan *sip.Request, 4),
		gone:    make(chan struct{}),
		cname:   newTag(), keyFrames: make(chan struct{}, 1), inviting: make(chan struct{}, 1),
		origin: sdp.Origin{ID: uint64(rand.Uint32()), Version: 0},
	}
	room := "" // not known to those who come to the menu
	if to.room != nil {
		room = to.room.ID()
	}
	c.setup = d.cfg.Tracer.Begin(d.Name(), direction, room, "invite")
	c.log = c.setup.Log(c.log)
	c.outgoing = direction == "out"
	c.consent.Unasked = d.unasked
	c.over, c.end = context.WithCancelCause(d.ctx)
	c.connection.Store("SIP/" + g.transport)
	c.pad, c.leg = keypad.New(keypad.Config{Words: d.prompts, Foyer: d.cfg.Host.Foyer, Pause: d.cfg.KeyTimeout, LeadIn: leadIn},
		leg.Config{Log: c.log, Metrics: d.cfg.LegMetrics, Now: d.cfg.Now, OnFirst: func(k leg.Kind) { c.setup.Packet(k.String()) }})
	return c
}

// askKeyFrame has the phone asked for a key frame; it does not block.
func (c *call) askKeyFrame() {
	select {
	case c.keyFrames <- struct{}{}:
	default:
	}
}

func (c *call) confirmed() bool { return c.established.Load() }

// begin starts the life of an answered call.
func (c *call) begin() {
	c.began = c.door.cfg.Now()
	c.established.Store(true)
	c.door.wg.Go(c.run)
}

// run is the life of an answered call.
func (c *call) run() {
	direction := "in"
	if c.outgoing {
		direction = "out"
	}
	c.log.Info("call begins", "direction", direction, "connection", c.connection.Load(), "agent", c.caller.Agent)
	var watcher sync.WaitGroup
	watcher.Go(c.watch)
	c.converse()
	if !c.peerEnded.Load() {
		c.hangup()
	}
	c.end(errOver)
	watcher.Wait()
	cause := context.Cause(c.over)
	log := c.log
	if member := c.member.Load(); member != nil {
		log = log.With("room", member.Room().ID(), "participant", member.ID())
	}
	log.Info("call ends", "reason", cause, "duration", c.door.cfg.Now().Sub(c.began).Round(time.Second))
	c.door.metrics.ended.WithLabelValues(direction, result(cause)).Inc()
	c.abandon()
	c.door.unregister(c)
}

func result(cause error) string {
	switch {
	case errors.Is(cause, errPeerHungUp):
		return "hung-up"
	case errors.Is(cause, errTimedOut):
		return "no-media"
	case errors.Is(cause, errExpired):
		return "expired"
	case errors.Is(cause, errUnreachable):
		return "unreachable"
	case errors.Is(cause, context.Canceled):
		return "shutdown"
	}
	return "ended"
}

// abandon frees what the call holds.
func (c *call) abandon() {
	c.release.Do(func() {
		c.end(errOver)
		c.closeMedia()
		c.leg.Close()
		c.setup.End(context.Cause(c.over))
		close(c.gone)
	})
}

const (
	// byeTimeout bounds the farewell; the peer may be gone.
	byeTimeout = 5 * time.Second
	// hurriedBye is that while the host stops, which has a stated time for all.
	hurriedBye = time.Second
)

// hangup ends the dialog.
func (c *call) hangup() {
	timeout := byeTimeout
	if c.door.isDraining() {
		timeout = hurriedBye
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.door.ctx), timeout)
	defer cancel()
	_, err := c.dialog.do(ctx, c.door, sip.BYE, func(req *sip.Request) {
		if c.why != "" { // RFC 3326
			req.AppendHeader(sip.NewHeader("Reason", `SIP;cause=200;text="`+c.why+`"`))
		}
	})
	if err != nil {
		c.log.Debug("BYE not answered", "error", err)
	}
}

// watch ends the call when nothing comes from the phone any more, and keeps the session timer.
func (c *call) watch() {
	tick := time.NewTicker(min(time.Second, c.door.cfg.MediaTimeout/4))
	defer tick.Stop()
	var lastAsked time.Time
	for {
		select {
		case <-c.over.Done():
			return
		case <-c.keyFrames:
			// At most one request a second: they cost the phone a lot.
			if now := c.door.cfg.Now(); now.Sub(lastAsked) >= time.Second {
				lastAsked = now
				c.sendPictureFastUpdate()
			}
		case <-tick.C:
			now := c.door.cfg.Now()
			limit := c.door.cfg.MediaTimeout
			if c.held.Load() {
				limit = max(limit, c.door.cfg.HoldTimeout)
			}
			last := c.leg.LastPacket()
			if last.Before(c.began) {
				last = c.began
			}
			if now.Sub(last) > limit {
				c.end(errTimedOut)
				return
			}
			switch refresh, expired := c.timer.due(now); {
			case expired:
				c.end(errExpired)
				return
			case refresh:
				c.refresh()
			}
		}
	}
}

// identified completes what the room is told of the caller.
func (c *call) identified(pin string) conference.Caller {
	caller := c.caller
	caller.PIN, caller.ToldInside = pin, true
	caller.Connection = c.connection.Load().(string)
	return caller
}

// sendPictureFastUpdate asks the phone for a key frame by INFO (RFC 5168).
func (c *call) sendPictureFastUpdate() {
	if !c.dialog.may(sip.INFO) {
		return
	}
	ctx, cancel := context.WithTimeout(c.over, byeTimeout)
	defer cancel()
	_, err := c.dialog.do(ctx, c.door, sip.INFO, func(req *sip.Request) {
		req.AppendHeader(sip.NewHeader("Content-Type", "application/media_control+xml"))
		req.SetBody([]byte(strings.TrimSpace(pictureFastUpdate)))
	})
	if err != nil {
		c.log.Debug("key frame request not answered", "error", err)
	}
}

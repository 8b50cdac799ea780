package call

import (
	"context"
	"time"

	"github.com/emiago/sipgo/sip"

	"rendezvous/moderation"
	"rendezvous/signalling/jami/sipchannel"
	"rendezvous/signalling/jami/vcard"
)

// allowed checks that a request belongs to the dialog and is newer than the last (RFC 3261
// §12.2.2), and answers it if not.
func (c *Call) allowed(r *sip.Request) bool {
	if r.Method == sip.ACK || r.Method == sip.CANCEL { // they have the number of their INVITE
		return true
	}
	if tag, _ := r.To().Params.Get("tag"); tag != c.localTag {
		c.cfg.Metrics.refuse("dialog")
		_ = c.link.Respond(r, 481, "Call/Transaction Does Not Exist", "", nil)
		return false
	}
	c.seqMu.Lock()
	old := c.remoteSeq
	c.remoteSeq = max(old, r.CSeq().SeqNo)
	c.seqMu.Unlock()
	if r.CSeq().SeqNo <= old {
		c.cfg.Metrics.refuse("order")
		_ = c.link.Respond(r, 500, "Out of Order", "", nil)
		return false
	}
	return true
}

// treat answers one request within the dialog.
func (c *Call) treat(r *sip.Request) {
	if !c.allowed(r) {
		return
	}
	c.takeAllow(r)
	if r.Method != sip.CANCEL && r.Method != sip.BYE {
		c.ackOnce.Do(func() {
			c.setup.Event("ack")
			close(c.acked)
		})
	}
	var err error
	switch r.Method {
	case sip.ACK:
		return
	case sip.BYE:
		err = c.link.Respond(r, 200, "OK", "", nil)
		c.end(errPeerHungUp)
	case sip.CANCEL:
		err = c.link.Respond(r, 200, "OK", "", nil)
	case sip.INVITE:
		err = c.renegotiate(r)
	case sip.UPDATE:
		if len(r.Body()) == 0 { // only says that the peer is still there (RFC 4028 §9)
			err = c.link.Respond(r, 200, "OK", "", c.contact)
			break
		}
		err = c.renegotiate(r)
	case sip.INFO:
		c.info(r)
		err = c.link.Respond(r, 200, "OK", "", c.contact)
	case sip.MESSAGE:
		c.message(r)
		err = c.link.Respond(r, 200, "OK", "", nil)
	case sip.OPTIONS:
		err = c.link.Respond(r, 200, "OK", "", c.contact)
	default:
		c.cfg.Metrics.refuse("method")
		err = c.link.Respond(r, 405, "Method Not Allowed", "", func(resp *sip.Response) {
			resp.AppendHeader(sip.NewHeader("Allow", sipchannel.Allow))
		})
	}
	if err != nil {
		c.log.Debug("answer to the caller", "method", r.Method, "error", err)
	}
}

// renegotiate answers a re-INVITE: media on and off, added or removed, and new ICE where
// the peer begins one (docs/jami/calls.md#changing-a-call).
func (c *Call) renegotiate(r *sip.Request) error {
	body := r.Body()
	if len(body) == 0 {
		return c.link.Respond(r, 488, "Not Acceptable Here", "", nil)
	}
	d, err := parseDescription(body)
	if err != nil {
		c.cfg.Metrics.refuse("description")
		c.server.complain(c.party, "re-INVITE refused", err)
		return c.link.Respond(r, 400, "Bad Session Description", "", nil)
	}
	_ = c.link.Respond(r, 100, "Trying", "", nil)
	p, err := c.plan(d)
	if err != nil {
		return c.link.Respond(r, 488, "Not Acceptable Here", "", nil)
	}
	restart := d.remote.ufrag != "" && d.remote.ufrag != c.remote
	var session *iceSession
	if !restart {
		c.keepOnly(d, &p)
	}
	if len(p.components()) == 0 {
		return c.link.Respond(r, 488, "Not Acceptable Here", "", nil)
	}
	if restart {
		session, err = newICESession(c.ctx, p.components(), c.iceConfig())
		if err != nil {
			c.log.Warn("re-INVITE", "error", err)
			return c.link.Respond(r, 500, "Server Internal Error", "", nil)
		}
		// The old paths end before the media change hands: nobody else may use c.media then.
		c.ice.close()
		c.pickets.Wait()
		c.ice, c.remote = session, d.remote.ufrag
		for _, m := range c.media {
			if m != nil {
				m.endpoint.pause()
			}
		}
	}
	if err := c.apply(&p); err != nil {
		c.end(err)
		return c.link.Respond(r, 500, "Server Internal Error", "", nil)
	}
	answer := c.describe(&p, session)
	err = c.link.Respond(r, 200, "OK", "", func(resp *sip.Response) {
		c.contact(resp)
		setBody(resp, "application/sdp", answer)
	})
	if err != nil {
		return err
	}
	if restart {
		c.startMedia(session, false, d.remote, &p)
		return nil
	}
	if err := c.keepPaths(&p); err != nil {
		c.end(err)
	}
	signal(c.news.begun)
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
		signal(c.news.receiving)
		c.leg.RequestKeyFrame()
	case Orientation:
		for i, x := range c.media {
			if x != nil && (i == m.Stream || m.Stream < 0) {
				x.stream.SetRotation(-m.Value) // clockwise; jamid's transposition of 90 is to the left
			}
		}
	case MuteState:
		c.selfMuted = m.Value == 1
		if member == nil {
			return // the room is told when the caller is there
		}
		if err := member.SetSelfMuted(c.selfMuted); err != nil {
			c.log.Debug("mute state", "error", err)
		}
	case RecordingState:
		c.recording = m.Value == 1
		if member != nil {
			member.SetRecording(c.recording)
		}
	case VoiceActivity:
		if member != nil {
			c.order(moderation.Order{Action: moderation.VoiceActivity, Target: member.ID(), On: m.Value == 1})
		}
	}
}

// info takes a media control body or a key press.
func (c *Call) info(r *sip.Request) {
	switch contentType(r) {
	case dtmfType:
		if key, ok := parseKey(string(r.Body())); ok {
			c.leg.Key(key)
		}
	case controlType, "":
		c.control(string(r.Body()))
	}
}

// message takes texts or an order. Before they are in a room a caller's texts can be the PIN that
// they are asked for, and nothing else.
func (c *Call) message(r *sip.Request) {
	if contentType(r) == vcard.PieceType {
		c.takeProfile(r)
		return
	}
	member := c.member.Load()
	if member == nil {
		for _, text := range textsOf(r) {
			c.typePIN(text)
		}
		return
	}
	if contentType(r) == orderType {
		orders, err := ParseOrders(r.Body(), member.Room().Info(), member.ID())
		if err != nil {
			c.cfg.Metrics.refuse("order-syntax")
			c.server.complain(c.party, "conference order not understood", err)
			return
		}
		for _, o := range orders {
			c.order(o)
		}
		return
	}
	for _, text := range textsOf(r) {
		c.order(moderation.Order{Action: moderation.Chat, Text: text})
	}
}

func (c *Call) order(o moderation.Order) {
	if err := c.member.Load().Order(o); err != nil {
		c.cfg.Metrics.refuse("moderation")
		c.log.Debug("order refused", "action", o.Action, "target", o.Target, "reason", err)
	}
}

// askKeyFrame asks the peer for a key frame of one stream, without waiting.
func (c *Call) askKeyFrame(stream int) {
	if last := c.keyAsked.Load(); last != nil && time.Since(*last) < keyInterval {
		return
	}
	if c.ctx.Err() != nil || !c.confirmed() || !c.asking.CompareAndSwap(false, true) {
		return
	}
	now := time.Now()
	c.keyAsked.Store(&now)
	started := c.server.background(func() {
		defer c.asking.Store(false)
		ctx, cancel := context.WithTimeout(c.ctx, tellTime)
		defer cancel()
		_, err := c.send(ctx, sip.INFO, controlType, []byte(Control{Primitive: KeyFrame, Stream: stream}.String()))
		if err != nil {
			c.log.Debug("key frame request", "error", err)
		}
	})
	if !started {
		c.asking.Store(false)
	}
}

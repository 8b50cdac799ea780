package sip

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/emiago/sipgo/sip"

	"rendezvous/moderation"
	"rendezvous/signalling/sdp"
)

// inDialog takes the requests that make sense only within a call.
func (d *Door) inDialog(req *sip.Request, tx sip.ServerTransaction) {
	c := d.find(req)
	if c == nil {
		f := noCall
		if _, inside := req.To().Params.Get("tag"); !inside && req.Method == sip.MESSAGE {
			f = fault{code: 403, text: "Call the Room First", reason: "method"}
		}
		d.reject(req, tx, f)
		return
	}
	if err := c.dialog.take(req); err != nil {
		d.reject(req, tx, fault{code: 500, text: "Server Internal Error", reason: "order"}) // RFC 3261 §12.2.2
		return
	}
	switch req.Method {
	case sip.BYE:
		c.peerEnded.Store(true) // first: a door that closes meanwhile has no BYE to send it
		d.respond(req, tx, c.response(req, 200, "OK"))
		c.end(errPeerHungUp)
	case sip.INFO:
		c.info(req, tx)
	case sip.MESSAGE:
		c.message(req, tx)
	case sip.UPDATE:
		c.renegotiate(req, tx, false)
	case sip.REFER:
		d.reject(req, tx, fault{code: 603, text: "Decline", reason: "refer"})
	default:
		d.reject(req, tx, fault{code: 405, text: "Method Not Allowed", reason: "method",
			headers: []sip.Header{sip.NewHeader("Allow", allow)}})
	}
}

// reinvite takes an INVITE within the call.
func (c *call) reinvite(req *sip.Request, tx sip.ServerTransaction) {
	if err := c.dialog.take(req); err != nil {
		c.door.reject(req, tx, fault{code: 500, text: "Server Internal Error", reason: "order"})
		return
	}
	select {
	case c.inviting <- struct{}{}:
	case <-time.After(overtaken):
		// Our answer to the INVITE before is not confirmed yet (RFC 3261 §14.2).
		c.door.reject(req, tx, tryAgainSoon())
		return
	}
	defer func() { <-c.inviting }()
	c.renegotiate(req, tx, true)
}

// tryAgainSoon refuses a second INVITE while one is open, with a random pause of 0 to 10 s.
func tryAgainSoon() fault {
	return fault{code: 500, text: "Server Internal Error", reason: "glare",
		headers: []sip.Header{sip.NewHeader("Retry-After", strconv.Itoa(rand.IntN(11)))}}
}

// renegotiate takes a re-INVITE or an UPDATE: a new offer, a request for one, or a sign of life.
func (c *call) renegotiate(req *sip.Request, tx sip.ServerTransaction, invite bool) {
	if f := intervalFault(req, c.door.cfg.MinSE); f != nil {
		c.door.reject(req, tx, *f)
		return
	}
	offer, err := description(req)
	if err != nil {
		c.door.reject(req, tx, *badHeader(err.Error()))
		return
	}
	if !c.negotiation.TryLock() {
		c.door.reject(req, tx, glare)
		return
	}
	f := c.prepare(offer, invite)
	body := c.takeBody()
	c.negotiation.Unlock()
	if f != nil {
		c.door.reject(req, tx, *f)
		return
	}
	c.timer.restart(req, c.door.cfg.Now())
	res := c.accepted(req, body)
	if err := tx.Respond(res); err != nil {
		c.log.Debug("answer not sent", "error", err)
		return
	}
	if invite && !c.awaitAck(tx, res) && c.over.Err() == nil {
		c.end(errUnreachable)
	}
}

// glare means that an offer of ours is open (RFC 3261 §14.2).
var glare = fault{code: 491, text: "Request Pending", reason: "glare"}

// prepare does what a renegotiation asks for. c.negotiation is held.
func (c *call) prepare(offer *sdp.Session, invite bool) *fault {
	if c.offered != nil {
		return &glare
	}
	switch {
	case offer != nil:
		agreed, err := sdp.Answer(offer, c.door.cfg.policy())
		if err != nil {
			return mediaFault(err)
		}
		if len(agreed) < len(c.agreed) {
			return mediaFault(sdp.ErrMismatch) // RFC 3264 §8: m-lines never go away
		}
		if err := c.settle(agreed); err != nil {
			return mediaFault(err)
		}
	case invite:
		if err := c.offer(sdp.Repeat(c.agreed)); err != nil {
			return mediaFault(err)
		}
	}
	return nil
}

// message takes a line of chat.
func (c *call) message(req *sip.Request, tx sip.ServerTransaction) {
	text := string(req.Body())
	if !utf8.ValidString(text) {
		c.door.reject(req, tx, *badHeader("text is not UTF-8"))
		return
	}
	member := c.member.Load()
	if member == nil {
		c.door.reject(req, tx, fault{code: 480, text: "Not in a Room Yet", reason: "method"})
		return
	}
	if text = strings.TrimSpace(text); text != "" {
		if err := member.Order(moderation.Order{Action: moderation.Chat, Text: text}); err != nil {
			c.door.reject(req, tx, fault{code: 403, text: "Forbidden", reason: "chat"})
			return
		}
	}
	c.door.respond(req, tx, c.response(req, 200, "OK"))
}

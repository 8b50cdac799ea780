package call

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/emiago/sipgo/sip"

	"rendezvous/signalling/jami/sipchannel"
	"rendezvous/signalling/sdp"
)

// ErrDeclined says that the called device was reached and did not take the call.
var ErrDeclined = errors.New("the call was declined")

// ErrTaken says that another device has answered before.
var ErrTaken = errors.New("the call was taken on another device")

// Dial calls the device at the other end of a channel and brings it into the room. It returns
// when the device has answered, or will not; the call then goes on by itself. Where several
// devices ring, claim says which of those that answer is the first and may stay; the others are
// hung up on. The error is for people: the host takes no calls, the device has declined or not answered, media did not
// connect, the room has refused, or ctx's.
func (s *Server) Dial(ctx context.Context, ch *sipchannel.Channel, claim func() bool) error {
	s.mu.Lock()
	if s.draining || s.ctx.Err() != nil || len(s.calls) >= maxCalls {
		s.mu.Unlock()
		return errors.New("the host takes no new calls")
	}
	c := s.newCall(ch, sipchannel.Token(), "out")
	s.calls[c] = true
	s.wg.Add(1)
	s.mu.Unlock()
	answered := make(chan error, 1)
	go func() {
		defer close(c.over)
		defer s.forget(c)
		defer c.finish()
		err := c.invite(ctx, claim)
		result := "answered"
		if err != nil {
			result = "failed"
			c.setup.End(err)
		}
		s.cfg.Metrics.call("out", result)
		answered <- err
		if err == nil {
			c.serve()
		}
	}()
	return <-answered
}

// invite makes the call, up to the caller's being in the room with media on its way.
func (c *Call) invite(ctx context.Context, claim func() bool) error {
	p := plan{media: sdp.Propose(offerPolicy(), true)}
	for i := range p.media {
		p.first = append(p.first, 2*i+1)
	}
	session, err := newICESession(c.ctx, p.components(), c.iceConfig())
	if err != nil {
		return fmt.Errorf("call: %w", err)
	}
	c.ice = session
	c.origin = uint64(time.Now().Unix())
	offer := c.describe(&p, session)

	c.seqMu.Lock()
	target, dialog := c.link.Open(c.id, c.localTag)
	target.User = "" // as jamid has it (docs/jami/calls.md#headers)
	c.dialog = dialog
	c.cseq++
	r := c.newRequest(sip.INVITE, target, c.cseq)
	c.seqMu.Unlock()
	r.AppendHeader(sip.NewHeader("Allow", sipchannel.Allow))
	r.AppendHeader(sip.NewHeader("Subject", "Phone call"))
	r.AppendHeader(sip.NewHeader("Supported", "replaces"))
	setBody(r, "application/sdp", offer)

	resp, err := c.ask(ctx, r)
	if err != nil {
		return err
	}
	if !claim() {
		return ErrTaken
	}
	c.takeAllow(resp)
	d, err := parseDescription(resp.Body())
	if err != nil {
		return fmt.Errorf("answer to our call: %w", err)
	}
	if err := p.agree(d); err != nil {
		return err
	}
	c.remote = d.remote.ufrag
	if err := c.apply(&p); err != nil {
		return err
	}
	if err := c.enter(displayName(resp), agentOf(resp)); err != nil {
		return fmt.Errorf("the room does not take the called in: %w", err)
	}
	c.startMedia(session, true, d.remote, &p)
	return nil
}

// ask sends the INVITE and returns its success, acknowledged. A call that nobody waits for any
// longer is taken back, and hung up on if the device answers nevertheless.
func (c *Call) ask(ctx context.Context, r *sip.Request) (*sip.Response, error) {
	t, err := c.link.Begin(r)
	if err != nil {
		return nil, err
	}
	defer t.End()
	asking, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(c.ctx, stop)()
	resp, err := t.Final(asking)
	if err != nil && asking.Err() != nil {
		c.takeBack(r)
		last, cancel := context.WithTimeout(context.Background(), byeTime)
		defer cancel()
		var late error
		if resp, late = t.Final(last); late != nil {
			return nil, err
		}
	}
	if resp == nil {
		return nil, err
	}
	if resp.StatusCode >= 300 {
		c.acknowledge(r, resp)
		if err != nil {
			return nil, err // it was we who gave up
		}
		return nil, fmt.Errorf("%w: %d %s", ErrDeclined, resp.StatusCode, resp.Reason)
	}
	c.establishOutgoing(resp)
	c.acknowledge(r, resp)
	c.answered = true
	c.ackOnce.Do(func() { close(c.acked) })
	return resp, err
}

// establishOutgoing completes the dialog from the answer to our INVITE (RFC 3261 §12.1.2).
func (c *Call) establishOutgoing(resp *sip.Response) {
	c.seqMu.Lock()
	defer c.seqMu.Unlock()
	c.dialog.To = resp.To()
	c.peer = resp.To().Address
	if contact := resp.Contact(); contact != nil {
		c.peer = *contact.Address.Clone()
	}
}

// acknowledge sends the ACK for a final response: for a success within the dialog, else of
// the INVITE's own transaction (RFC 3261 §13.2.2.4, §17.1.1.3).
func (c *Call) acknowledge(invite *sip.Request, resp *sip.Response) {
	c.seqMu.Lock()
	target := invite.Recipient
	if resp.StatusCode < 300 {
		target = c.peer
	}
	ack := c.newRequest(sip.ACK, target, invite.CSeq().SeqNo)
	c.seqMu.Unlock()
	if resp.StatusCode >= 300 {
		ack.ReplaceHeader(invite.Via())
		ack.ReplaceHeader(resp.To())
	}
	if err := c.link.Write(ack); err != nil {
		c.log.Debug("ACK", "error", err)
	}
}

// takeBack cancels an INVITE that was not answered.
func (c *Call) takeBack(invite *sip.Request) {
	c.seqMu.Lock()
	cancel := c.newRequest(sip.CANCEL, invite.Recipient, invite.CSeq().SeqNo)
	c.seqMu.Unlock()
	cancel.ReplaceHeader(invite.Via()) // RFC 3261 §9.1
	if err := c.link.Write(cancel); err != nil {
		c.log.Debug("CANCEL", "error", err)
	}
}

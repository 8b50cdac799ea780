package sip

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"rendezvous/conference"
	"rendezvous/moderation"
	"rendezvous/signalling/sdp"
)

// Patience with those who are called.
const (
	dialTimeout   = 90 * time.Second
	cancelTimeout = 5 * time.Second
)

// Takes implements conference.Dialer: the schemes sip, sips and tel, and what has none, a telephone number or user@host.
func (d *Door) Takes(address string) conference.Claim {
	switch scheme, _, schemed := strings.Cut(address, ":"); {
	case !schemed:
		return conference.Perhaps
	case strings.EqualFold(scheme, "sip"), strings.EqualFold(scheme, "sips"), strings.EqualFold(scheme, "tel"):
		return conference.Mine
	}
	return conference.NotMine
}

// Dial calls a SIP address or a telephone number and joins whoever answers to the room.
// It returns when the callee is in, or why not in words for people: the host stops, the
// address is none or not among DialRules, the room has called too often, nobody answers
// within dialTimeout.
func (d *Door) Dial(ctx context.Context, room *conference.Room, address string) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if d.isDraining() {
		return errors.New("the host is about to stop")
	}
	callee, via, err := d.callee(address)
	if err != nil {
		return err
	}
	if err := d.dialed.allow(d.cfg.DialRules, room.ID(), callee, via != nil, d.cfg.Now()); err != nil {
		return err
	}
	peer, err := d.lookup(ctx, callee.Host)
	if err != nil {
		return fmt.Errorf("%s cannot be found", callee.Host)
	}
	c := d.outgoingCall(room, callee, via, peer)
	joined, err := c.dial(ctx, via)
	if err != nil {
		c.abandon()
		d.metrics.ended.WithLabelValues("out", "unanswered").Inc()
		return err
	}
	select {
	case <-joined:
		return nil
	case <-c.gone:
		return errors.New("the callee did not come into the room")
	case <-ctx.Done():
		return errors.New("the callee did not come into the room in time")
	}
}

// callee turns what a moderator typed into a SIP URI, and finds the trunk to go through, if any.
func (d *Door) callee(address string) (sip.Uri, *Upstream, error) {
	address = strings.TrimSpace(address)
	var uri sip.Uri
	number := address
	switch scheme, rest, _ := strings.Cut(address, ":"); {
	case scheme == "tel":
		number = rest
	case strings.Contains(address, "@"):
		if scheme != "sip" && scheme != "sips" {
			address = "sip:" + address
		}
		if err := sip.ParseUri(address, &uri); err != nil || uri.Host == "" || strings.ContainsAny(address, " <>\"\r\n") {
			return uri, nil, fmt.Errorf("%q is not a SIP address", address)
		}
		for i := range d.cfg.Upstreams {
			if u := &d.cfg.Upstreams[i]; u.Dial && strings.EqualFold(u.domain(), uri.Host) {
				return uri, u, nil
			}
		}
		return uri, nil, nil
	case scheme == "sip" || scheme == "sips":
		number = rest
	}
	number = strings.Map(func(r rune) rune {
		if strings.ContainsRune(" -./()", r) {
			return -1
		}
		return r
	}, number)
	if number == "" || strings.Trim(number, "+0123456789*#") != "" {
		return uri, nil, fmt.Errorf("%q is neither a SIP address nor a telephone number", address)
	}
	for i := range d.cfg.Upstreams {
		if u := &d.cfg.Upstreams[i]; u.Dial {
			if err := sip.ParseUri(u.Registrar, &uri); err != nil {
				return uri, nil, fmt.Errorf("trunk %s: %w", u.Name, err)
			}
			uri.User = number
			return uri, u, nil
		}
	}
	return uri, nil, errors.New("no trunk is configured for telephone numbers")
}

// outgoingCall makes a call from the room to the callee.
func (d *Door) outgoingCall(room *conference.Room, callee sip.Uri, via *Upstream, peer netip.Addr) *call {
	transport := transportOf(callee)
	port := callee.Port
	if port == 0 {
		port = sip.DefaultPort(transport)
	}
	from := sip.Uri{Scheme: "sip", User: room.ID(), Host: uriHost(d.localAddr(peer))}
	if len(d.cfg.Domains) > 0 {
		from.Host = d.cfg.Domains[0]
	}
	user := room.ID()
	if via != nil {
		from.User, from.Host, user = via.User, via.domain(), via.User
	}
	g := &dialog{
		callID: newTag(), localTag: newTag(), transport: transport,
		contact: d.contact(user, transport, peer),
		target:  callee, source: netip.AddrPortFrom(peer, uint16(port)).String(),
	}
	g.local = sip.FromHeader{DisplayName: quotable(room.Title()), Address: from}
	g.local.Params.Add("tag", g.localTag)
	to := *callee.Clone()
	to.UriParams, to.Headers = nil, nil
	g.remote = sip.ToHeader{Address: to}
	address := "sip:" + callee.User + "@" + callee.Host
	role := moderation.Speaker
	c := d.newCall(g, destination{room: room, user: user}, conference.Caller{
		Door: "sip", Address: address, Identity: strings.ToLower(address), Proven: true, Grant: &role,
		Name: moderation.CleanName(callee.User), Source: peer.String(), Session: g.callID,
	}, "out")
	return c
}

// quotable makes a text fit between quotation marks.
func quotable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '"' || r == '\\' || r < ' ' {
			return -1
		}
		return r
	}, s)
}

// dial sends the INVITE and begins the call when it is answered.
func (c *call) dial(ctx context.Context, via *Upstream) (joined <-chan struct{}, err error) {
	d := c.door
	c.negotiation.Lock()
	err = c.offer(sdp.Propose(d.cfg.policy(), c.dialog.transport == "TLS"))
	body := c.takeBody()
	c.negotiation.Unlock()
	if err != nil {
		return nil, err
	}
	req := c.dialog.request(d, sip.INVITE, 0)
	req.AppendHeader(sip.NewHeader("Allow", allow))
	req.AppendHeader(sip.NewHeader("Supported", supported))
	if d.cfg.SessionExpires > 0 {
		req.AppendHeader(sip.NewHeader("Session-Expires", strconv.Itoa(int(d.cfg.SessionExpires.Seconds()))))
		req.AppendHeader(sip.NewHeader("Min-SE", strconv.Itoa(int(d.cfg.MinSE.Seconds()))))
	}
	req.AppendHeader(sip.NewHeader("Content-Type", accept))
	req.SetBody(body)
	var who credentials
	if via != nil {
		who = via.credentials()
	}
	req, res, err := d.doAuthorised(ctx, req, who, d.sendInvite)
	if err != nil {
		return nil, err
	}
	if !res.IsSuccess() {
		return nil, fmt.Errorf("the callee answers %d %s", res.StatusCode, res.Reason)
	}
	c.dialog.established(req, res)
	c.consent.Give(c.dialog.peer()) // it has answered what was sent there
	c.setup.Step("ack")
	ack := c.dialog.request(d, sip.ACK, req.CSeq().SeqNo)
	c.sendAck(ack)
	answer, err := description(res)
	if err == nil && answer == nil {
		err = errors.New("the callee's answer has no media")
	}
	if err == nil {
		c.negotiation.Lock()
		err = c.answered(answer)
		c.negotiation.Unlock()
	}
	if err == nil && ctx.Err() != nil {
		err = ctx.Err() // answered while it was being cancelled
	}
	if err == nil && !d.register(c) {
		err = errors.New("too many calls")
	}
	if err != nil {
		c.hangup()
		return nil, err
	}
	c.caller.Agent = headerValue(res, "User-Agent", "Server")
	c.timer.settled(res, c.door.cfg.Now())
	c.joined = make(chan struct{})
	c.setup.Ready()
	c.begin()
	return c.joined, nil
}

// established completes the dialog with what the callee answered (RFC 3261 §12.1.2).
func (g *dialog) established(req *sip.Request, res *sip.Response) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if to := res.To(); to != nil {
		g.remoteTag, _ = to.Params.Get("tag")
		g.remote.Params = to.Params.Clone()
	}
	g.localSeq = req.CSeq().SeqNo
	if c := res.Contact(); c != nil {
		g.target = *c.Address.Clone()
	}
	for _, h := range slices.Backward(res.GetHeaders("Record-Route")) {
		if rr, ok := h.(*sip.RecordRouteHeader); ok {
			g.routes = append(g.routes, *rr.Address.Clone())
		}
	}
	if res.Source() != "" {
		g.source = res.Source()
	}
	g.learn(res)
}

// settled takes the session timer the callee decided on.
func (t *sessionTimer) settled(res *sip.Response, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = now
	if interval, refresher, ok := sessionExpires(res); ok {
		t.interval, t.ours, t.peer = interval, refresher != "uas", true
	}
}

// sendInvite sends an INVITE and waits for the final answer. When ctx ends before it
// comes, the INVITE is cancelled; an answer that comes all the same is returned.
func (d *Door) sendInvite(ctx context.Context, req *sip.Request) (*sip.Response, error) {
	tx, err := d.transaction(ctx, req)
	if err != nil {
		return nil, err
	}
	return d.finalOfInvite(ctx, req, tx)
}

func (d *Door) finalOfInvite(ctx context.Context, req *sip.Request, tx sip.ClientTransaction) (*sip.Response, error) {
	defer tx.Terminate()
	ringing := false
	done := ctx.Done()
	var giveUp <-chan time.Time
	for {
		select {
		case res := <-tx.Responses():
			if !res.IsProvisional() {
				return res, nil
			}
			if !ringing && done == nil {
				d.cancelInvite(req)
			}
			ringing = true
		case <-tx.Done():
			return nil, errors.New("the callee does not answer")
		case <-done:
			done = nil
			giveUp = time.After(cancelTimeout)
			if ringing { // else CANCEL must wait for a sign of life (RFC 3261 §9.1)
				d.cancelInvite(req)
			}
		case <-giveUp:
			return nil, errors.New("the callee did not answer in time")
		}
	}
}

// cancelInvite sends a CANCEL. Its answer says nothing of interest.
func (d *Door) cancelInvite(invite *sip.Request) {
	req := sip.NewRequest(sip.CANCEL, *invite.Recipient.Clone())
	req.AppendHeader(invite.Via().Clone())
	for _, name := range []string{"Route", "From", "To", "Call-ID"} {
		sip.CopyHeaders(name, invite, req)
	}
	maxForwards := sip.MaxForwardsHeader(70)
	req.AppendHeader(&maxForwards)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: invite.CSeq().SeqNo, MethodName: sip.CANCEL})
	req.SetTransport(invite.Transport())
	req.SetDestination(invite.Destination())
	req.Laddr = invite.Laddr
	req.SetBody(nil)
	d.wg.Go(func() {
		ctx, cancel := context.WithTimeout(d.ctx, cancelTimeout)
		defer cancel()
		if _, err := d.do(ctx, req); err != nil {
			d.log.Debug("CANCEL not answered", "error", err)
		}
	})
}

// inviteAndAck sends an INVITE within the call and confirms its answer.
func (c *call) inviteAndAck(ctx context.Context, fill func(*sip.Request)) (*sip.Response, error) {
	req, tx, err := c.dialog.send(ctx, c.door, sip.INVITE, fill)
	if err != nil {
		return nil, err
	}
	res, err := c.door.finalOfInvite(ctx, req, tx)
	if err != nil || !res.IsSuccess() {
		return res, err
	}
	c.sendAck(c.dialog.request(c.door, sip.ACK, req.CSeq().SeqNo))
	return res, nil
}

// sendAck sends an ACK and keeps it for repeated answers.
func (c *call) sendAck(ack *sip.Request) {
	c.ack.Store(ack.Clone())
	if err := c.door.write(ack); err != nil {
		c.log.Debug("ACK not sent", "error", err)
	}
}

// strayResponse takes answers that no transaction waits for. A repeated 200 to INVITE
// means that our ACK was lost (RFC 3261 §13.2.2.4).
func (d *Door) strayResponse(res *sip.Response) {
	seq, from := res.CSeq(), res.From()
	if seq == nil || from == nil || seq.MethodName != sip.INVITE || !res.IsSuccess() {
		return
	}
	tag, _ := from.Params.Get("tag")
	d.mu.Lock()
	c := d.calls[tag]
	d.mu.Unlock()
	if c == nil {
		return
	}
	if ack := c.ack.Load(); ack != nil && ack.CSeq().SeqNo == seq.SeqNo {
		if err := d.write(ack.Clone()); err != nil {
			c.log.Debug("ACK not repeated", "error", err)
		}
	}
}

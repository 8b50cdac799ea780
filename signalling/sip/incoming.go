package sip

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"

	"rendezvous/conference"
	"rendezvous/moderation"
	"rendezvous/signalling/sdp"
)

// destination is where a call leads: a room, or the menu if room is nil.
type destination struct {
	room *conference.Room
	user string // as dialled, for our Contact
	pin  string // dialled with the room: sip:ROOM*PIN@host
}

// destination finds where a Request-URI leads.
func (d *Door) destination(req *sip.Request) (destination, *fault) {
	uri := req.Recipient
	user, err := url.PathUnescape(uri.User) // RFC 3261 §19.1.4
	if err != nil {
		user = uri.User
	}
	user, _, _ = strings.Cut(strings.ToLower(user), ";") // parameters of telephone numbers
	to := destination{user: uri.User}
	for i := range d.cfg.Upstreams {
		// A registrar sends calls to the contact that was registered.
		u := &d.cfg.Upstreams[i]
		if !strings.EqualFold(u.User, user) {
			continue
		}
		if u.Room == "" {
			return to, nil
		}
		if room, err := d.cfg.Host.Room(u.Room); err == nil {
			to.room = room
			return to, nil
		}
	}
	if len(d.cfg.Domains) > 0 && !d.serves(uri.Host) {
		return to, &fault{code: 404, text: "Domain Not Served Here", reason: "domain"}
	}
	if user == "" || slices.ContainsFunc(d.cfg.Menu, func(m string) bool { return strings.EqualFold(m, user) }) {
		return to, nil
	}
	number, pin, _ := strings.Cut(user, "*")
	if room := d.roomByNumber(number); room != nil {
		to.room, to.pin, to.user = room, pin, number
		return to, nil
	}
	return to, &fault{code: 404, text: "Not Found", reason: string(conference.RefusedNoRoom)}
}

func (d *Door) serves(host string) bool {
	if slices.ContainsFunc(d.cfg.Domains, func(s string) bool { return strings.EqualFold(s, host) }) {
		return true
	}
	// Phones that were given an address instead of a name.
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && a.Unmap() == d.external.Load().toward(a.Unmap())
}

// roomByNumber finds a room by what was dialled: its number, its id, or nil.
func (d *Door) roomByNumber(dialled string) *conference.Room {
	if room := d.cfg.Host.ByNumber(dialled); room != nil {
		return room
	}
	room, err := d.cfg.Host.Room(dialled)
	if err != nil {
		return nil
	}
	return room
}

// roomByKeys finds a room by what was keyed in: as dialled, or its id spelt on the keypad.
func (d *Door) roomByKeys(keys string) *conference.Room {
	if room := d.roomByNumber(keys); room != nil {
		return room
	}
	var found *conference.Room
	for _, room := range d.cfg.Host.Rooms() {
		if spelt(room.ID()) == keys {
			if found != nil {
				return nil // two names spelt alike
			}
			found = room
		}
	}
	return found
}

// spelt is a room id with the digits of a telephone (ITU-T E.161).
func spelt(id string) string {
	const keys = "22233344455566677778889999"
	var b strings.Builder
	for _, r := range id {
		switch {
		case r >= '0' && r <= '9':
			b.WriteRune(r)
		case r >= 'a' && r <= 'z':
			b.WriteByte(keys[r-'a'])
		}
	}
	return b.String()
}

// invite takes an INVITE: of a new call, or within one.
func (d *Door) invite(req *sip.Request, tx sip.ServerTransaction) {
	if _, inside := req.To().Params.Get("tag"); inside {
		if c := d.find(req); c != nil {
			c.reinvite(req, tx)
		} else {
			d.reject(req, tx, noCall)
		}
		return
	}
	to, caller, f := d.admissible(req)
	if f != nil {
		d.reject(req, tx, *f)
		return
	}
	offer, err := description(req)
	if err != nil {
		d.reject(req, tx, *badHeader(err.Error()))
		return
	}
	contact := d.contact(to.user, req.Transport(), sourceAddr(req.Source()))
	c := d.newCall(answering(req, contact), to, caller, "in")
	if f := c.arrange(req, offer); f != nil {
		d.reject(req, tx, *f)
		c.setup.End(errors.New(f.text))
		c.abandon()
		return
	}
	if !d.register(c) {
		f := busyFault
		if d.isDraining() {
			f = drainingFault
		}
		d.reject(req, tx, f)
		c.setup.End(errors.New(f.text))
		c.abandon()
		return
	}
	c.answer(req, tx)
}

// admissible checks everything about a new call that does not need media, and says who calls.
func (d *Door) admissible(req *sip.Request) (to destination, caller conference.Caller, f *fault) {
	target := remoteTarget(req)
	if target == nil {
		return to, caller, badHeader("missing Contact")
	}
	if s := target.Scheme; s != "sip" && s != "sips" {
		return to, caller, badHeader("Contact is not a SIP URI")
	}
	if d.merged(req) {
		return to, caller, &fault{code: 482, text: "Loop Detected", reason: "merged"}
	}
	if d.isDraining() {
		return to, caller, &drainingFault
	}
	if to, f = d.destination(req); f != nil {
		return to, caller, f
	}
	if f = intervalFault(req, d.cfg.MinSE); f != nil {
		return to, caller, f
	}
	caller = callerOf(req)
	user, f := d.users.identify(req, len(d.cfg.Domains) == 0 || d.serves(req.From().Address.Host), d.cfg.Now())
	if f != nil {
		return to, caller, f
	}
	if user != "" {
		caller.Address, caller.Proven = "sip:"+user+"@"+d.users.realm, true
		caller.Identity = caller.Address
	}
	if to.room != nil {
		f = refusedAtOnce(to.room, caller)
	}
	return to, caller, f
}

// refusedAtOnce refuses those whom the room would surely turn away without
// answering the call, which may cost the caller money. Whatever is not sure yet
// (a PIN, a lock that moderators pass) is told by voice after the answer.
func refusedAtOnce(room *conference.Room, c conference.Caller) *fault {
	if room.Banned(c) {
		return &fault{code: 403, text: "Forbidden", reason: string(conference.RefusedBanned)}
	}
	if room.Busy(c) {
		return &fault{code: 503, text: "Service Unavailable", reason: string(conference.RefusedBusy),
			headers: []sip.Header{sip.NewHeader("Retry-After", "60")}}
	}
	if room.Full() {
		return &fault{code: 486, text: "Busy Here", reason: string(conference.RefusedFull)}
	}
	return nil
}

// callerOf says who calls, as far as the request tells.
func callerOf(req *sip.Request) conference.Caller {
	from := req.From()
	source := sourceAddr(req.Source()).String()
	host := strings.ToLower(from.Address.Host)
	if host == "anonymous.invalid" { // RFC 3323 §4.1.1.3: all look alike, but are not the same person
		host = source
	}
	address := "sip:" + host
	if from.Address.User != "" {
		address = "sip:" + from.Address.User + "@" + host
	}
	name := moderation.CleanName(strings.ReplaceAll(from.DisplayName, `\"`, `"`))
	if name == "" {
		name = moderation.CleanName(from.Address.User)
	}
	name = hideNumber(name)
	agent := headerValue(req, "User-Agent")
	if len(agent) > 200 {
		agent = agent[:200]
	}
	return conference.Caller{
		Door: "sip", Address: address, Identity: address, Name: name,
		Source: source, Agent: strings.ToValidUTF8(agent, ""),
		Session: req.CallID().Value(),
	}
}

// hideNumber takes the middle out of a telephone number that stands in the place of a name: the name is told to
// everybody in the room, and from there to conversations and recordings. Those who run the meeting see the address.
func hideNumber(name string) string {
	var number []rune
	for _, r := range name {
		switch {
		case r >= '0' && r <= '9' || r == '+' && len(number) == 0:
			number = append(number, r)
		case !strings.ContainsRune("-()./ ", r):
			return name
		}
	}
	if len(number) < 7 { // an extension
		return name
	}
	return string(number[:3]) + "…" + string(number[len(number)-3:])
}

// arrange prepares what the answer will say: an answer to the peer's offer, or an offer of ours.
func (c *call) arrange(req *sip.Request, offer *sdp.Session) *fault {
	c.startTimer(req)
	c.negotiation.Lock()
	defer c.negotiation.Unlock()
	if offer == nil {
		secure := req.Transport() == "TLS"
		if err := c.offer(sdp.Propose(c.door.cfg.policy(), secure)); err != nil {
			return mediaFault(err)
		}
		return nil
	}
	agreed, err := sdp.Answer(offer, c.door.cfg.policy())
	if err != nil {
		return mediaFault(err)
	}
	if err := c.settle(agreed); err != nil {
		return mediaFault(err)
	}
	return nil
}

// mediaFault is the answer to media that cannot be.
func mediaFault(err error) *fault {
	switch {
	case errors.Is(err, sdp.ErrInsecure), errors.Is(err, sdp.ErrNoCommonCodec), errors.Is(err, sdp.ErrMismatch):
		warning := sip.NewHeader("Warning", fmt.Sprintf(`304 rendezvous "%s"`, err))
		return &fault{code: 488, text: "Not Acceptable Here", reason: "media", headers: []sip.Header{warning}}
	}
	return &fault{code: 500, text: "Server Internal Error", reason: "internal",
		headers: []sip.Header{sip.NewHeader("Retry-After", "10")}}
}

// answer answers a new call and starts its life once the peer has confirmed.
func (c *call) answer(req *sip.Request, tx sip.ServerTransaction) {
	d := c.door
	var cancelled atomic.Bool
	gaveUp := make(chan struct{})
	watching := tx.OnCancel(func(*sip.Request) {
		if cancelled.CompareAndSwap(false, true) {
			close(gaveUp)
		}
	})
	defer func() {
		if c.confirmed() {
			return
		}
		d.metrics.ended.WithLabelValues("in", "unanswered").Inc()
		c.abandon()
		d.unregister(c)
	}()
	if !watching {
		return
	}
	if d.cfg.Ring > 0 {
		d.respond(req, tx, c.response(req, 180, "Ringing"))
		select {
		case <-time.After(d.cfg.Ring):
		case <-gaveUp:
			return
		case <-d.ctx.Done():
			d.reject(req, tx, drainingFault)
			return
		}
	}
	c.inviting <- struct{}{}
	defer func() { <-c.inviting }()
	res := c.accepted(req, c.description())
	if err := tx.Respond(res); err != nil || cancelled.Load() {
		c.setup.End(errors.New("cancelled"))
		return
	}
	c.setup.Step("ack")
	if !c.awaitAck(tx, res) {
		c.log.Info("call answered but not confirmed")
		c.setup.End(errUnconfirmed)
		if !c.peerEnded.Load() {
			c.hangup()
		}
		return
	}
	c.setup.Ready()
	// The ACK has the tag that was sent there.
	c.consent.Give(sourceAddr(req.Source()))
	c.begin()
}

// accepted is the 200 to an INVITE or UPDATE, with our description of the media if there is one to give.
func (c *call) accepted(req *sip.Request, body []byte) *sip.Response {
	res := c.response(req, 200, "OK",
		sip.NewHeader("Allow", allow), sip.NewHeader("Supported", supported))
	for _, h := range c.timerHeaders() {
		res.AppendHeader(h)
	}
	if body != nil {
		res.AppendHeader(sip.NewHeader("Content-Type", accept))
		res.SetBody(body)
	}
	return res
}

// response is an answer within the call: with its tag and contact.
func (c *call) response(req *sip.Request, code int, text string, headers ...sip.Header) *sip.Response {
	res := c.door.response(req, code, text, headers...)
	if to := res.To(); to != nil {
		to.Params.Remove("tag")
		to.Params.Add("tag", c.dialog.localTag)
	}
	res.AppendHeader(c.dialog.contact.Clone())
	return res
}

// Repetition of a 200 to INVITE until its ACK comes (RFC 3261 §13.3.1.4).
const (
	t1 = 500 * time.Millisecond
	t2 = 4 * time.Second

	// overtaken is how long an ACK may come after the next INVITE: datagrams overtake each other,
	// and so do those who handle them.
	overtaken = t1 / 2
)

// awaitAck repeats the answer until the peer confirms it, at most 64*T1.
func (c *call) awaitAck(tx sip.ServerTransaction, res *sip.Response) bool {
	ctx, cancel := context.WithTimeout(c.door.ctx, 64*t1)
	defer cancel()
	wait := t1
	repeat := time.NewTimer(wait)
	defer repeat.Stop()
	seq := res.CSeq().SeqNo
	for {
		select {
		case ack := <-c.acks:
			if ack.CSeq().SeqNo == seq {
				return c.confirm(ack)
			}
		case ack := <-tx.Acks(): // of a client of RFC 2543: no branch tells it from the INVITE
			return c.confirm(ack)
		case <-repeat.C:
			if err := tx.Respond(res); err != nil {
				c.log.Debug("answer not repeated", "error", err)
			}
			wait = min(2*wait, t2)
			repeat.Reset(wait)
		case <-c.over.Done():
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// acknowledged takes an ACK of the peer. Repetitions that nobody waits for make
// way for new ones.
func (c *call) acknowledged(req *sip.Request) {
	for {
		select {
		case c.acks <- req:
			return
		default:
		}
		select {
		case <-c.acks:
		default:
		}
	}
}

// confirm takes what the ACK says: the answer, if the offer was ours.
func (c *call) confirm(ack *sip.Request) bool {
	c.negotiation.Lock()
	defer c.negotiation.Unlock()
	if c.offered == nil {
		return true
	}
	answer, err := description(ack)
	if err == nil && answer == nil {
		err = errors.New("no answer in ACK")
	}
	if err == nil {
		err = c.answered(answer)
	}
	if err != nil {
		c.log.Info("answer in ACK not usable", "error", err)
		return false
	}
	return true
}

package call

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"github.com/emiago/sipgo/sip"

	"rendezvous/signalling/jami/sipchannel"
)

// headers is what responses and requests have in common.
type headers interface {
	AppendHeader(sip.Header)
	SetBody([]byte)
}

func setBody(m headers, contentType string, body []byte) {
	m.AppendHeader(sip.NewHeader("Content-Type", contentType))
	m.SetBody(body)
}

// contact adds who we are and what we take: without MESSAGE in Allow, jamid would send neither
// texts nor orders (docs/jami/calls.md#headers).
func (c *Call) contact(resp *sip.Response) {
	resp.AppendHeader(sip.NewHeader("Contact", c.contactValue()))
	resp.AppendHeader(sip.NewHeader("Allow", sipchannel.Allow))
}

func (c *Call) contactValue() string {
	host, port := c.link.Local()
	return fmt.Sprintf("\"%s\" <sips:%s@%s;transport=tls>", sipchannel.Quotable(c.cfg.Title()), c.cfg.DeviceShort, net.JoinHostPort(host, strconv.Itoa(port)))
}

// establish remembers the dialog that an incoming INVITE opens (RFC 3261 §12.1.1).
func (c *Call) establish(r *sip.Request) {
	c.seqMu.Lock()
	defer c.seqMu.Unlock()
	to, from := r.To(), r.From()
	c.dialog = sipchannel.Dialog{
		ID:   c.id,
		From: &sip.FromHeader{DisplayName: sipchannel.Quotable(c.cfg.Title()), Address: *to.Address.Clone(), Params: sip.NewParams()},
		To:   &sip.ToHeader{DisplayName: from.DisplayName, Address: *from.Address.Clone(), Params: sip.NewParams()},
	}
	c.dialog.From.Params.Add("tag", c.localTag)
	if tag, ok := from.Params.Get("tag"); ok {
		c.dialog.To.Params.Add("tag", tag)
	}
	c.remoteSeq = r.CSeq().SeqNo
	c.peer = *from.Address.Clone()
	if contact := r.Contact(); contact != nil {
		c.peer = *contact.Address.Clone()
	}
}

// send sends a request within the dialog and waits for its final response.
func (c *Call) send(ctx context.Context, method sip.RequestMethod, contentType string, body []byte) (*sip.Response, error) {
	t, err := c.begin(method, contentType, body)
	if err != nil {
		return nil, err
	}
	defer t.End()
	return t.Final(ctx)
}

// begin sends a request within the dialog. Requests leave in the order of their numbers: one that
// came after a higher one is refused by its receiver (RFC 3261 §12.2.2), and by jamid with the
// answer that it gives to any MESSAGE.
func (c *Call) begin(method sip.RequestMethod, contentType string, body []byte) (*sipchannel.Transaction, error) {
	c.sendMu.Lock()
	defer c.sendMu.Unlock()
	c.seqMu.Lock()
	if c.dialog.To == nil {
		c.seqMu.Unlock()
		return nil, fmt.Errorf("%s: no dialog yet", method)
	}
	c.cseq++
	r := c.newRequest(method, c.peer, c.cseq)
	c.seqMu.Unlock()
	if body != nil {
		setBody(r, contentType, body)
	}
	return c.link.Begin(r)
}

// newRequest builds a request of the dialog; seqMu is held. Of all requests only an INVITE says what
// we take (Allow): an ACK must not (RFC 3261 table 2), and jamid of 2023 takes the call's mutex for
// it while it holds the dialog's. It takes them the other way round when its media has begun and it
// asks for a key frame, in the milliseconds around our ACK: then it hangs for good.
func (c *Call) newRequest(method sip.RequestMethod, target sip.Uri, cseq uint32) *sip.Request {
	r := c.link.NewRequest(method, target, c.dialog, cseq)
	r.AppendHeader(sip.NewHeader("Contact", c.contactValue()))
	return r
}

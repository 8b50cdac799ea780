package call

import (
	"context"
	"fmt"

	"github.com/emiago/sipgo/sip"
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
// texts nor orders (spec/calls.md §2).
func (c *Call) contact(resp *sip.Response) {
	resp.AppendHeader(sip.NewHeader("Contact", c.contactValue()))
	resp.AppendHeader(sip.NewHeader("Allow", allow))
}

func (c *Call) contactValue() string {
	host, port := hostPort(c.link.conn.LocalAddr())
	return fmt.Sprintf("\"%s\" <sips:%s@%s;transport=tls>", quoted(c.cfg.Title()), c.cfg.DeviceShort, joinHostPort(host, port))
}

// establish remembers the dialog that an incoming INVITE opens (RFC 3261 §12.1.1).
func (c *Call) establish(r *sip.Request) {
	c.seqMu.Lock()
	defer c.seqMu.Unlock()
	to, from := r.To(), r.From()
	c.from = &sip.FromHeader{DisplayName: quoted(c.cfg.Title()), Address: *to.Address.Clone(), Params: sip.NewParams()}
	c.from.Params.Add("tag", c.localTag)
	c.to = &sip.ToHeader{DisplayName: from.DisplayName, Address: *from.Address.Clone(), Params: sip.NewParams()}
	if tag, ok := from.Params.Get("tag"); ok {
		c.to.Params.Add("tag", tag)
	}
	c.remoteSeq = r.CSeq().SeqNo
	c.peer = *from.Address.Clone()
	if contact := r.Contact(); contact != nil {
		c.peer = *contact.Address.Clone()
	}
}

// send sends a request within the dialog and waits for its final response.
func (c *Call) send(ctx context.Context, method sip.RequestMethod, contentType string, body []byte) (*sip.Response, error) {
	c.seqMu.Lock()
	if c.to == nil {
		c.seqMu.Unlock()
		return nil, fmt.Errorf("%s: no dialog yet", method)
	}
	c.cseq++
	r := c.newRequest(method, c.peer, c.cseq)
	c.seqMu.Unlock()
	if body != nil {
		setBody(r, contentType, body)
	} else {
		r.SetBody(nil)
	}
	return c.link.request(ctx, r)
}

// newRequest builds a request of the dialog; seqMu is held.
func (c *Call) newRequest(method sip.RequestMethod, target sip.Uri, cseq uint32) *sip.Request {
	r := sip.NewRequest(method, target)
	host, port := hostPort(c.link.conn.LocalAddr())
	via := &sip.ViaHeader{ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: "TLS", Host: host, Port: port, Params: sip.NewParams()}
	via.Params.Add("rport", "")
	via.Params.Add("branch", sip.RFC3261BranchMagicCookie+token())
	r.AppendHeader(via)
	forwards := sip.MaxForwardsHeader(70)
	r.AppendHeader(&forwards)
	r.AppendHeader(c.from)
	r.AppendHeader(c.to)
	id := sip.CallIDHeader(c.id)
	r.AppendHeader(&id)
	r.AppendHeader(&sip.CSeqHeader{SeqNo: cseq, MethodName: method})
	r.AppendHeader(sip.NewHeader("Contact", c.contactValue()))
	r.AppendHeader(sip.NewHeader("Allow", allow))
	r.AppendHeader(sip.NewHeader("User-Agent", userAgent))
	return r
}

func joinHostPort(host string, port int) string {
	for _, r := range host {
		if r == ':' {
			return fmt.Sprintf("[%s]:%d", host, port)
		}
	}
	return fmt.Sprintf("%s:%d", host, port)
}

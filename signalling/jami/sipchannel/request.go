package sipchannel

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
)

// userAgent says which features we have: several videos, one sound (docs/jami/calls.md#headers).
const userAgent = "Jami Daemon 13.10.0 (rendezvous)"

// Allow are the methods that we take.
const Allow = "INVITE, ACK, BYE, CANCEL, INFO, OPTIONS, MESSAGE, UPDATE"

// Dialog is what the requests of one dialog have in common.
type Dialog struct {
	From *sip.FromHeader
	To   *sip.ToHeader
	ID   string // Call-ID
}

// NewRequest builds a request without a body.
func (c *Channel) NewRequest(method sip.RequestMethod, target sip.Uri, d Dialog, cseq uint32) *sip.Request {
	r := sip.NewRequest(method, target)
	host, port := c.Local()
	via := &sip.ViaHeader{ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: "TLS", Host: host, Port: port, Params: sip.NewParams()}
	via.Params.Add("rport", "")
	via.Params.Add("branch", sip.RFC3261BranchMagicCookie+Token())
	r.AppendHeader(via)
	forwards := sip.MaxForwardsHeader(70)
	r.AppendHeader(&forwards)
	r.AppendHeader(d.From)
	r.AppendHeader(d.To)
	id := sip.CallIDHeader(d.ID)
	r.AppendHeader(&id)
	r.AppendHeader(&sip.CSeqHeader{SeqNo: cseq, MethodName: method})
	r.AppendHeader(sip.NewHeader("User-Agent", userAgent))
	r.SetBody(nil)
	return r
}

// Open is the target and the beginning of a dialog with the device's account, or of the one
// request outside of any.
func (c *Channel) Open(id, tag string) (sip.Uri, Dialog) {
	host, port := c.Remote()
	account := c.peer.Account.String()
	target := sip.Uri{Scheme: "sips", User: account, Host: host, Port: port, UriParams: sip.NewParams()}
	target.UriParams.Add("transport", "tls")
	from := &sip.FromHeader{DisplayName: Quotable(c.exchange.name()), Address: sip.Uri{Scheme: "sip", User: c.exchange.cfg.Account, Host: "ring.dht"}, Params: sip.NewParams()}
	from.Params.Add("tag", tag)
	to := &sip.ToHeader{Address: sip.Uri{Scheme: "sips", User: account, Host: host}, Params: sip.NewParams()}
	return target, Dialog{From: from, To: to, ID: id}
}

// ErrStatus is wrapped by the error of a message that the device has answered, but not taken.
var ErrStatus = errors.New("message answered with")

// Message gives the device a message outside of any dialog (RFC 3428), and waits for its
// answer. The error wraps ErrStatus for another answer than 2xx, or is that of Request.
func (c *Channel) Message(ctx context.Context, mime string, body []byte) error {
	target, d := c.Open(Token(), Token())
	r := c.NewRequest(sip.MESSAGE, target, d, 1)
	r.AppendHeader(sip.NewHeader("Date", time.Now().UTC().Format(time.ANSIC)))
	r.AppendHeader(sip.NewHeader("Message-ID", Token()[:16])) // by which devices know one that they have had
	r.AppendHeader(sip.NewHeader("Content-Type", mime))
	r.SetBody(body)
	resp, err := c.Request(ctx, r)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%w %d %s", ErrStatus, resp.StatusCode, resp.Reason)
	}
	return nil
}

// Transaction is a request of ours that waits for its responses.
type Transaction struct {
	channel   *Channel
	method    sip.RequestMethod
	branch    string
	responses chan *sip.Response
}

// Begin sends a request. The transaction is to be ended. It fails if the channel has ended,
// if maxWaiting requests wait on it, and as Write does.
func (c *Channel) Begin(r *sip.Request) (*Transaction, error) {
	t := &Transaction{channel: c, method: r.Method, responses: make(chan *sip.Response, 8)}
	t.branch, _ = r.Via().Params.Get("branch")
	c.mu.Lock()
	if c.ctx.Err() != nil || len(c.waiting) >= maxWaiting {
		c.mu.Unlock()
		return nil, fmt.Errorf("%s: %w", r.Method, errNoAnswer)
	}
	c.waiting[t.branch] = t.responses
	c.mu.Unlock()
	if err := c.Write(r); err != nil {
		t.End()
		return nil, err
	}
	return t, nil
}

// End forgets the transaction: responses that are still to come are dropped.
func (t *Transaction) End() {
	t.channel.mu.Lock()
	delete(t.channel.waiting, t.branch)
	t.channel.mu.Unlock()
}

// Final waits for the final response, whatever it says. The error is the context's, or that
// the channel has ended.
func (t *Transaction) Final(ctx context.Context) (*sip.Response, error) {
	for {
		select {
		case resp := <-t.responses:
			if resp.StatusCode >= 200 {
				return resp, nil
			}
		case <-t.channel.ctx.Done():
			return nil, fmt.Errorf("%s: %w", t.method, errNoAnswer)
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: %w", t.method, ctx.Err())
		}
	}
}

// Request sends a request and returns its final response, whatever it says. It fails as Begin
// and Final do.
func (c *Channel) Request(ctx context.Context, r *sip.Request) (*sip.Response, error) {
	t, err := c.Begin(r)
	if err != nil {
		return nil, err
	}
	defer t.End()
	return t.Final(ctx)
}

// Token is a random word for tags, branches and call ids.
func Token() string {
	var b [12]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// Quotable makes a display name fit for a header (RFC 3261 §25.1, quoted-string).
func Quotable(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r < ' ' || r == 0x7f:
			return -1
		case r == '"' || r == '\\':
			return '\''
		}
		return r
	}, name)
}

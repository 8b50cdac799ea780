package sip

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
)

// dialog is the state of RFC 3261 §12 for one call. The identifying fields are
// set once, before the dialog is shared.
type dialog struct {
	callID, localTag, remoteTag string
	local                       sip.FromHeader // how we appear in requests of ours, tag included
	remote                      sip.ToHeader
	contact                     *sip.ContactHeader
	transport                   string // "UDP", "TCP", "TLS"
	incoming                    bool   // the peer has called us

	sending sync.Mutex // held from numbering a request to its leaving; before mu

	mu        sync.Mutex // guards what follows
	target    sip.Uri    // the peer's Contact
	routes    []sip.Uri
	source    string // where the peer's last message came from, "host:port"
	localSeq  uint32
	remoteSeq uint32
	seen      bool          // remoteSeq is set
	moved     chan struct{} // closed and renewed when it changes; nil while nobody waits for that
	allows    string
}

// newTag makes a tag of 128 bits.
func newTag() string { return sip.GenerateTagN(22) }

// answering makes the dialog of a call that came in.
func answering(req *sip.Request, contact *sip.ContactHeader) *dialog {
	g := &dialog{
		callID: req.CallID().Value(), localTag: newTag(), contact: contact, transport: req.Transport(), incoming: true,
		target: *remoteTarget(req).Clone(), source: req.Source(),
		remoteSeq: req.CSeq().SeqNo, seen: true, localSeq: 1,
	}
	g.remoteTag, _ = req.From().Params.Get("tag")
	to := req.To()
	g.local = sip.FromHeader{DisplayName: to.DisplayName, Address: *to.Address.Clone(), Params: to.Params.Clone()}
	g.local.Params.Remove("tag")
	g.local.Params.Add("tag", g.localTag)
	from := req.From()
	g.remote = sip.ToHeader{DisplayName: from.DisplayName, Address: *from.Address.Clone(), Params: from.Params.Clone()}
	for _, h := range req.GetHeaders("Record-Route") {
		if rr, ok := h.(*sip.RecordRouteHeader); ok {
			g.routes = append(g.routes, *rr.Address.Clone())
		}
	}
	g.learn(req)
	return g
}

// remoteTarget is the address that requests within the call will have: the peer's Contact. A client of RFC 2543, whose
// From has no tag, may do without and means From; others may not: nil.
func remoteTarget(req *sip.Request) *sip.Uri {
	if c := req.Contact(); c != nil {
		return &c.Address
	}
	if _, tagged := req.From().Params.Get("tag"); !tagged {
		return &req.From().Address
	}
	return nil
}

// learn notes what the peer tells of itself in any message.
func (g *dialog) learn(msg sip.Message) {
	if a := joined(msg, "Allow"); a != "" {
		g.allows = strings.ToUpper(a)
	}
}

func joined(msg sip.Message, name string) string {
	var all []string
	for _, h := range msg.GetHeaders(name) {
		all = append(all, h.Value())
	}
	return strings.Join(all, ",")
}

// errOutOfOrder means a request older than one already seen (RFC 3261 §12.2.2).
var errOutOfOrder = errors.New("CSeq out of order")

// straggling is how long a request waits for one with a lower number: datagrams overtake each
// other, and so do the goroutines that handle them. A peer numbers without gaps (RFC 3261
// §12.2.1.1), so nothing else waits.
const straggling = 50 * time.Millisecond

// take checks the order of a request of the peer and learns from it.
func (g *dialog) take(req *sip.Request) error {
	seq := req.CSeq().SeqNo
	late := time.NewTimer(straggling)
	defer late.Stop()
	g.mu.Lock()
	defer g.mu.Unlock()
	for waited := false; g.seen && seq > g.remoteSeq+1 && !waited; {
		if g.moved == nil {
			g.moved = make(chan struct{})
		}
		moved := g.moved
		g.mu.Unlock()
		select {
		case <-moved:
		case <-late.C:
			waited = true
		}
		g.mu.Lock()
	}
	if g.seen && seq <= g.remoteSeq {
		return errOutOfOrder
	}
	g.remoteSeq, g.seen = seq, true
	if req.Transport() == g.transport { // the source of a datagram would prove less than a connection did
		g.source = req.Source()
	}
	if g.moved != nil {
		close(g.moved)
		g.moved = nil
	}
	g.learn(req)
	// INVITE and UPDATE refresh the target (RFC 3261 §12.2, RFC 3311 §5.1).
	if c := req.Contact(); c != nil && (req.Method == sip.INVITE || req.Method == sip.UPDATE) {
		g.target = *c.Address.Clone()
	}
	return nil
}

// may reports whether the peer said that it takes a method.
func (g *dialog) may(method sip.RequestMethod) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.ContainsFunc(strings.Split(g.allows, ","), func(s string) bool {
		return strings.TrimSpace(s) == string(method)
	})
}

// peer is where the peer's signalling comes from.
func (g *dialog) peer() netip.Addr {
	g.mu.Lock()
	defer g.mu.Unlock()
	return sourceAddr(g.source)
}

// from is where the peer's signalling comes from, "host:port".
func (g *dialog) from() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.source
}

// request makes a request within the dialog. seq 0 takes the next number; ACK repeats its INVITE's.
func (g *dialog) request(d *Door, method sip.RequestMethod, seq uint32) *sip.Request {
	g.mu.Lock()
	defer g.mu.Unlock()
	if seq == 0 {
		g.localSeq++
		seq = g.localSeq
	}
	req := sip.NewRequest(method, *g.target.Clone())
	req.AppendHeader(d.via(g.transport, sourceAddr(g.source)))
	for i := range g.routes {
		req.AppendHeader(&sip.RouteHeader{Address: *g.routes[i].Clone()})
	}
	maxForwards := sip.MaxForwardsHeader(70)
	req.AppendHeader(&maxForwards)
	req.AppendHeader(sip.HeaderClone(&g.local))
	req.AppendHeader(sip.HeaderClone(&g.remote))
	id := sip.CallIDHeader(g.callID)
	req.AppendHeader(&id)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: seq, MethodName: method})
	req.AppendHeader(g.contact.Clone())
	req.AppendHeader(sip.NewHeader("User-Agent", d.cfg.Agent))
	req.SetTransport(g.transport)
	req.SetBody(nil)
	// Answering where the messages come from reaches phones behind NAT and, over
	// TCP and TLS, uses the connection that is there.
	if g.transport == "UDP" || d.connected(g.transport, g.source) {
		req.SetDestination(g.source)
	} else if peer := sourceAddr(g.source); g.incoming && peer.IsValid() {
		// The connection is gone. Its other end may have another port for us, but not another host: what a
		// caller writes into a Contact must not make us connect to who has nothing to do with it.
		next := g.target
		if len(g.routes) > 0 {
			next = g.routes[0]
		}
		req.SetDestination(netip.AddrPortFrom(peer, portOf(&next, g.transport)).String())
	}
	d.addressed(req)
	return req
}

// portOf is the port of a URI, or that of the transport (RFC 3261 section 19.1.2).
func portOf(u *sip.Uri, transport string) uint16 {
	switch {
	case u.Port > 0 && u.Port <= 65535:
		return uint16(u.Port)
	case transport == "TLS":
		return 5061
	}
	return 5060
}

// connected reports whether a TCP or TLS connection to the address is open.
func (d *Door) connected(transport, addr string) bool {
	pool := d.ua.TransportLayer().Pool(transport)
	if pool == nil {
		return false
	}
	c := pool.Get(addr)
	if c == nil {
		return false
	}
	_, _ = c.TryClose() // gives back what Get took; the pool keeps its own
	return true
}

// send sends a request within the dialog, completed by fill. Requests leave in the order of their
// numbers: one that comes after a higher one is refused (RFC 3261 §12.2.2).
func (g *dialog) send(ctx context.Context, d *Door, method sip.RequestMethod, fill func(*sip.Request)) (*sip.Request, sip.ClientTransaction, error) {
	g.sending.Lock()
	defer g.sending.Unlock()
	req := g.request(d, method, 0)
	fill(req)
	tx, err := d.transaction(ctx, req)
	return req, tx, err
}

// do sends a request within the dialog and waits for the final answer.
func (g *dialog) do(ctx context.Context, d *Door, method sip.RequestMethod, fill func(*sip.Request)) (*sip.Response, error) {
	_, tx, err := g.send(ctx, d, method, fill)
	if err != nil {
		return nil, err
	}
	return final(ctx, method, tx)
}

// do sends a request of no dialog and waits for the final answer.
func (d *Door) do(ctx context.Context, req *sip.Request) (*sip.Response, error) {
	tx, err := d.transaction(ctx, req)
	if err != nil {
		return nil, err
	}
	return final(ctx, req.Method, tx)
}

// final waits for the final answer, and ends the transaction.
func final(ctx context.Context, method sip.RequestMethod, tx sip.ClientTransaction) (*sip.Response, error) {
	defer tx.Terminate()
	for {
		select {
		case res := <-tx.Responses():
			if !res.IsProvisional() {
				return res, nil
			}
		case <-tx.Done():
			return nil, fmt.Errorf("%s: %w", method, errors.Join(tx.Err(), errNoAnswer))
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: %w", method, ctx.Err())
		}
	}
}

var errNoAnswer = errors.New("no answer")

// asIs keeps sipgo from adding headers: the request has all.
func asIs(*sipgo.Client, *sip.Request) error { return nil }

// transaction sends a request. While sipgo's UDP reader begins a life (see udpSocket)
// it does not know our socket and tries to open a second one; a moment later it does.
func (d *Door) transaction(ctx context.Context, req *sip.Request) (tx sip.ClientTransaction, err error) {
	err = retried(ctx, func() error {
		tx, err = d.client.TransactionRequest(ctx, req, asIs)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("send %s: %w", req.Method, err)
	}
	return tx, nil
}

// write sends a request without a transaction: an ACK.
func (d *Door) write(req *sip.Request) error {
	return retried(d.ctx, func() error { return d.client.WriteRequest(req, asIs) })
}

func retried(ctx context.Context, send func() error) error {
	for tries := 0; ; tries++ {
		err := send()
		if !errors.Is(err, syscall.EADDRINUSE) || tries == 50 {
			return err
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

package sip

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"
)

// registration keeps the host registered at one upstream.
type registration struct {
	door *Door
	cfg  Upstream

	// Owned by the goroutine that runs.
	callID  string
	tag     string
	seq     uint32
	expires time.Duration // asked for; grows if the registrar wants it longer
	peer    netip.Addr    // the registrar

	registered atomic.Bool
	finished   chan struct{} // closed when run has ended
}

// Patience with registrars.
const (
	registerTimeout = 40 * time.Second
	firstRetry      = 5 * time.Second
	lastRetry       = 5 * time.Minute
	defaultExpires  = 10 * time.Minute
	leaveTimeout    = 3 * time.Second
	aliveInterval   = 25 * time.Second // NAT forgets UDP after 30 s or more
)

func newRegistration(d *Door, u Upstream) *registration {
	r := &registration{
		door: d, cfg: u, callID: newTag() + "@" + u.domain(), tag: newTag(), expires: u.Expires,
		finished: make(chan struct{}),
	}
	if r.expires == 0 {
		r.expires = defaultExpires
	}
	return r
}

// run registers and registers again until ctx ends, then withdraws.
func (r *registration) run(ctx context.Context) {
	defer close(r.finished)
	log := r.door.log.With("upstream", r.cfg.Name)
	gauge := r.door.metrics.registered.WithLabelValues(r.cfg.Name)
	retry := firstRetry
	for ctx.Err() == nil {
		granted, err := r.register(ctx, r.expires)
		wait := retry
		switch {
		case err == nil:
			if !r.registered.Swap(true) {
				log.Info("registered", "expires", granted)
			}
			gauge.Set(1)
			retry = firstRetry
			wait = max(granted-min(granted/5, time.Minute), 2*time.Second)
		case ctx.Err() == nil:
			r.registered.Store(false)
			gauge.Set(0)
			log.Warn("not registered", "error", err, "retry", retry)
			retry = min(2*retry, lastRetry)
		}
		r.rest(ctx, wait)
	}
	if !r.registered.Swap(false) {
		return
	}
	gauge.Set(0)
	bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	if _, err := r.register(bye, 0); err != nil {
		log.Info("registration not withdrawn", "error", err)
	}
}

// rest waits, and meanwhile keeps the way through NAT open (RFC 5626 §3.5.1).
func (r *registration) rest(ctx context.Context, d time.Duration) {
	alive := time.NewTicker(aliveInterval)
	defer alive.Stop()
	next := time.NewTimer(d)
	defer next.Stop()
	for {
		select {
		case <-next.C:
			return
		case <-alive.C:
			r.keepAlive()
		case <-ctx.Done():
			return
		}
	}
}

func (r *registration) keepAlive() {
	var uri sip.Uri
	if err := sip.ParseUri(r.cfg.Registrar, &uri); err != nil || transportOf(uri) != "UDP" || r.door.udp == nil || !r.peer.IsValid() {
		return
	}
	port := uri.Port
	if port == 0 {
		port = sip.DefaultUdpPort
	}
	// If it is lost, the next one does.
	_, _ = r.door.udp.WriteToUDPAddrPort([]byte("\r\n\r\n"), netip.AddrPortFrom(r.peer, uint16(port)))
}

// Registered reports whether the host is registered at the upstream of that name.
func (d *Door) Registered(upstream string) bool {
	for _, r := range d.registrations {
		if r.cfg.Name == upstream {
			return r.registered.Load()
		}
	}
	return false
}

// register sends one REGISTER (RFC 3261 §10.2) and returns for how long it holds.
func (r *registration) register(ctx context.Context, expires time.Duration) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	var registrar sip.Uri
	if err := sip.ParseUri(r.cfg.Registrar, &registrar); err != nil {
		return 0, fmt.Errorf("registrar URI: %w", err)
	}
	registrar.User = ""
	transport := transportOf(registrar)
	peer, err := r.door.lookup(ctx, registrar.Host)
	if err != nil {
		return 0, err
	}
	r.peer = peer
	r.seq++
	req := r.request(registrar, transport, peer, expires)
	req, res, err := r.door.doAuthorised(ctx, req, r.cfg.credentials(), r.door.do)
	r.seq = req.CSeq().SeqNo
	if err != nil {
		return 0, err
	}
	switch {
	case res.StatusCode == 423: // RFC 3261 §10.2.8
		n, err := strconv.ParseUint(headerValue(res, "Min-Expires"), 10, 31)
		if err != nil || time.Duration(n)*time.Second <= r.expires {
			return 0, errors.New("registrar finds the interval too brief")
		}
		r.expires = time.Duration(n) * time.Second
		return r.register(ctx, r.expires)
	case !res.IsSuccess():
		return 0, fmt.Errorf("registrar answers %d %s", res.StatusCode, res.Reason)
	}
	return granted(res, req.Contact(), expires), nil
}

// request makes a REGISTER.
func (r *registration) request(registrar sip.Uri, transport string, peer netip.Addr, expires time.Duration) *sip.Request {
	d := r.door
	aor := sip.Uri{Scheme: registrar.Scheme, User: r.cfg.User, Host: r.cfg.domain()}
	req := sip.NewRequest(sip.REGISTER, registrar)
	req.SetTransport(transport)
	req.AppendHeader(d.via(transport, peer))
	maxForwards := sip.MaxForwardsHeader(70)
	req.AppendHeader(&maxForwards)
	from := &sip.FromHeader{Address: aor}
	from.Params.Add("tag", r.tag)
	req.AppendHeader(from)
	req.AppendHeader(&sip.ToHeader{Address: aor})
	id := sip.CallIDHeader(r.callID)
	req.AppendHeader(&id)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: r.seq, MethodName: sip.REGISTER})
	req.AppendHeader(d.contact(r.cfg.User, transport, peer))
	req.AppendHeader(sip.NewHeader("Expires", strconv.Itoa(int(expires.Seconds()))))
	req.AppendHeader(sip.NewHeader("Allow", allow))
	req.AppendHeader(sip.NewHeader("User-Agent", d.cfg.Agent))
	req.SetBody(nil)
	d.addressed(req) // sipgo finds the registrar by its name, which TLS verifies
	return req
}

// granted is the time a registration holds: of our contact, else of all, else as asked.
func granted(res *sip.Response, ours *sip.ContactHeader, asked time.Duration) time.Duration {
	for _, h := range res.GetHeaders("Contact") {
		c, ok := h.(*sip.ContactHeader)
		if !ok || c.Address.User != ours.Address.User || c.Address.Host != ours.Address.Host {
			continue
		}
		if v, ok := c.Params.Get("expires"); ok {
			if n, err := strconv.ParseUint(v, 10, 31); err == nil && n > 0 {
				return time.Duration(n) * time.Second
			}
		}
	}
	if n, err := strconv.ParseUint(headerValue(res, "Expires"), 10, 31); err == nil && n > 0 {
		return time.Duration(n) * time.Second
	}
	return asked
}

// transportOf is the transport a URI asks for.
func transportOf(uri sip.Uri) string {
	if uri.Scheme == "sips" {
		return "TLS"
	}
	if t, ok := uri.UriParams.Get("transport"); ok {
		switch t = strings.ToUpper(t); t {
		case "TCP", "TLS":
			return t
		}
	}
	return "UDP"
}

// lookup finds the address of a host. For names without one, sipgo looks for SRV
// records itself; then only our own address is a guess.
func (d *Door) lookup(ctx context.Context, host string) (netip.Addr, error) {
	if a, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return a.Unmap(), nil
	}
	found, err := d.cfg.Resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("look up %s: %w", host, err)
	}
	for _, a := range found {
		if a.Unmap().Is4() {
			return a.Unmap(), nil
		}
	}
	return found[0], nil
}

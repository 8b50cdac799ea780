package sip

import (
	"context"
	"errors"
	"fmt"
	"net"
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

	callID  string
	tag     string
	seq     uint32
	expires time.Duration // asked for; grows if the registrar wants it longer

	running    atomic.Bool
	registered atomic.Bool
	finished   chan struct{}
}

// Patience with registrars.
const (
	registerTimeout = 40 * time.Second
	firstRetry      = 5 * time.Second
	lastRetry       = 5 * time.Minute
	defaultExpires  = 10 * time.Minute
	leaveTimeout    = 3 * time.Second
)

// run registers and registers again until ctx ends, then withdraws.
func (r *registration) run(ctx context.Context) {
	r.finished = make(chan struct{})
	r.running.Store(true)
	defer close(r.finished)
	log := r.door.log.With("upstream", r.cfg.Name)
	gauge := r.door.metrics.registered.WithLabelValues(r.cfg.Name)
	r.callID, r.tag, r.expires = newTag()+"@"+r.cfg.domain(), newTag(), r.cfg.Expires
	if r.expires == 0 {
		r.expires = defaultExpires
	}
	retry := firstRetry
	for {
		granted, err := r.register(ctx, r.expires)
		var wait time.Duration
		if err == nil {
			if !r.registered.Swap(true) {
				log.Info("registered", "expires", granted)
			}
			gauge.Set(1)
			retry = firstRetry
			wait = max(granted-min(granted/5, time.Minute), 2*time.Second)
		} else if ctx.Err() == nil {
			r.registered.Store(false)
			gauge.Set(0)
			log.Warn("not registered", "err", err, "retry", retry)
			wait, retry = retry, min(2*retry, lastRetry)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			if r.registered.Swap(false) {
				gauge.Set(0)
				bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
				defer cancel()
				if _, err := r.register(bye, 0); err != nil {
					log.Info("registration not withdrawn", "err", err)
				}
			}
			return
		}
	}
}

// wait returns when run has ended.
func (r *registration) wait() {
	if r.running.Load() {
		<-r.finished
	}
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
	peer, err := lookup(ctx, registrar.Host)
	if err != nil {
		return 0, err
	}
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
	port := registrar.Port
	if port == 0 {
		port = sip.DefaultPort(transport)
	}
	req.SetDestination(netip.AddrPortFrom(peer, uint16(port)).String())
	d.addressed(req)
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
func lookup(ctx context.Context, host string) (netip.Addr, error) {
	if a, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return a.Unmap(), nil
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
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

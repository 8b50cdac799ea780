package sip

import (
	"context"
	"net/netip"
	"time"
)

// Resolver finds the addresses of a name, as net.Resolver does.
type Resolver interface {
	// LookupNetIP is that of net.Resolver; network is "ip", "ip4" or "ip6".
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// externals are the addresses under which the internet reaches this host: of media, and of signalling unless
// External is a name. Those that it has none of are not valid.
type externals struct{ v4, v6 netip.Addr }

// toward is the one that a peer of that address can use.
func (e *externals) toward(peer netip.Addr) netip.Addr {
	switch {
	case e == nil:
		return netip.Addr{}
	case peer.Is4():
		return e.v4
	}
	return e.v6
}

// externalPatience is how long the start waits for the name server.
const externalPatience = 5 * time.Second

// findExternal finds out what External means. A host that starts before its name server does is there for the phones
// of its own network meanwhile, and looks again until it has an answer.
func (d *Door) findExternal(ctx context.Context) {
	if d.cfg.External == "" {
		return
	}
	if a, err := netip.ParseAddr(d.cfg.External); err == nil {
		d.setExternal([]netip.Addr{a})
		return
	}
	first, cancel := context.WithTimeout(ctx, externalPatience)
	defer cancel()
	if d.lookUpExternal(first, firstRetry) {
		return
	}
	d.wg.Go(func() {
		for retry := firstRetry; ; {
			select {
			case <-time.After(retry):
			case <-d.ctx.Done():
				return
			}
			retry = min(2*retry, lastRetry)
			if d.lookUpExternal(d.ctx, retry) {
				d.log.Info("external address found", "name", d.cfg.External)
				return
			}
		}
	})
}

// lookUpExternal asks the name server once, and reports whether it has answered.
func (d *Door) lookUpExternal(ctx context.Context, retry time.Duration) bool {
	found, err := d.cfg.Resolver.LookupNetIP(ctx, "ip", d.cfg.External)
	if err != nil {
		if d.ctx.Err() == nil {
			d.log.Warn("external address not found; phones beyond NAT will not hear us", "name", d.cfg.External, "error", err, "retry", retry)
		}
		return false
	}
	d.setExternal(found)
	return true
}

// setExternal takes the first address of each family.
func (d *Door) setExternal(found []netip.Addr) {
	var e externals
	for _, a := range found {
		switch a = a.Unmap(); {
		case a.Is4() && !e.v4.IsValid():
			e.v4 = a
		case a.Is6() && !e.v6.IsValid():
			e.v6 = a
		}
	}
	d.external.Store(&e)
}

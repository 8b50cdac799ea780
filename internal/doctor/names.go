package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// name is one that people or programs reach the host by.
type name struct{ host, setting string }

// wanted are the names in the configuration, each once.
func (p *patient) wanted() []name {
	var out []name
	add := func(host, setting string) {
		host = strings.TrimSuffix(strings.ToLower(host), ".")
		if _, err := netip.ParseAddr(host); err == nil || host == "" || host == "localhost" {
			return
		}
		if !slices.ContainsFunc(out, func(n name) bool { return n.host == host }) {
			out = append(out, name{host, setting})
		}
	}
	c := p.Config
	if c.Web.Enabled {
		if u, err := url.Parse(c.Web.PublicURL); err == nil {
			add(u.Hostname(), "web.public_url")
		}
		for _, d := range c.Web.ACME.Domains {
			add(d, "web.acme.domains")
		}
	}
	if c.SIP.Enabled {
		add(c.SIP.External, "sip.external")
		for _, d := range c.SIP.Domains {
			add(d, "sip.domains")
		}
	}
	return out
}

// names looks up what the host is called, and compares with where it is.
func (p *patient) names(ctx context.Context) []Finding {
	names := p.wanted()
	if len(names) == 0 {
		return []Finding{doubt("set web.public_url, and sip.external or sip.domains, if others than this machine's own people are to come",
			"the configuration has no name under which the host is reached")}
	}
	var out []Finding
	for _, n := range names {
		out = append(out, p.name(ctx, n))
	}
	return out
}

func (p *patient) name(ctx context.Context, n name) Finding {
	ctx, cancel := context.WithTimeout(ctx, p.Wait)
	defer cancel()
	ips, err := p.Resolver.LookupNetIP(ctx, "ip", n.host)
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound, err == nil && len(ips) == 0:
		return fault(fmt.Sprintf("give %s an A or AAAA record at your DNS provider, or correct %s", n.host, n.setting), "%s (%s): there is no such name in the DNS", n.host, n.setting)
	case err != nil:
		return fault("see that this machine reaches a name server: /etc/resolv.conf", "%s (%s) cannot be looked up: %v", n.host, n.setting, err)
	}
	slices.SortFunc(ips, func(a, b netip.Addr) int { return cmp.Compare(a.String(), b.String()) })
	var foreign []string
	for _, ip := range ips {
		if !p.isOwn(ip) {
			foreign = append(foreign, ip.Unmap().String())
		}
	}
	switch {
	case len(foreign) == 0:
		return good("%s (%s) is %s, this machine", n.host, n.setting, ips[0].Unmap())
	case len(foreign) == len(ips) && loopback(ips):
		return doubt("take it out of /etc/hosts to see what others see", "%s (%s) is %s here", n.host, n.setting, ips[0])
	}
	return doubt("correct the record; or, if that is the address of your router or proxy, set web.public_ips, sip.external and jami.public_ips to it",
		"%s (%s) is %s, which is no address of this machine", n.host, n.setting, strings.Join(foreign, ", "))
}

func loopback(ips []netip.Addr) bool {
	return !slices.ContainsFunc(ips, func(ip netip.Addr) bool { return !ip.IsLoopback() })
}

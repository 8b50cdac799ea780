package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/pion/stun"

	"rendezvous/dht"
)

// stunServers are those of the configuration, host:port.
func (p *patient) stunServers() []string {
	var out []string
	if p.Config.Web.Enabled {
		for _, s := range p.Config.Web.ICE.Servers {
			if address, ok := strings.CutPrefix(s, "stun:"); ok {
				if _, _, err := net.SplitHostPort(address); err != nil {
					address = net.JoinHostPort(strings.Trim(address, "[]"), "3478")
				}
				out = append(out, address)
			}
		}
	}
	if p.Config.Jami.Enabled {
		out = append(out, p.Config.Jami.STUN...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// stun asks the servers of the configuration which address they see (RFC 8489), all from one socket: one that is another for each
// server is no use for those who call.
func (p *patient) stun(ctx context.Context) []Finding {
	servers := p.stunServers()
	if len(servers) == 0 {
		return nil
	}
	socket, err := net.ListenUDP("udp4", nil)
	if err != nil {
		return []Finding{doubt("IPv4 is what most callers come by", "no socket of IPv4: %v", err)}
	}
	defer socket.Close()
	var out []Finding
	var seen []netip.AddrPort
	for _, server := range servers {
		mapped, err := p.mapped(ctx, socket, server)
		if err != nil {
			out = append(out, doubt("let UDP out, or name another server; callers behind NAT find the host with its help", "%s does not say what address this machine has: %v", server, err))
			continue
		}
		seen = append(seen, mapped)
	}
	if len(seen) == 0 {
		return out
	}
	ip := seen[0].Addr()
	switch {
	case slices.ContainsFunc(seen, func(a netip.AddrPort) bool { return a != seen[0] }):
		return append(out, doubt("forward the ports of docs/deploy.md to this machine, set web.public_ips, sip.external and jami.public_ips, and have a TURN server",
			"the router between gives each destination another port (%v): who calls from the internet may not get through", seen))
	case p.isOwn(ip) && len(p.unaware(ip)) > 0:
		settings := strings.Join(p.unaware(ip), " and ")
		return append(out, doubt(fmt.Sprintf("set %s to %s, too", settings, ip), "the internet sees %s, which this machine does not have and %s does not say", ip, settings))
	case p.isOwn(ip):
		return append(out, good("the internet sees %s, as the configuration or this machine has it", ip))
	}
	return append(out, doubt(fmt.Sprintf("forward the ports of docs/deploy.md to this machine, and set web.public_ips: [%s], sip.external: %q, jami.public_ips: [%s]", ip, ip.String(), ip),
		"the internet sees %s, which this machine does not have: it is behind NAT", ip))
}

// unaware are the settings that do not say which address the internet sees, where the machine does not have it; of Jami, the
// STUN servers are asked by the host, too.
func (p *patient) unaware(ip netip.Addr) (settings []string) {
	if slices.Contains(machineAddresses(), ip) {
		return nil
	}
	if w := p.Config.Web; w.Enabled && !slices.Contains(w.PublicIPs, ip.String()) {
		settings = append(settings, "web.public_ips")
	}
	if s := p.Config.SIP; s.Enabled && s.External == "" {
		settings = append(settings, "sip.external")
	}
	return settings
}

// mapped asks one server, three times at most, as datagrams get lost.
func (p *patient) mapped(ctx context.Context, socket *net.UDPConn, server string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		return netip.AddrPort{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.Wait)
	defer cancel()
	ips, err := p.Resolver.LookupNetIP(ctx, "ip4", host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if len(ips) == 0 {
		return netip.AddrPort{}, errors.New("it has no IPv4 address")
	}
	number, err := net.DefaultResolver.LookupPort(ctx, "udp", port)
	if err != nil {
		return netip.AddrPort{}, err
	}
	to := netip.AddrPortFrom(ips[0].Unmap(), uint16(number))
	const tries = 3
	for range tries {
		mapped, err := ask(socket, to, p.Wait/tries)
		if err == nil {
			return mapped, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return netip.AddrPort{}, errors.New("no answer")
}

// ask sends one binding request and waits for its answer.
func ask(socket *net.UDPConn, to netip.AddrPort, wait time.Duration) (netip.AddrPort, error) {
	request, err := stun.Build(stun.TransactionID, stun.BindingRequest)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if _, err := socket.WriteToUDPAddrPort(request.Raw, to); err != nil {
		return netip.AddrPort{}, err
	}
	if err := socket.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return netip.AddrPort{}, err
	}
	b := make([]byte, 1500)
	for {
		n, from, err := socket.ReadFromUDPAddrPort(b)
		if err != nil {
			return netip.AddrPort{}, err
		}
		answer := &stun.Message{Raw: b[:n]}
		if from != to || answer.Decode() != nil || answer.TransactionID != request.TransactionID {
			continue // somebody else's
		}
		var mapped stun.XORMappedAddress
		if err := mapped.GetFrom(answer); err != nil {
			return netip.AddrPort{}, fmt.Errorf("its answer has no address: %w", err)
		}
		ip, _ := netip.AddrFromSlice(mapped.IP)
		return netip.AddrPortFrom(ip.Unmap(), uint16(mapped.Port)), nil
	}
}

// dht joins the network of Jami's devices for a moment, as a node that others do not list.
func (p *patient) dht(ctx context.Context) []Finding {
	j := &p.Config.Jami
	if !j.Enabled {
		return nil
	}
	if len(j.Bootstrap) == 0 {
		return []Finding{doubt("set jami.bootstrap, unless others are to join through this host", "no node is named to join the Jami network through")}
	}
	from := time.Now()
	stats, err := p.join(ctx, j.Bootstrap)
	if err != nil {
		return []Finding{fault("let UDP out and see that the names in jami.bootstrap are right; without it no Jami device finds the rooms", "the Jami network is not reached through %s: %v", strings.Join(j.Bootstrap, ", "), err)}
	}
	return []Finding{good("the Jami network is reached, %d nodes within %s", stats, time.Since(from).Round(10*time.Millisecond))}
}

func (p *patient) join(ctx context.Context, bootstrap []string) (nodes int, err error) {
	n, err := dht.New(dht.Config{IPv4: "0.0.0.0:0", IPv6: "[::]:0", Bootstrap: bootstrap, Client: true})
	if err != nil {
		return 0, err
	}
	if err := n.Start(ctx); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	wait, cancel := context.WithTimeout(ctx, p.Wait)
	defer cancel()
	if err := n.WaitConnected(wait); err != nil {
		return 0, fmt.Errorf("no answer within %s", p.Wait)
	}
	list, err := n.Nodes(ctx)
	return len(list), err
}

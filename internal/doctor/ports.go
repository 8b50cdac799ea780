package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
)

// listener is an address that the host listens on.
type listener struct{ setting, network, address string }

// listeners are those of the configuration.
func (p *patient) listeners() []listener {
	c := p.Config
	var out []listener
	add := func(setting, network, address string) {
		if address != "" && !strings.HasSuffix(address, ":0") {
			out = append(out, listener{setting, network, address})
		}
	}
	add("admin.listen", "tcp", c.Admin.Listen)
	if c.Web.Enabled {
		add("web.listen", "tcp", c.Web.Listen)
		media := c.Web.MediaUDP
		if _, port, err := net.SplitHostPort(c.Web.Listen); media == "" && err == nil {
			media = ":" + port
		}
		add("web.media_udp", "udp", media)
		add("web.media_tcp", "tcp", c.Web.MediaTCP)
		if len(c.Web.ACME.Domains) > 0 {
			add("web.acme.http", "tcp", c.Web.ACME.HTTP)
		}
	}
	if c.SIP.Enabled {
		add("sip.udp", "udp", c.SIP.UDP)
		add("sip.tcp", "tcp", c.SIP.TCP)
		add("sip.tls", "tcp", c.SIP.TLS)
		for _, port := range []int{c.SIP.RTP.Min, c.SIP.RTP.Max} {
			add("sip.rtp", "udp", fmt.Sprintf(":%d", port))
		}
	}
	if c.Jami.Enabled {
		add("jami.dht_port", "udp", fmt.Sprintf(":%d", c.Jami.DHTPort))
		add("jami.tcp_port", "tcp", fmt.Sprintf(":%d", c.Jami.TCPPort))
	}
	return out
}

// ports tries to listen where the host will; where one runs, whether it answers there.
func (p *patient) ports(ctx context.Context) []Finding {
	var out []Finding
	var free []string
	for _, l := range p.listeners() {
		name := fmt.Sprintf("%s (%s)", l.setting, describe(l))
		if f := p.port(ctx, l, name); f.State != Good {
			out = append(out, f)
			continue
		}
		free = append(free, describe(l))
	}
	if len(free) == 0 {
		return out
	}
	word := "free"
	if p.running {
		word = "in use by the host"
	}
	return append(out, good("%s: %s; whether the firewall lets others in, only somebody outside can tell", word, strings.Join(free, ", ")))
}

func describe(l listener) string { return l.address + "/" + l.network }

func (p *patient) port(ctx context.Context, l listener, name string) Finding {
	if p.running {
		return p.served(ctx, l, name)
	}
	if err := listen(ctx, l); err != nil {
		return p.refused(l, name, err)
	}
	return good("")
}

// refused says what it means that a port cannot be had.
func (p *patient) refused(l listener, name string, err error) Finding {
	_, port, _ := net.SplitHostPort(l.address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE) && p.hidden != nil:
		return doubt(p.service(), "%s is taken, by the host or by another program", name)
	case errors.Is(err, syscall.EADDRINUSE):
		return fault(fmt.Sprintf("stop the program that has it (ss -lnp 'sport = :%s' shows it), or change %s", port, l.setting), "%s is taken by another program", name)
	case errors.Is(err, syscall.EACCES):
		return doubt("ports below 1024 need a right: AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit, which the service has and you may not", "%s: permission denied", name)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fault("correct the address in "+l.setting, "%s is no address of this machine", name)
	}
	return fault("correct "+l.setting, "%s: %v", name, err)
}

// listen opens and closes the socket.
func listen(ctx context.Context, l listener) error {
	var lc net.ListenConfig
	if l.network == "udp" {
		c, err := lc.ListenPacket(ctx, l.network, l.address)
		if err != nil {
			return err
		}
		return c.Close()
	}
	c, err := lc.Listen(ctx, l.network, l.address)
	if err != nil {
		return err
	}
	return c.Close()
}

// served asks the running host's own port; UDP has no answer to wait for, but a port that can be taken is nobody's.
func (p *patient) served(ctx context.Context, l listener, name string) Finding {
	const restart = "restart the host if the setting is new, and read its log"
	if l.setting == "sip.rtp" {
		return good("") // taken call by call
	}
	if l.network == "udp" {
		if err := listen(ctx, l); err == nil {
			return fault(restart, "nothing listens at %s, though a host runs", name)
		}
		return good("")
	}
	host, port, _ := net.SplitHostPort(l.address)
	hosts := []string{host}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		hosts = []string{"127.0.0.1", "::1"}
	}
	dialer := net.Dialer{Timeout: p.Wait}
	var err error
	for _, h := range hosts {
		var c net.Conn
		if c, err = dialer.DialContext(ctx, "tcp", net.JoinHostPort(h, port)); err == nil {
			c.Close()
			return good("")
		}
	}
	return fault(restart, "nothing answers at %s, though a host runs: %v", name, err)
}

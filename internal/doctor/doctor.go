// Package doctor examines a machine and a configuration before people are invited: whether names, ports, certificates, the clock,
// the disk, the processors and the way to the internet are what a meeting host needs. Each finding says what is and, unless all is
// well, what to do. It changes nothing on the machine and leaves nothing behind.
package doctor

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"rendezvous/internal/config"
)

// State is how something is.
type State string

// From nothing to do to what keeps people from meeting.
const (
	Good  State = "ok"
	Doubt State = "doubt" // works, or for most; or cannot be told from here
	Fault State = "fault"
)

// Finding is one thing that was looked at.
type Finding struct {
	Check string `json:"check"` // names, ports, …
	State State  `json:"state"`
	Says  string `json:"says"`         // what was seen
	Do    string `json:"do,omitempty"` // about it; empty if State is Good
}

// Examination is what is examined. The fields below Config have defaults that are the machine's.
type Examination struct {
	Config *config.Config
	// Wait bounds each question to the network: 8 s.
	Wait time.Duration
	// Resolver answers for names.
	Resolver Resolver
	// Now is what the machine takes for the time.
	Now func() time.Time
}

// Resolver looks up names; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// patient is the examined machine during one examination.
type patient struct {
	Examination
	running bool         // a host uses the data folder
	hidden  error        // why it cannot be told whether one does; nil: it can
	own     []netip.Addr // the machine's addresses, and those that the configuration says are its
}

// Run examines everything, side by side, and returns the findings in the order of the checks.
func (x Examination) Run(ctx context.Context) []Finding {
	if x.Wait == 0 {
		x.Wait = 8 * time.Second
	}
	if x.Resolver == nil {
		x.Resolver = net.DefaultResolver
	}
	if x.Now == nil {
		x.Now = time.Now
	}
	p := &patient{Examination: x}
	p.own = p.ownAddresses()
	p.running, p.hidden = p.isRunning()
	checks := []struct {
		name string
		run  func(context.Context) []Finding
	}{
		{"host", p.host},
		{"names", p.names},
		{"ports", p.ports},
		{"certificates", p.certificates},
		{"clock", p.clock},
		{"disk", p.disk},
		{"processors", p.processors},
		{"limits", p.limits},
		{"programs", p.programs},
		{"stun", p.stun},
		{"dht", p.dht},
	}
	found := make([][]Finding, len(checks))
	var all sync.WaitGroup
	for i, c := range checks {
		all.Go(func() {
			found[i] = c.run(ctx)
			for j := range found[i] {
				found[i][j].Check = c.name
			}
		})
	}
	all.Wait()
	return slices.Concat(found...)
}

// Faults counts the findings that keep people from meeting.
func Faults(findings []Finding) int {
	n := 0
	for _, f := range findings {
		if f.State == Fault {
			n++
		}
	}
	return n
}

func good(format string, args ...any) Finding {
	return Finding{State: Good, Says: fmt.Sprintf(format, args...)}
}

func doubt(do, format string, args ...any) Finding {
	return Finding{State: Doubt, Says: fmt.Sprintf(format, args...), Do: do}
}

func fault(do, format string, args ...any) Finding {
	return Finding{State: Fault, Says: fmt.Sprintf(format, args...), Do: do}
}

// ownAddresses are the machine's and the public ones that the configuration tells.
func (p *patient) ownAddresses() []netip.Addr {
	out := machineAddresses()
	for _, text := range slices.Concat(p.Config.Web.PublicIPs, p.Config.Jami.PublicIPs, []string{p.Config.SIP.External}) {
		if ip, err := netip.ParseAddr(text); err == nil {
			out = append(out, ip.Unmap())
		}
	}
	return out
}

// machineAddresses are those of its interfaces, without loopback.
func machineAddresses() (out []netip.Addr) {
	list, _ := net.InterfaceAddrs() // without an answer only the configured ones are known
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok && !ip.IsLoopback() {
				out = append(out, ip.Unmap())
			}
		}
	}
	return out
}

func (p *patient) isOwn(ip netip.Addr) bool { return slices.Contains(p.own, ip.Unmap()) }

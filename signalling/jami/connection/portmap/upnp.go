package portmap

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/huin/goupnp/dcps/internetgateway2"
)

// description is what a gateway's pages show for the forward.
const description = "rendezvous (Jami)"

// igd is what the kinds of WAN connections have in common.
type igd interface {
	AddPortMappingCtx(ctx context.Context, remoteHost string, externalPort uint16, protocol string, internalPort uint16,
		internalClient string, enabled bool, description string, lease uint32) error
	DeletePortMappingCtx(ctx context.Context, remoteHost string, externalPort uint16, protocol string) error
	GetExternalIPAddressCtx(ctx context.Context) (string, error)
	LocalAddr() net.IP
}

// upnp speaks to the first gateway that answers and forwards.
type upnp struct {
	found igd // nil until one forwarded
}

func (*upnp) name() string { return "UPnP" }

func (u *upnp) forward(ctx context.Context, port uint16) (netip.AddrPort, error) {
	if u.found != nil {
		if ap, err := mapWith(ctx, u.found, port); err == nil {
			return ap, nil
		}
		u.found = nil // another gateway, perhaps
	}
	gateways, err := discover(ctx)
	if err != nil {
		return netip.AddrPort{}, err
	}
	errs := []error{errors.New("portmap: no UPnP gateway")}
	for _, g := range gateways {
		ap, err := mapWith(ctx, g, port)
		if err == nil {
			u.found = g
			return ap, nil
		}
		errs = append(errs, err)
	}
	return netip.AddrPort{}, errors.Join(errs...)
}

func (u *upnp) remove(ctx context.Context, port uint16) error {
	if u.found == nil {
		return nil
	}
	return u.found.DeletePortMappingCtx(ctx, "", port, "TCP")
}

func mapWith(ctx context.Context, g igd, port uint16) (netip.AddrPort, error) {
	text, err := g.GetExternalIPAddressCtx(ctx)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("portmap: outside address: %w", err)
	}
	outside, err := netip.ParseAddr(text)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("portmap: outside address: %w", err)
	}
	err = g.AddPortMappingCtx(ctx, "", port, "TCP", port, g.LocalAddr().String(), true, description, uint32(lease.Seconds()))
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("portmap: %w", err)
	}
	return netip.AddrPortFrom(outside, port), nil
}

// discover finds the WAN connections of all gateways that answer.
func discover(ctx context.Context) ([]igd, error) {
	var out []igd
	var errs []error
	ip2, _, err := internetgateway2.NewWANIPConnection2ClientsCtx(ctx)
	for _, c := range ip2 {
		out = append(out, c)
	}
	errs = append(errs, err)
	if len(out) == 0 {
		ip1, _, err := internetgateway2.NewWANIPConnection1ClientsCtx(ctx)
		for _, c := range ip1 {
			out = append(out, c)
		}
		errs = append(errs, err)
	}
	if len(out) == 0 {
		ppp, _, err := internetgateway2.NewWANPPPConnection1ClientsCtx(ctx)
		for _, c := range ppp {
			out = append(out, c)
		}
		errs = append(errs, err)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("portmap: looking for UPnP gateways: %w", errors.Join(errs...))
	}
	return out, nil
}

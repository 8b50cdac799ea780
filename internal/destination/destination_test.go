package destination

import (
	"net"
	"net/netip"
	"testing"
)

func TestAllowed(t *testing.T) {
	const far, here = "198.51.100.1", "127.0.0.1"
	for _, test := range []struct {
		to, peer string
		want     bool
	}{
		{here, far, false}, {here, here, true}, {"127.0.0.9", here, true}, {"::1", far, false}, {"::ffff:127.0.0.1", far, false},
		{"198.51.100.2", far, true}, {"10.0.0.1", far, true}, {"2001:db8::1", far, true}, {"198.51.100.2", here, true},
		{"224.0.0.1", far, false}, {"ff02::1", here, false}, {"0.0.0.0", here, false}, {"::", far, false}, {"255.255.255.255", here, false},
	} {
		if got := Allowed(netip.MustParseAddr(test.to), netip.MustParseAddr(test.peer)); got != test.want {
			t.Errorf("to %s for a peer at %s: %v", test.to, test.peer, got)
		}
	}
	if Allowed(netip.Addr{}, netip.MustParseAddr(here)) || Allowed(netip.MustParseAddr(here), netip.Addr{}) {
		t.Error("an address that is none")
	}

	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		mine, ok := netip.AddrFromSlice(a.(*net.IPNet).IP)
		if !ok || mine.Unmap().IsLoopback() {
			continue
		}
		if Allowed(mine, netip.MustParseAddr(far)) {
			t.Errorf("%s is this machine's", mine)
		}
		if !Allowed(netip.MustParseAddr(here), mine) {
			t.Errorf("a peer at %s is on this machine", mine)
		}
	}
}

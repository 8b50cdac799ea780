package sourcenet

import (
	"net/netip"
	"testing"
)

func TestOf(t *testing.T) {
	for ip, want := range map[string]string{
		"192.0.2.1":           "192.0.2.1/32",
		"::ffff:192.0.2.1":    "192.0.2.1/32",
		"2001:db8::1":         "2001:db8::/64",
		"2001:db8:0:0:ffff::": "2001:db8::/64",
		"2001:db8:0:1::1":     "2001:db8:0:1::/64",
		"fe80::1%eth0":        "fe80::/64",
		"::1":                 "::/64",
	} {
		if got := Of(netip.MustParseAddr(ip)); got != netip.MustParsePrefix(want) {
			t.Errorf("%s is counted with %s, want %s", ip, got, want)
		}
	}
	if got := Of(netip.Addr{}); got != (netip.Prefix{}) {
		t.Errorf("an unknown address is counted with %s", got)
	}
}

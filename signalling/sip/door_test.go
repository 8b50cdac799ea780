package sip_test

import (
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"rendezvous/conference"
	"rendezvous/signalling/sip"
	"rendezvous/signalling/sip/siptest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func TestAddresses(t *testing.T) {
	b := siptest.Open(t, func(c *sip.Config) { c.Domains = []string{"meet.example.org"} })
	got := strings.Join(b.Addresses("demo"), " ")
	if !strings.Contains(got, "sip:demo@meet.example.org:") || !strings.Contains(got, "sips:demo@meet.example.org:") {
		t.Errorf("addresses of demo are %q", got)
	}
	if b.Addresses("nowhere") != nil {
		t.Error("a room that does not exist has an address")
	}
}

// A trunk's number is told with the keys that lead on from its menu: the room's number, or its name spelt.
func TestTelephones(t *testing.T) {
	b := siptest.Open(t, func(c *sip.Config) {
		c.Upstreams = []sip.Upstream{
			{Name: "menu", Registrar: "sip:127.0.0.1:9", User: "a", Number: "+49 (30) 123-456"},
			{Name: "direct", Registrar: "sip:127.0.0.1:9", User: "b", Number: "030 7", Room: "demo"},
			{Name: "untold", Registrar: "sip:127.0.0.1:9", User: "c"},
		}
	})
	menu := func(keys string) conference.Address {
		return conference.Address{Door: "sip", Text: "tel:+4930123456", Keys: keys}
	}
	for room, want := range map[string][]conference.Address{
		"demo": {menu("3366#"), {Door: "sip", Text: "tel:0307"}}, "secret": {menu("700#")}, "42": {menu("42#")}, "nowhere": nil,
	} {
		if got := b.Telephones(room); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", room, got, want)
		}
	}
}

func TestDialRefusesNonsense(t *testing.T) {
	t.Parallel()
	b := siptest.Open(t, nil)
	for _, address := range []string{"", "hello", "sip:", "sip:a b@c", "+49 30 1234567", "tel:+4930\r\nEvil: 1"} {
		if err := b.Dial(t.Context(), b.Room(t, "demo"), address); err == nil {
			t.Errorf("Dial(%q) did not fail", address)
		}
	}
}

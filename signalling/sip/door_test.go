package sip_test

import (
	"strings"
	"testing"

	"go.uber.org/goleak"

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

func TestDialRefusesNonsense(t *testing.T) {
	t.Parallel()
	b := siptest.Open(t, nil)
	for _, address := range []string{"", "hello", "sip:", "sip:a b@c", "+49 30 1234567", "tel:+4930\r\nEvil: 1"} {
		if err := b.Dial(t.Context(), b.Room(t, "demo"), address); err == nil {
			t.Errorf("Dial(%q) did not fail", address)
		}
	}
}

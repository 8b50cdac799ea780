package sip_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"rendezvous/signalling/sip/siptest"
)

// Whatever is sent at once, a phone gets the requests of a dialog in the order of their numbers:
// it refuses one that comes too late.
func TestRequestsLeaveInTheirOrder(t *testing.T) {
	b := siptest.Open(t, nil)
	r := b.Socket(t, "UDP")
	m, err := sip.NewParser().ParseSIP([]byte(siptest.Wire(r.Request("INVITE", "sip:demo@h", nil, ""))))
	if err != nil {
		t.Fatal(err)
	}
	invite := m.(*sip.Request)
	invite.SetTransport("UDP")
	invite.SetSource(r.LocalAddr().String())
	send := b.Messages(invite)

	const each, senders = 20, 8
	var sending sync.WaitGroup
	for range senders {
		sending.Go(func() {
			for range each {
				if err := send(t.Context()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	defer sending.Wait()
	buf := make([]byte, 65536)
	for i := range each * senders {
		_ = r.SetReadDeadline(time.Now().Add(siptest.Deadline))
		n, err := r.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("CSeq: %d MESSAGE\r\n", i+2); !strings.Contains(string(buf[:n]), want) {
			t.Fatalf("request %d is not %q:\n%s", i+1, want, buf[:n])
		}
	}
}

package sip

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Whatever is sent at once, a phone gets the requests of a dialog in the order of their numbers:
// it refuses one that comes too late.
func TestRequestsLeaveInTheirOrder(t *testing.T) {
	b := open(t, nil)
	r := b.raw(t)
	text := strings.ReplaceAll(r.request("INVITE", "sip:demo@h", nil, ""), "\n", "\r\n")
	m, err := sip.NewParser().ParseSIP([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	invite := m.(*sip.Request)
	invite.SetTransport("UDP")
	invite.SetSource(r.LocalAddr().String())
	g := answering(invite, &sip.ContactHeader{Address: sip.Uri{Scheme: "sip", Host: "127.0.0.1"}})

	const each, senders = 20, 8
	var sending sync.WaitGroup
	for range senders {
		sending.Go(func() {
			for range each {
				_, tx, err := g.send(t.Context(), b.Door, sip.MESSAGE, func(*sip.Request) {})
				if err != nil {
					t.Error(err)
					return
				}
				tx.Terminate()
			}
		})
	}
	defer sending.Wait()
	buf := make([]byte, 65536)
	for i := range each * senders {
		_ = r.SetReadDeadline(time.Now().Add(deadline))
		n, err := r.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("CSeq: %d MESSAGE\r\n", i+2); !strings.Contains(string(buf[:n]), want) {
			t.Fatalf("request %d is not %q:\n%s", i+1, want, buf[:n])
		}
	}
}

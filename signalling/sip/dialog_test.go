package sip

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Requests of a phone that overtook each other are taken in their order; one that comes much too
// late, or twice, is refused.
func TestStragglers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &dialog{remoteSeq: 1, seen: true}
		take := func(seq uint32) error {
			req := sip.NewRequest(sip.INFO, sip.Uri{Host: "h"})
			req.AppendHeader(&sip.CSeqHeader{SeqNo: seq, MethodName: sip.INFO})
			return g.take(req)
		}
		began := time.Now()
		taken := make(chan error, 3)
		for _, seq := range []uint32{4, 3, 2} {
			go func() { taken <- take(seq) }()
			synctest.Wait()
		}
		for range 3 {
			if err := <-taken; err != nil {
				t.Error(err)
			}
		}
		if d := time.Since(began); d > 0 {
			t.Errorf("what had come was waited for, for %v", d)
		}
		if err := take(4); !errors.Is(err, errOutOfOrder) {
			t.Errorf("the same again: %v", err)
		}
		if err := take(9); err != nil || time.Since(began) != straggling {
			t.Errorf("after a gap: %v, after %v", err, time.Since(began))
		}
		if err := take(7); !errors.Is(err, errOutOfOrder) {
			t.Errorf("much too late: %v", err)
		}
	})
}

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

package sip

import (
	"errors"
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

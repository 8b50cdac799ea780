package dht

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// A host with many rooms listens and announces at many keys that were all begun in the same moment. What it costs to keep them is
// spread over time, and is not more than what the protocol asks for.
func TestManyKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemNet()
		nodes := startMemNetwork(t, m, 24, Config{})
		defer closeAll(t, nodes...)
		time.Sleep(2 * time.Minute)
		const rooms = 50
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		var kept []*Permanent
		for i := range rooms {
			if _, err := nodes[0].Listen(ctx, valueKey(i)); err != nil {
				t.Fatal(err)
			}
			p, err := nodes[0].PutPermanent(ctx, valueKey(1000+i), &Value{Data: []byte("announcement")})
			if err != nil {
				t.Fatal(err)
			}
			kept = append(kept, p)
		}
		for _, p := range kept {
			if err := p.Wait(ctx); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		conn := nodes[0].conns[ipv4].(*memConn)
		const seconds = 20 * 60
		var perSecond []int
		for range seconds {
			before := m.sentBy(conn)
			time.Sleep(time.Second)
			perSecond = append(perSecond, m.sentBy(conn)-before)
		}
		sum := 0
		for _, n := range perSecond {
			sum += n
		}
		mean, most := float64(sum)/seconds, slices.Max(perSecond)
		// A listen is renewed at four nodes every twenty seconds, a value refreshed at eight every ten minutes, and for
		// a put a token is had from each of them as often.
		least := rooms * (listenNodes/listenRenew.Seconds() + 2*searchReach/tokenLife.Seconds())
		t.Logf("%.1f datagrams a second, %d at most; what is asked for takes %.1f", mean, most, least)
		if mean > 1.5*least {
			t.Errorf("%.1f datagrams a second where %.1f would do", mean, least)
		}
		if float64(most) > 10*mean { // it was 80 times as much when all was renewed together
			t.Errorf("%d datagrams in one second, of %.1f in the mean", most, mean)
		}
		for i := range rooms { // and all is kept
			if found := find(t, nodes[9], valueKey(1000+i)); len(found) != 1 {
				t.Errorf("room %d: found %q", i, found)
			}
		}
	})
}

// How many attempts at a peer failed is counted rightly, whatever gets lost, and all is published in the end.
func TestFailedIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemNet()
		m.loss = 0.2
		nodes := startMemNetwork(t, m, 12, Config{})
		defer closeAll(t, nodes...)
		ctx := context.Background()
		var kept []*Permanent
		for i := range 40 {
			p, err := nodes[0].PutPermanent(ctx, valueKey(i), &Value{Data: []byte("announcement")})
			if err != nil {
				t.Fatal(err)
			}
			kept = append(kept, p)
		}
		late := 0
		for range 200 {
			time.Sleep(250 * time.Millisecond)
			if err := nodes[0].do(ctx, func(e *engine) {
				for _, p := range e.peers[ipv4].byID {
					want := 0
					for _, r := range p.requests {
						want = max(want, r.attemptsFailed())
					}
					if late += want; p.failed() != want {
						t.Errorf("%d attempts failed, %d are counted", want, p.failed())
					}
				}
			}); err != nil {
				t.Fatal(err)
			}
		}
		if late == 0 {
			t.Error("nothing was late")
		}
		for _, p := range kept {
			if err := p.Wait(ctx); err != nil {
				t.Error(err)
			}
		}
	})
}

package e2e

import (
	"context"
	"errors"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"rendezvous/internal/lab/jamilab"
	"rendezvous/signalling/jami/account"
	"rendezvous/signalling/jami/account/accounttest"
	"rendezvous/signalling/jami/connection/mux"
)

// Four daemons call two rooms of one host, all at once.
func TestJamidsCallTogether(t *testing.T) {
	inLab(t, jamilab.Options{Peers: 4}, func(t *testing.T, ctx context.Context, l *jamilab.Lab) {
		var wg sync.WaitGroup
		for i := range l.Peers() {
			wg.Go(func() { jamid(t, l, i+1) })
		}
		wg.Wait()
		for _, p := range l.Peers() {
			if err := p.WaitDHParams(ctx); err != nil {
				t.Fatal(err)
			}
		}
		h := accounttest.NewHost(t, ":0", jamilab.Bootstrap)
		rooms := []*account.Account{h.Open(t, account.Config{}), h.Open(t, account.Config{})}
		var arrivals []<-chan accounttest.Arrival
		for _, r := range rooms {
			arrivals = append(arrivals, accounttest.Calls(r))
			accounttest.Start(t, r)
		}
		start := time.Now()
		var calls []string
		for i, p := range l.Peers() {
			call, err := p.PlaceCall(ctx, rooms[i%2].ID().String(), jamilab.Media(nil))
			if err != nil {
				t.Fatal(err)
			}
			calls = append(calls, call)
		}
		var took []time.Duration
		for i := range l.Peers() {
			c := accounttest.Next(t, arrivals[i%2], "INVITE", nil)
			took = append(took, c.At.Sub(start).Round(time.Millisecond))
		}
		slices.Sort(took)
		t.Logf("INVITEs after %v", took)
		for i, p := range l.Peers() {
			hangUp(t, p, calls[i])
		}
		if n := len(rooms[0].Connected()) + len(rooms[1].Connected()); n != 4 {
			t.Errorf("%d connections, want 4", n)
		}
	})
}

// The DHT gone: connections that are up stay, and so do their channels.
func TestJamidWithoutDHT(t *testing.T) {
	inLab(t, jamilab.Options{Peers: 1}, func(t *testing.T, ctx context.Context, l *jamilab.Lab) {
		p, a := pair(t, l)
		id := deviceOf(t, a, p)
		opens(t, a, p)
		if err := l.StopDHT(); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			ch, err := a.OpenChannel(ctx, id, "sip", "audioCall")
			if err != nil {
				t.Fatal(err)
			}
			ch.Close()
		}
	})
}

// The DHT comes back with nothing in it: both sides publish again, and calls
// that need a new connection get it.
func TestJamidAfterDHTRestart(t *testing.T) {
	inLab(t, jamilab.Options{Peers: 1}, func(t *testing.T, ctx context.Context, l *jamilab.Lab) {
		p, a := pair(t, l)
		calls := accounttest.Calls(a)
		if err := l.StopDHT(); err != nil {
			t.Fatal(err)
		}
		if err := l.StartDHT(); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for {
			call, err := p.PlaceCall(ctx, a.ID().String(), jamilab.Media(nil))
			if err != nil {
				t.Fatal(err)
			}
			select {
			case c := <-calls:
				t.Logf("%q %v after the node was back", c.First, time.Since(start))
				return
			case <-time.After(20 * time.Second):
				p.HangUp(ctx, call)
			case <-ctx.Done():
				t.Fatal("no call gets through")
			}
		}
	})
}

// Each side in turn can only connect, or only be connected to, as behind NATs
// and firewalls: what we send from the ports in question goes nowhere.
func TestJamidOneWay(t *testing.T) {
	inLab(t, jamilab.Options{Peers: 1}, func(t *testing.T, ctx context.Context, l *jamilab.Lab) {
		p := jamid(t, l, 1)
		for name, ports := range map[string]string{
			"we cannot connect":      "32768-60999", // the ports connections leave from
			"we cannot be connected": "5000",        // the listener
		} {
			rule := []string{"ipproto", "tcp", "sport", ports, "to", "10.77.0.11", "blackhole"}
			if out, err := exec.Command("ip", append([]string{"rule", "add"}, rule...)...).CombinedOutput(); err != nil {
				t.Fatalf("ip rule: %v: %s", err, out)
			}
			h := accounttest.NewHost(t, ":5000", jamilab.Bootstrap)
			a := h.Open(t, account.Config{})
			calls := accounttest.Calls(a)
			accounttest.Start(t, a)
			start := time.Now()
			opens(t, a, p)
			t.Logf("%s, we ask: %v", name, time.Since(start))
			disconnected(t, a, p)
			start = time.Now()
			call, _ := rings(t, ctx, p, a.ID().String(), calls)
			t.Logf("%s, the daemon asks: %v", name, time.Since(start))
			hangUp(t, p, call)
			a.Close()
			h.Listener.Close()
			if out, err := exec.Command("ip", append([]string{"rule", "del"}, rule...)...).CombinedOutput(); err != nil {
				t.Fatalf("ip rule: %v: %s", err, out)
			}
		}
	})
}

// A hundred megabytes from one room of ours to another across the lab's DHT,
// while a daemon keeps its connection.
func TestJamidBesideTransfer(t *testing.T) {
	inLab(t, jamilab.Options{Peers: 1}, func(t *testing.T, ctx context.Context, l *jamilab.Lab) {
		p, a := pair(t, l)
		opens(t, a, p)
		id := deviceOf(t, a, p)
		// A channel that takes what we send and one that is refused, in turns:
		// the daemon's SIP channel swallows megabytes of blank lines (RFC 3261
		// section 7.5 lets them stand before a message).
		sip, err := a.OpenChannel(ctx, id, "sip", "audioCall")
		if err != nil {
			t.Fatal(err)
		}
		defer sip.Close()
		done := make(chan error, 1)
		const size = 100 << 20
		go func() {
			sip.SetWriteDeadline(time.Now().Add(2 * time.Minute))
			blank := make([]byte, 64<<10)
			for i := range blank {
				blank[i] = "\r\n"[i%2]
			}
			for n := 0; n < size; n += len(blank) {
				if _, err := sip.Write(blank); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
		start := time.Now()
		n := 0
		for {
			select {
			case err := <-done:
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("100 MB to the daemon in %v, %d other channels asked for meanwhile", time.Since(start), n)
				return
			default:
			}
			ask, cancel := context.WithTimeout(ctx, 20*time.Second)
			_, err := a.OpenChannel(ask, id, "vcard://x", "")
			cancel()
			if !errors.Is(err, mux.ErrDeclined) {
				t.Fatal(err)
			}
			n++
		}
	})
}

package sip

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// sleepy is a name server that answers only after some time.
type sleepy struct {
	awake time.Time
	asked atomic.Int32
}

func (s *sleepy) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	if s.asked.Add(1); time.Now().Before(s.awake) {
		return nil, &net.DNSError{Err: "server misbehaving", Name: "sip.example.org", IsTemporary: true}
	}
	return []netip.Addr{netip.MustParseAddr("::ffff:203.0.113.5"), netip.MustParseAddr("2001:db8:5::5"), netip.MustParseAddr("203.0.113.6")}, nil
}

// A host that starts before its name server does finds its external addresses later, one for phones of each family.
func TestExternalNameWithoutDNS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := &sleepy{awake: time.Now().Add(20 * time.Minute)}
		d := &Door{cfg: Config{External: "sip.example.org", Resolver: names}, log: slog.New(slog.DiscardHandler)}
		d.ctx, d.cancel = context.WithCancel(t.Context())
		v4, v6 := netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("2001:db8:1::1")
		toward := func(peer netip.Addr) string { return d.external.Load().toward(peer).String() }
		d.findExternal(t.Context())
		time.Sleep(19 * time.Minute)
		synctest.Wait()
		if d.external.Load() != nil || names.asked.Load() < 5 || names.asked.Load() > 20 {
			t.Errorf("without a name server: %+v, asked %d times", d.external.Load(), names.asked.Load())
		}
		time.Sleep(lastRetry + 2*time.Minute)
		d.wg.Wait() // it is not looked up again
		if toward(v4) != "203.0.113.5" || toward(v6) != "2001:db8:5::5" {
			t.Errorf("external addresses are %s and %s", toward(v4), toward(v6))
		}
		if got := d.localAddr(v4).String(); got != "203.0.113.5" {
			t.Errorf("phones are told %s", got)
		}
		d.cancel()
	})
}

// The search ends with the door.
func TestExternalNameIsNotLookedForAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &Door{cfg: Config{External: "sip.example.org", Resolver: &sleepy{awake: time.Now().Add(time.Hour)}}, log: slog.New(slog.DiscardHandler)}
		d.ctx, d.cancel = context.WithCancel(t.Context())
		d.findExternal(t.Context())
		d.cancel()
		d.wg.Wait()
	})
}

package congestion

import (
	"os"
	"strconv"
	"testing"
	"time"

	"rendezvous/internal/netlink"
)

var traced = os.Getenv("TRACED")

func traced2(k int) bool { return traced == strconv.Itoa(k) }

func TestReportsLook(t *testing.T) {
	for _, s := range []struct {
		name string
		peer peer
	}{{"debian", debian}, {"jami", jami}, {"ffmpeg", ffmpeg}, {"linear", linear}, {"baresip", baresip}} {
		for _, kbps := range []int{500, 150} {
			p := newReportsPath(t, open, s.peer)
			p.run(20 * time.Second)
			p.set(limited(kbps, 500*ms))
			p.run(25 * time.Second)
			t.Logf("%s %d: under 150 after %v; p95 after 2 s %.0f, after 10 s %.0f; used %.0f; sound lost %.1f %%, after 3 s %.1f %%", s.name, kbps, p.clear(25*time.Second),
				quantile(p.over(p.queued, 2*time.Second, 25*time.Second), .95), quantile(p.over(p.queued, 10*time.Second, 25*time.Second), .95), p.used(5*time.Second, 25*time.Second), 100*p.lost(0, 25*time.Second), 100*p.lost(3*time.Second, 25*time.Second))
			if traced2(kbps) {
				t.Log(p.trace(250*ms, 4*time.Second), p.trace(time.Second, 25*time.Second))
			}
			p.set(open)
			p.run(25 * time.Second)
			t.Logf("%s: open: 1100 after %v, 2000 after %v", s.name, p.reached(1100), p.reached(2000))
			if traced2(kbps) {
				t.Log(p.trace(time.Second, 15*time.Second))
			}
		}
		for _, c := range []struct {
			name   string
			change func(*netlink.Settings)
		}{
			{"a longer way", func(s *netlink.Settings) { s.Delay = 90 * ms }},
			{"jitter of 30 ms", func(s *netlink.Settings) { s.Jitter = 30 * ms }},
			{"jitter of 100 ms", func(s *netlink.Settings) { s.Jitter = 100 * ms }},
			{"jitter of 100 ms free", func(s *netlink.Settings) { s.Jitter, s.Free = 100*ms, true }},
			{"loss of 5 %", func(s *netlink.Settings) { s.Loss = .05 }},
			{"loss of 20 %", func(s *netlink.Settings) { s.Loss = .2 }},
		} {
			p := newReportsPath(t, open, s.peer)
			p.run(20 * time.Second)
			changed := open
			c.change(&changed)
			p.set(changed)
			p.run(30 * time.Second)
			t.Logf("%s, %s: used %.0f, least target 5 %% %.0f", s.name, c.name, p.used(3*time.Second, 30*time.Second), quantile(p.over(p.targets, 0, 30*time.Second), .05))
		}
	}
}

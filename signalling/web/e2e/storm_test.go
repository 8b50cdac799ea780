package e2e

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rendezvous/conference"
	"rendezvous/conference/settings"
	"rendezvous/internal/lab/browser"
	"rendezvous/moderation"
	"rendezvous/signalling/web/webtest"
)

// wire passes TCP connections on to a door and counts what goes over them.
type wire struct {
	net.Listener
	to             string
	toPage, toHost atomic.Int64
	conns          sync.WaitGroup
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	w := &wire{Listener: l, to: to}
	w.conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			w.conns.Go(func() { w.pass(c) })
		}
	})
	t.Cleanup(func() { l.Close() })
	return w
}

func (w *wire) pass(c net.Conn) {
	defer c.Close()
	d, err := net.Dial("tcp", w.to)
	if err != nil {
		return
	}
	defer d.Close()
	go func() {
		_, _ = io.Copy(counted{d, &w.toHost}, c)
		d.Close()
	}()
	_, _ = io.Copy(counted{c, &w.toPage}, d)
}

type counted struct {
	io.Writer
	n *atomic.Int64
}

func (c counted) Write(b []byte) (int, error) {
	n, err := c.Writer.Write(b)
	c.n.Add(int64(n))
	return n, err
}

// What the page of a moderator is sent in a meeting of 300 while five others give 200 orders a
// second: differences, ten a second, compressed; and the page keeps up.
func TestRosterInAStorm(t *testing.T) {
	const (
		crowd, givers, perSecond = 300, 5, 200
		lasts                    = 10 * time.Second
	)
	h := webtest.Open(t, []settings.Room{{ID: "lab", Title: "All hands", ModeratorPIN: "4711", SelfUnmute: true}}, nil)
	room, err := h.Host.Room("lab")
	must(t, err)
	members := fill(t, room, crowd)
	link := h.Door.Addresses("lab")[0]
	origin := strings.TrimSuffix(strings.TrimPrefix(link, "http://"), "/r/lab")
	w := newWire(t, origin)
	ann := start(t, browser.Options{Color: red, Tone: 500})
	must(t, ann.Join(fmt.Sprintf("http://%s/r/lab", w.Addr()), "Ann", "4711"))
	must(t, ann.WaitFor(fmt.Sprintf(`call.people.size === %d`, crowd+1), 30*time.Second))
	must(t, ann.Eval(`(() => {
	  window.infos = 0; window.changed = 0; window.pauses = [];
	  call.addEventListener('room', () => infos++);
	  call.addEventListener('people', (e) => { changed += e.detail.size; });
	  new PerformanceObserver((l) => l.getEntries().forEach((e) => pauses.push(Math.round(e.duration)))).observe({entryTypes: ['longtask']});
	})()`, nil))
	time.Sleep(time.Second)
	quiet := w.toPage.Load()
	time.Sleep(2 * time.Second)
	quiet = (w.toPage.Load() - quiet) / 2

	// An Info as a whole, for comparison.
	whole := 0
	for _, p := range room.Info().Participants {
		whole += len(fmt.Sprintf("%+v", p))
	}
	before, began := w.toPage.Load(), time.Now()
	var given, refused atomic.Int64
	var wg sync.WaitGroup
	for g := range givers {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(g)))
			by := conference.Operator{Name: fmt.Sprint("giver", g), Door: "api", Role: moderation.Moderator}
			for n := range int(lasts.Seconds()) * perSecond / givers {
				time.Sleep(time.Until(began.Add(time.Duration(n) * time.Second * givers / perSecond)))
				target, on := members[rnd.IntN(crowd)].ID(), rnd.IntN(2) == 0
				o := moderation.Order{Action: moderation.Mute, Target: target, On: on}
				switch rnd.IntN(10) {
				case 0:
					o = moderation.Order{Action: moderation.MuteAll, On: on}
				case 1:
					o = moderation.Order{Action: moderation.Rename, Target: target, Text: fmt.Sprintf("n %d %s", n, target)}
				case 2:
					o = moderation.Order{Action: moderation.SetRole, Target: target, Text: []string{"listener", "speaker"}[rnd.IntN(2)]}
				case 3:
					o = moderation.Order{Action: moderation.Remove, Target: "gone"}
				}
				given.Add(1)
				if room.Order(by, o) != nil {
					refused.Add(1)
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	sent := w.toPage.Load() - before
	muted := 0
	for _, p := range room.Info().Participants {
		if p.Muted {
			muted++
		}
	}
	must(t, ann.WaitFor(fmt.Sprintf(`[...call.people.values()].filter((p) => p.muted).length === %d`, muted), 20*time.Second))
	var page struct {
		Infos, Changed int
		Pauses         []int
	}
	must(t, ann.Eval(`({Infos: infos, Changed: changed, Pauses: pauses})`, &page))
	perS := float64(sent) / took.Seconds()
	t.Logf("%d orders in %v, %d refused; the page was sent %.1f kB/s by TCP (in quiet %.1f kB/s), %.1f messages a second with %.0f changed people each; "+
		"the whole list is about %d kB uncompressed; pauses of the page's main thread: %v ms",
		given.Load(), took.Round(time.Millisecond), refused.Load(), perS/1000, float64(quiet)/1000,
		float64(page.Infos)/took.Seconds(), float64(page.Changed)/float64(max(1, page.Infos)), whole/1000, page.Pauses)
	if given.Load() != int64(lasts.Seconds())*perSecond {
		t.Errorf("%d orders were given", given.Load())
	}
	if perS > 200_000 { // ten whole lists a second would be a megabyte
		t.Errorf("the page is sent %.0f bytes a second", perS)
	}
	if most := 10.5*took.Seconds() + 10; float64(page.Infos) > most {
		t.Errorf("%d messages in %v: they are not batched", page.Infos, took)
	}
	clean(t, ann)
}

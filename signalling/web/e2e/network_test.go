package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"rendezvous/conference/settings"
	"rendezvous/internal/lab/browser"
	"rendezvous/signalling/web"
	"rendezvous/signalling/web/webtest"
)

// counting keeps the connections that a page makes.
const counting = `(() => {
  window.sockets = [];
  const Real = WebSocket;
  window.WebSocket = class extends Real { constructor(...a) { super(...a); sockets.push(this); } };
  const RealPC = RTCPeerConnection;
  window.pcs = [];
  window.RTCPeerConnection = class extends RealPC { constructor(...a) { super(...a); pcs.push(this); } };
})()`

// The network goes and comes: first the WebSocket alone, then all of it, then a new one
// that the browser tells of. The person stays in the meeting, as the same participant.
func TestReconnects(t *testing.T) {
	h := webtest.Open(t, []settings.Room{{ID: "lab"}}, nil)
	room, err := h.Host.Room("lab")
	must(t, err)
	link := h.Door.Addresses("lab")[0]
	ann := start(t, browser.Options{Color: red, Tone: 500})
	bob := start(t, browser.Options{Color: blue, Tone: 900})
	must(t, ann.Join(link, "Ann", ""))
	must(t, bob.Open(link))
	must(t, bob.Eval(counting, nil))
	must(t, bob.Enter("Bob", ""))
	must(t, bob.WaitFor(`call.phase === 'in' && document.querySelector('.stage video')?.videoWidth > 0`, 30*time.Second))
	var before string
	must(t, bob.Eval(`call.id`, &before))
	stays := func(what string) {
		t.Helper()
		must(t, bob.WaitFor(`call.phase === 'in' && pcs.at(-1).connectionState === 'connected' && call.people.size === 2`, 60*time.Second))
		var id string
		must(t, bob.Eval(`call.id`, &id))
		if id != before {
			t.Errorf("after %s Bob is %s, was %s", what, id, before)
		}
		if n := len(room.Info().Participants); n != 2 {
			t.Errorf("after %s there are %d participants", what, n)
		}
		heard(t, ann, 900, true)
		heard(t, bob, 500, true)
	}

	must(t, bob.Eval(`sockets.at(-1).close()`, nil))
	must(t, bob.WaitFor(`sockets.length === 2 && sockets[1].readyState === 1`, 20*time.Second))
	stays("losing the WebSocket")

	// A new network: the browser says so, and ICE starts anew.
	ufrag := `pcs[0].localDescription.sdp.match(/ice-ufrag:(\S+)/)[1]`
	var old string
	must(t, bob.Eval(ufrag, &old))
	must(t, bob.Eval(`window.dispatchEvent(new Event('online'))`, nil))
	must(t, bob.WaitFor(`pcs[0].signalingState === 'stable' && `+ufrag+` !== '`+old+`'`, 20*time.Second))
	stays("an ICE restart")

	// Nothing gets through until the browser notices, then all does again.
	must(t, bob.SetLink(browser.Link{Loss: 100}))
	must(t, bob.WaitFor(`call.phase === 'reconnecting' && !document.querySelector('.cover').hidden`, 60*time.Second))
	must(t, bob.SetLink(browser.Link{}))
	stays("an outage")
	clean(t, bob)
}

// cable is an interface of ours with a browser at its other end, in a network namespace of its own.
type cable struct {
	t   *testing.T
	ns  string // also what our end is called
	net string // the first three numbers of its addresses; ours ends with 1
}

func newCable(t *testing.T) *cable {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("needs root, for network namespaces")
	}
	pid := os.Getpid()
	c := &cable{t: t, ns: fmt.Sprintf("web%d", pid), net: fmt.Sprintf("10.97.%d", pid%256)}
	c.ip("netns", "add", c.ns)
	t.Cleanup(func() { c.ip("netns", "del", c.ns) })
	c.ip("link", "add", c.ns, "type", "veth", "peer", "name", "eth0", "netns", c.ns)
	// An address of IPv6 that comes by itself, a second or two later, is a change of network to a browser, which gives up what it is loading.
	c.ip("link", "set", c.ns, "addrgenmode", "none")
	c.ip("-n", c.ns, "link", "set", "eth0", "addrgenmode", "none")
	c.ip("addr", "add", c.net+".1/24", "dev", c.ns)
	c.ip("link", "set", c.ns, "up")
	c.ip("-n", c.ns, "link", "set", "lo", "up")
	c.ip("-n", c.ns, "link", "set", "eth0", "up")
	c.address("2")
	return c
}

func (c *cable) ip(args ...string) {
	c.t.Helper()
	if b, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		c.t.Fatalf("ip %v: %v: %s", args, err, b)
	}
}

// address gives the browser another address instead of the one that it has; "" takes it away.
func (c *cable) address(last string) {
	c.t.Helper()
	c.ip("-n", c.ns, "addr", "flush", "dev", "eth0", "scope", "global")
	if last != "" {
		c.ip("-n", c.ns, "addr", "add", c.net+"."+last+"/24", "dev", "eth0")
		c.ip("-n", c.ns, "route", "replace", "default", "via", c.net+".1")
	}
}

// From one network into another, at once and after seconds without any: what the page sent goes on at the new address, in
// the same call.
func TestMovesToAnotherNetwork(t *testing.T) {
	wire := newCable(t)
	h := webtest.Open(t, []settings.Room{{ID: "lab"}}, func(c *web.Config) {
		c.Listen, c.InsecureHTTP, c.MediaUDP = wire.net+".1:0", true, wire.net+".1:0"
	})
	room, err := h.Host.Room("lab")
	must(t, err)
	link := h.Door.Addresses("lab")[0]
	bob := start(t, browser.Options{Color: blue, Tone: 900, NetNS: wire.ns, Flags: []string{"unsafely-treat-insecure-origin-as-secure=" + h.Door.URL()}})
	must(t, bob.Open(link))
	must(t, bob.Eval(counting, nil))
	must(t, bob.Enter("Bob", ""))
	must(t, bob.WaitFor(`call.phase === 'in' && document.querySelector('.stage video')?.videoWidth > 0`, 30*time.Second))
	var before, after string
	must(t, bob.Eval(`call.id`, &before))
	// How long the longest time without a packet was, in ms, and how long ago the last one came.
	must(t, bob.Eval(`(() => {
	  window.got = {packets: 0, at: performance.now(), longest: 0};
	  setInterval(async () => {
	    let n = 0;
	    for (const s of (await pcs.at(-1).getStats()).values()) if (s.type === 'inbound-rtp' && s.kind === 'audio') n = s.packetsReceived;
	    const now = performance.now();
	    if (n > got.packets) { got.longest = Math.max(got.longest, now - got.at); got.at = now; }
	    got.packets = n;
	  }, 50);
	})()`, nil))
	moves := func(what string, limit time.Duration, move func()) {
		t.Helper()
		sockets := 0
		must(t, bob.Eval(`got.longest = 0, sockets.length`, &sockets))
		move()
		must(t, bob.WaitFor(fmt.Sprintf(`sockets.length > %d && got.longest > 500 && call.phase === 'in'`, sockets), 40*time.Second))
		var ms float64
		must(t, bob.Eval(`got.longest`, &ms))
		silent := time.Duration(ms * float64(time.Millisecond))
		t.Logf("%s: silence of %v", what, silent.Round(10*time.Millisecond))
		if silent > limit {
			t.Errorf("%s: silence of %v", what, silent)
		}
		var connections int
		must(t, bob.Eval(`pcs.length`, &connections))
		must(t, bob.Eval(`call.id`, &after))
		if n := len(room.Info().Participants); after != before || connections != 1 || n != 1 {
			t.Errorf("%s: Bob is %s and was %s, in %d connections, one of %d participants", what, after, before, connections, n)
		}
	}
	// Two seconds on a machine with nothing else to do.
	moves("another address", 6*time.Second, func() { wire.address("3") })
	moves("none for two seconds, then a third one", 8*time.Second, func() {
		wire.address("")
		time.Sleep(2 * time.Second)
		wire.address("4")
	})
	clean(t, bob)
}

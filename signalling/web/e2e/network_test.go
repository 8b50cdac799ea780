package e2e

import (
	"testing"
	"time"

	"rendezvous/conference/settings"
	"rendezvous/internal/lab/browser"
	"rendezvous/signalling/web/webtest"
)

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
	must(t, bob.Eval(`(() => {
	  window.sockets = [];
	  const Real = WebSocket;
	  window.WebSocket = class extends Real { constructor(...a) { super(...a); sockets.push(this); } };
	  const RealPC = RTCPeerConnection;
	  window.pcs = [];
	  window.RTCPeerConnection = class extends RealPC { constructor(...a) { super(...a); pcs.push(this); } };
	})()`, nil))
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

// moving is how many pictures a second are a picture that keeps moving, on a machine that does much
// else. How many there are on a quiet one is a figure for a benchmark.
const moving = 3

// A path of 300 kbit/s gets a picture that it can carry, and keeps moving; the other's
// does not get worse.
func TestNarrowLink(t *testing.T) {
	h := webtest.Open(t, []settings.Room{{ID: "lab"}}, nil)
	link := h.Door.Addresses("lab")[0]
	ann := start(t, browser.Options{Color: red, Tone: 500, Noise: true, CameraWidth: 1280, CameraHeight: 720})
	bob := start(t, browser.Options{Color: blue, Tone: 900, Noise: true, CameraWidth: 1280, CameraHeight: 720})
	must(t, ann.Join(link, "Ann", ""))
	must(t, bob.Join(link, "Bob", ""))
	must(t, ann.WaitFor(`document.querySelector('.stage video').videoHeight === 720`, 60*time.Second))
	must(t, bob.SetLink(browser.Link{Down: 300_000, Queue: 100}))
	must(t, bob.WaitFor(`document.querySelector('.stage video').videoHeight < 720`, 60*time.Second))
	const frames = `(async () => { const v = document.querySelector('.stage video'); const n = v.getVideoPlaybackQuality().totalVideoFrames; await new Promise((f) => setTimeout(f, 5000)); return v.getVideoPlaybackQuality().totalVideoFrames - n; })()`
	// A queue that had filled before must drain first.
	var moved, narrow, wide int
	for tries := 0; moved < 5*moving && tries < 6; tries++ {
		must(t, bob.Eval(frames, &moved))
	}
	must(t, bob.Eval(`document.querySelector('.stage video').videoHeight`, &narrow))
	// A machine with much else to do may have made a pause in Ann's, too.
	must(t, ann.WaitFor(`document.querySelector('.stage video').videoHeight === 720`, 60*time.Second))
	must(t, ann.Eval(`document.querySelector('.stage video').videoHeight`, &wide))
	t.Logf("at 300 kbit/s Bob sees %d lines and %d frames in 5 s; Ann sees %d lines", narrow, moved, wide)
	if moved < 5*moving {
		t.Errorf("Bob's picture hardly moves: %d frames in 5 s", moved)
	}
	heard(t, bob, 500, true)
}

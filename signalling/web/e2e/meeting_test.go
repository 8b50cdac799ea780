package e2e

import (
	"context"
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"rendezvous/conference"
	"rendezvous/conference/settings"
	"rendezvous/internal/eventually"
	"rendezvous/internal/lab/browser"
	"rendezvous/mixer/leg"
	"rendezvous/moderation"
	"rendezvous/signalling/web"
	"rendezvous/signalling/web/webtest"
)

// artefacts is where screenshots are kept, for people to look at.
func artefacts(t *testing.T) string {
	dir := os.Getenv("TEST_ARTEFACTS")
	if dir == "" {
		dir = t.ArtifactDir()
	}
	return filepath.Join(dir, "web")
}

func withICEServer(c *web.Config) {
	c.ICEServers = []web.ICEServer{{URLs: []string{"stun:stun.example.org"}}}
}

func start(t *testing.T, o browser.Options) *browser.Browser {
	t.Helper()
	b, err := browser.Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, l := range b.Console() {
				t.Log("console:", l)
			}
			_ = b.Screenshot(filepath.Join(artefacts(t), t.Name()+"-failed.png"))
		}
		if err := b.Close(); err != nil {
			t.Errorf("closing the browser: %v", err)
		}
	})
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var (
	red  = color.RGBA{200, 40, 40, 255}
	blue = color.RGBA{40, 60, 200, 255}
)

// Two people meet: each hears the other's tone and not their own, and each sees both.
func TestTwoBrowsersMeet(t *testing.T) {
	h := webtest.Open(t, []settings.Room{{ID: "lab", Title: "Laboratory", SelfUnmute: true, ModeratorPIN: "4711"}}, nil)
	link := h.Door.Addresses("lab")[0]
	ann := start(t, browser.Options{Color: red, Tone: 500})
	bob := start(t, browser.Options{Color: blue, Tone: 900})
	must(t, ann.Join(link, "Ann", "4711"))
	must(t, bob.Join(link, "Bob", ""))
	must(t, ann.WaitPeople(2, 20*time.Second))
	must(t, bob.WaitPeople(2, 20*time.Second))

	hears := func(b *browser.Browser, who string, other, own float64) {
		t.Helper()
		s, err := b.Listen(browser.Stage, 4*time.Second)
		must(t, err)
		t.Logf("%s hears %.0f Hz at %.1f dB, own %.0f Hz at %.1f dB", who, other, s.Level(other), own, s.Level(own))
		if s.Level(other) < -35 {
			t.Errorf("%s does not hear the other: %.1f dB", who, s.Level(other))
		}
		if s.Level(own) > s.Level(other)-30 {
			t.Errorf("%s hears themselves: %.1f dB, the other %.1f dB", who, s.Level(own), s.Level(other))
		}
	}
	hears(ann, "Ann", 900, 500)
	hears(bob, "Bob", 500, 900)

	for _, b := range []*browser.Browser{ann, bob} {
		sees(t, b, "Ann", red)
		sees(t, b, "Bob", blue)
	}
	must(t, ann.Screenshot(filepath.Join(artefacts(t), "meeting.png")))
	showsNetwork(t, h, ann)
	clean(t, ann)
}

// showsNetwork: a person is told how their network is, with what the host knows of it, and everybody whose is poor.
func showsNetwork(t *testing.T, h *webtest.House, b *browser.Browser) {
	t.Helper()
	must(t, b.WaitFor(`/^Your network: (good|fair|poor) – .*lost$/.test(document.querySelector('.quality').title)`, 20*time.Second))
	must(t, b.Eval(`document.querySelector('.quality').click()`, nil))
	must(t, b.WaitFor(`call.network.roundTrip >= 0 && [...document.querySelectorAll('.figures dt')].some((e) => e.textContent === 'Picture for you')`, 20*time.Second))
	must(t, b.Screenshot(filepath.Join(artefacts(t), "network.png")))
	must(t, b.Eval(`document.querySelector('dialog .primary').click()`, nil))
	room, err := h.Host.Room("lab")
	must(t, err)
	eventually.True(t, "the room knows how everybody's network is", func() bool {
		return !slices.ContainsFunc(room.Info().Participants, func(p conference.Participant) bool { return p.Network == leg.ClassUnknown })
	})
	must(t, b.Eval(`(() => {
	  const p = [...call.people.values()].find((p) => p.name === 'Bob');
	  p.network = 'poor';
	  call.emit('people', new Set([p.id]));
	})()`, nil))
	must(t, b.WaitFor(`[...document.querySelectorAll('.person')].some((e) => e.innerText.includes('Bob') && e.querySelector('.flag[data-rating=poor]')?.checkVisibility())`, 10*time.Second))
}

// sees waits until a participant's tile has a colour.
func sees(t *testing.T, b *browser.Browser, name string, want color.RGBA) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		got, err := b.TileColor(name)
		if err == nil && browser.Near(got, want, 30) {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%s's tile is %v (%v), want about %v", name, got, err, want)
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// Where the network lets no UDP out, media goes over TCP.
func TestMediaOverTCP(t *testing.T) {
	h := webtest.Open(t, []settings.Room{{ID: "lab"}}, func(c *web.Config) { c.MediaUDP, c.MediaTCP = "", "127.0.0.1:0" })
	ann := start(t, browser.Options{Color: red, Tone: 500})
	must(t, ann.Join(h.Door.Addresses("lab")[0], "Ann", ""))
	sees(t, ann, "Ann", red)
	var protocol string
	must(t, ann.Eval(`(async () => { const s = [...(await call.pc.getStats()).values()]; const pair = s.find((x) => x.id === s.find((y) => y.type === 'transport').selectedCandidatePairId); return s.find((x) => x.id === pair.localCandidateId).protocol; })()`, &protocol))
	if protocol != "tcp" {
		t.Errorf("media goes over %s", protocol)
	}
}

// The page sends no more of its camera than the room shows of it, and nothing while nobody sees it.
func TestCameraFitsItsTile(t *testing.T) {
	h := webtest.Open(t, []settings.Room{{ID: "lab"}}, nil)
	room, err := h.Host.Room("lab")
	must(t, err)
	others := fill(t, room, 15)
	ann := start(t, browser.Options{Color: red, Tone: 500, CameraWidth: 1280, CameraHeight: 720})
	must(t, ann.Join(h.Door.Addresses("lab")[0], "Ann", ""))
	must(t, ann.WaitFor(`(async () => [...(await call.pc.getStats()).values()].some((s) => s.type === 'outbound-rtp' && s.kind === 'video' && s.frameHeight === 180))()`, 30*time.Second))
	sees(t, ann, "Ann", red)

	order := func(o moderation.Order) {
		must(t, room.Order(conference.Operator{Name: "test", Role: moderation.Host}, o))
	}
	big := func(id string) {
		order(moderation.Order{Action: moderation.SetLayout, Text: "one-big"})
		order(moderation.Order{Action: moderation.Pin, Target: id, On: true})
	}
	// sends waits until the camera sends pictures, or none.
	sends := func(some bool) {
		must(t, ann.WaitFor(fmt.Sprintf(`(async () => {
			const sent = async () => [...(await call.pc.getStats()).values()].find((s) => s.type === 'outbound-rtp' && s.kind === 'video').packetsSent;
			const before = await sent();
			await new Promise((done) => setTimeout(done, 500));
			return (await sent() > before) === %v;
		})()`, some), 20*time.Second))
	}
	big(others[0].ID())
	sends(false)
	var id string
	must(t, ann.Eval(`call.id`, &id))
	big(id)
	sends(true)
	sees(t, ann, "Ann", red)
}

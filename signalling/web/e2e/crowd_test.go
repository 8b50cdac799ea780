package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"rendezvous/conference"
	"rendezvous/conference/settings"
	"rendezvous/internal/eventually"
	"rendezvous/internal/lab/browser"
	"rendezvous/mixer/leg"
	"rendezvous/moderation"
	"rendezvous/signalling/web/webtest"
)

// quiet is somebody without a page: they are there, and hear nothing of it.
type quiet struct{}

func (quiet) Admitted()                  {}
func (quiet) Info(*conference.Info)      {}
func (quiet) Chat(conference.Message)    {}
func (quiet) Notice(conference.Notice)   {}
func (quiet) Ended(conference.EndReason) {}

// fill puts people without media into a room.
func fill(t *testing.T, room *conference.Room, n int) []*conference.Member {
	t.Helper()
	return fillUp(t, room, 0, n)
}

// fillUp does it for those from one number on up to another.
func fillUp(t *testing.T, room *conference.Room, from, to int) []*conference.Member {
	t.Helper()
	first := []string{"Ada", "Björn", "Chiara", "Dmitri", "Emre", "Fatima", "Grace", "Hiroshi", "Inês", "Jörg", "Katarzyna", "Léo", "Mei", "Noor", "Olga", "Priya"}
	last := []string{"Okafor", "Lindqvist", "Rossi", "Ivanov", "Yıldız", "Haddad", "Hopper", "Tanaka", "Silva", "Müller", "Nowak", "Martin", "Chen", "van Dijk", "Petrova", "Sharma", "O'Brien"}
	doors := []string{"web", "web", "sip", "jami"}
	var members []*conference.Member
	for i := from; i < to; i++ {
		l := leg.New(leg.Config{})
		t.Cleanup(l.Close)
		m, err := room.Join(context.Background(), conference.Caller{
			Door: doors[i%len(doors)], Address: "x", Identity: fmt.Sprint("web:test", i), Connection: "test",
			Name: first[i%len(first)] + " " + last[i%len(last)],
		}, l, quiet{})
		must(t, err)
		members = append(members, m)
	}
	return members
}

// Three hundred people, of whom one moderates with the page.
func TestCrowd(t *testing.T) {
	const crowd = 300
	h := webtest.Open(t, []settings.Room{{ID: "lab", Title: "All hands", ModeratorPIN: "4711", SelfUnmute: true}}, nil)
	room, err := h.Host.Room("lab")
	must(t, err)
	members := fill(t, room, 4)
	ann := start(t, browser.Options{Color: red, Tone: 500})
	must(t, ann.Join(h.Door.Addresses("lab")[0], "Ann", "4711"))
	must(t, members[1].Order(moderation.Order{Action: moderation.Hand, On: true}))
	must(t, ann.WaitFor(`document.querySelectorAll('.person .hand:not([hidden])').length === 1`, 20*time.Second))
	must(t, ann.Press("Actions for "+room.Info().Participants[1].Name))
	must(t, ann.WaitFor(`document.querySelector('.menu')`, 5*time.Second))
	must(t, ann.Screenshot(filepath.Join(artefacts(t), "five.png")))
	must(t, ann.Eval(`document.querySelector('.menu').dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape', bubbles: true}))`, nil))
	must(t, members[1].Order(moderation.Order{Action: moderation.Hand}))
	must(t, ann.WaitFor(`document.querySelectorAll('.person .hand:not([hidden])').length === 0`, 20*time.Second))
	members = append(members, fillUp(t, room, 4, crowd)...)
	must(t, ann.WaitFor(fmt.Sprintf(`call.people.size === %d && document.querySelectorAll('.people-pane .person').length === %d`, crowd+1, crowd+1), 30*time.Second))
	for i := range 9 {
		must(t, members[i*7].Order(moderation.Order{Action: moderation.Hand, On: true}))
	}
	must(t, ann.WaitFor(`document.querySelectorAll('.person .hand:not([hidden])').length === 9`, 20*time.Second))
	must(t, ann.Screenshot(filepath.Join(artefacts(t), "crowd.png")))

	// Search, choose all who are shown, and mute them together.
	must(t, ann.Type(`input[type=search]`, "okafor"))
	must(t, ann.WaitFor(`[...document.querySelectorAll('.person')].filter((p) => p.checkVisibility()).length < 30`, 10*time.Second))
	must(t, ann.Press("Select all shown"))
	must(t, ann.WaitFor(`/selected/.test(document.querySelector('.bulk:not([hidden])')?.textContent)`, 5*time.Second))
	must(t, ann.Screenshot(filepath.Join(artefacts(t), "crowd-selected.png")))
	var chosen int
	must(t, ann.Eval(`document.querySelectorAll('.pick:checked').length`, &chosen))
	must(t, ann.Eval(`[...document.querySelectorAll('.bulk button')].find((b) => b.textContent === 'Mute').click()`, nil))
	eventually.NoError(t, func() error {
		muted := 0
		for _, p := range room.Info().Participants {
			if p.Muted {
				muted++
			}
		}
		if muted == chosen && chosen > 5 {
			return nil
		}
		return fmt.Errorf("%d are muted, of %d chosen", muted, chosen)
	})

	// The list keeps up: changes of half the room are on the page in a moment, without long
	// pauses of its main thread.
	must(t, ann.Eval(`(() => { window.pauses = []; new PerformanceObserver((l) => l.getEntries().forEach((e) => pauses.push(e.duration))).observe({entryTypes: ['longtask']}); })()`, nil))
	for round := range 5 {
		for i, m := range members {
			if i%2 == 0 {
				must(t, m.SetSelfMuted(round%2 == 0))
			}
		}
	}
	must(t, ann.WaitFor(fmt.Sprintf(`[...call.people.values()].filter((p) => p.selfMuted).length >= %d`, crowd/2), 20*time.Second))
	var pauses []float64
	must(t, ann.Eval(`pauses`, &pauses))
	t.Logf("pauses of the page's main thread while %d changed five times: %.0f ms", crowd/2, pauses)
	for _, p := range pauses {
		if p > 1000 {
			t.Errorf("the page stood still for %.0f ms", p)
		}
	}
	clean(t, ann)

	bob := start(t, browser.Options{Color: blue, Mobile: true})
	must(t, bob.Join(h.Door.Addresses("lab")[0], "Bob", "4711"))
	must(t, bob.Press("Manage"))
	must(t, bob.WaitFor(`document.querySelector('.panel')`, 5*time.Second))
	must(t, bob.Screenshot(filepath.Join(artefacts(t), "manage-phone.png")))
	must(t, bob.Press("People"))
	must(t, bob.WaitFor(`document.querySelectorAll('.people-pane .person').length > 300`, 20*time.Second))
	must(t, bob.Screenshot(filepath.Join(artefacts(t), "crowd-phone.png")))
}

// sharedTab is what the browser's dialog would give for a tab with sound: a picture of one colour, and a tone of 1500 Hz.
const sharedTab = `(() => { navigator.mediaDevices.getDisplayMedia = async (wish) => {
  window.wished = wish;
  const canvas = document.createElement('canvas'), context = new AudioContext();
  [canvas.width, canvas.height] = [1600, 1000];
  const draw = canvas.getContext('2d'), tone = new OscillatorNode(context, {frequency: 1500}), gain = new GainNode(context, {gain: 0.3}), out = context.createMediaStreamDestination();
  let n = 0;
  setInterval(() => { draw.fillStyle = '#208030'; draw.fillRect(0, 0, 1600, 1000); draw.fillStyle = '#fff'; draw.fillRect(n++ % 1500, 900, 100, 60); }, 100);
  tone.connect(gain).connect(out);
  tone.start();
  return new MediaStream([...canvas.captureStream(10).getTracks(), ...out.stream.getTracks()]);
}; })()`

// fills waits until a stream of somebody, seen through the page's enlargement, is as large as the stage allows, and in its middle.
func fills(t *testing.T, b *browser.Browser, name, label string) {
	t.Helper()
	must(t, b.WaitFor(fmt.Sprintf(`(() => {
	  const rect = [...call.people.values()].find((p) => p.name === %q)?.streams.find((s) => s.label === %q)?.rect;
	  const at = document.querySelector('.picture').getBoundingClientRect(), stage = document.querySelector('.stage').getBoundingClientRect();
	  if (!rect) return false;
	  const k = at.width / call.room.width; // as it is scaled
	  const r = {left: at.left + k * rect.Min.X, right: at.left + k * rect.Max.X, top: at.top + k * rect.Min.Y, bottom: at.top + k * rect.Max.Y};
	  const near = (a, b) => Math.abs(a - b) < 2;
	  const wide = near(r.left, stage.left) && near(r.right, stage.right) && near(r.top - stage.top, stage.bottom - r.bottom);
	  const high = near(r.top, stage.top) && near(r.bottom, stage.bottom) && near(r.left - stage.left, stage.right - r.right);
	  return wide || high;
	})()`, name, label), 10*time.Second))
}

// A shared screen is a second picture in the room, large with the people beside it, and gone when it is stopped. Who looks at it can have
// one tile for themselves. The sound of a shared tab is the sharer's: the others hear it, also while their microphone is off, and they do not.
func TestScreenShare(t *testing.T) {
	h := webtest.Open(t, []settings.Room{{ID: "lab"}}, nil)
	link := h.Door.Addresses("lab")[0]
	ann := start(t, browser.Options{Color: red, Tone: 500})
	bob := start(t, browser.Options{Color: blue, Tone: 900})
	must(t, ann.Join(link, "Ann", ""))
	must(t, bob.Join(link, "Bob", ""))
	const shared = `[...call.people.values()].find((p) => p.name === 'Ann')?.streams.find((s) => s.label === 'screen')`
	for i := range 2 { // the second time by the same transceiver
		if i == 1 {
			must(t, ann.Eval(sharedTab, nil))
		}
		must(t, ann.Press("Share screen"))
		must(t, bob.WaitFor(shared+`?.video && `+shared+`.active && (`+shared+`.rect.Max.X - `+shared+`.rect.Min.X) > 900`, 40*time.Second))
		must(t, bob.WaitFor(`[...call.people.values()].every((p) => p.streams[0].rect.Min.X > 1000 && p.streams[0].rect.Max.X - p.streams[0].rect.Min.X > 150)`, 10*time.Second))
		must(t, bob.Screenshot(filepath.Join(artefacts(t), "screen.png")))
		if i == 1 {
			tabIsHeard(t, ann, bob)
			enlarges(t, ann, bob)
		} else {
			must(t, ann.Press("Stop sharing"))
		}
		must(t, bob.WaitFor(`!(`+shared+`)`, 20*time.Second))
	}
	heard(t, bob, 1500, false)
	must(t, ann.Press("Unmute"))
	heard(t, bob, 500, true)
	clean(t, ann)
	clean(t, bob)
}

func tabIsHeard(t *testing.T, ann, bob *browser.Browser) {
	t.Helper()
	must(t, ann.WaitFor(`wished.audio && wished.systemAudio === 'exclude' && wished.selfBrowserSurface === 'exclude'`, 5*time.Second))
	heard(t, bob, 1500, true)
	heard(t, bob, 500, true)
	heard(t, ann, 900, true)
	heard(t, ann, 1500, false)
	must(t, ann.Press("Mute"))
	heard(t, bob, 500, false)
	heard(t, bob, 1500, true)
}

// enlarges: with the keyboard, one tile and then another, which is followed when the layout changes; and all again.
func enlarges(t *testing.T, ann, bob *browser.Browser) {
	t.Helper()
	var before float64
	must(t, bob.Eval(`document.querySelector('.picture').getBoundingClientRect().width`, &before))
	tabTo(t, bob, "Enlarge Ann’s shared screen")
	must(t, bob.Keys("\r"))
	must(t, bob.WaitFor(`document.activeElement?.textContent === 'Show everybody' && /^Ann’s shared screen is enlarged/.test(document.querySelector('#status').textContent)`, 5*time.Second))
	fills(t, bob, "Ann", "screen")
	must(t, bob.Screenshot(filepath.Join(artefacts(t), "enlarged-screen.png")))
	axe(t, bob, "enlarged")
	must(t, bob.Keys(kb.Escape))
	must(t, bob.WaitFor(fmt.Sprintf(`document.activeElement?.getAttribute('aria-label') === 'Enlarge Ann’s shared screen' && Math.abs(document.querySelector('.picture').getBoundingClientRect().width - %f) < 2`, before), 5*time.Second))
	must(t, bob.Keys(kb.ArrowRight+kb.ArrowRight))
	must(t, bob.WaitFor(`document.activeElement?.getAttribute('aria-label') === 'Enlarge Bob'`, 5*time.Second))
	must(t, bob.Keys(kb.ArrowLeft+" "))
	fills(t, bob, "Ann", "main")
	must(t, bob.Screenshot(filepath.Join(artefacts(t), "enlarged-person.png")))
	must(t, ann.Press("Stop sharing"))
	must(t, bob.WaitFor(`[...call.people.values()][0].streams[0].rect.Max.X - [...call.people.values()][0].streams[0].rect.Min.X > 600`, 20*time.Second))
	fills(t, bob, "Ann", "main")
	must(t, bob.Press("Show everybody"))
	must(t, bob.WaitFor(`document.querySelector('.picture').style.transform === ''`, 5*time.Second))
	// By the list of people, too.
	must(t, bob.Press("Actions for Ann"))
	must(t, bob.Press("Enlarge for me"))
	fills(t, bob, "Ann", "main")
	must(t, bob.Press("Show everybody"))
}

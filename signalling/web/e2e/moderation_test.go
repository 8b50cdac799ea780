package e2e

import (
	"fmt"
	"image/color"
	"path/filepath"
	"testing"
	"time"

	"rendezvous/conference/settings"
	"rendezvous/internal/lab/browser"
	"rendezvous/signalling/web/webtest"
)

var green = color.RGBA{30, 140, 60, 255}

// mirror: the own camera is shown mirrored.
const mirror = `document.querySelector('.self video').checkVisibility() && document.querySelector('.self video').videoWidth > 0 && new DOMMatrix(getComputedStyle(document.querySelector('.self video')).transform).a === -1`

// A moderator runs a meeting by the page's buttons alone, and the others feel it.
func TestModeratorRunsTheMeeting(t *testing.T) {
	h := webtest.Open(t, []settings.Room{{ID: "lab", Title: "Weekly planning", PIN: "1234", ModeratorPIN: "4711"}}, nil)
	link := h.Door.Addresses("lab")[0]
	shots := artefacts(t)
	shot := func(b *browser.Browser, name string) {
		t.Helper()
		must(t, b.Screenshot(filepath.Join(shots, name+".png")))
	}

	ann := start(t, browser.Options{Color: red, Tone: 500})
	must(t, ann.Knock(link, "Ann Lee", "9999"))
	must(t, ann.WaitFor(`document.querySelector('#join-error:not([hidden])')`, 10*time.Second))
	shot(ann, "prejoin-wrong-pin")
	must(t, ann.Join(link, "Ann Lee", "4711"))

	bob := start(t, browser.Options{Color: blue, Tone: 900, Mobile: true})
	must(t, bob.Open(link))
	must(t, bob.WaitFor(`document.querySelector('.preview video')?.videoWidth > 0`, 20*time.Second))
	shot(bob, "prejoin-phone")
	axe(t, bob, "prejoin, phone")
	must(t, bob.Join(link, "Bob", "1234"))
	must(t, ann.WaitPeople(2, 20*time.Second))
	must(t, ann.WaitFor(`call.moderates`, 10*time.Second))
	sees(t, ann, "Bob", blue)

	// Chat, both ways.
	say(t, bob, "Good morning! Here are the notes: https://example.org/notes")
	must(t, ann.WaitFor(`document.querySelector('.badge:not([hidden])')?.textContent === '1'`, 10*time.Second))
	say(t, ann, "Thanks, Bob.")
	must(t, bob.WaitFor(`[...document.querySelectorAll('.said')].some((p) => p.textContent === 'Thanks, Bob.')`, 10*time.Second))
	shot(ann, "chat")
	shot(bob, "chat-phone")

	// A raised hand.
	must(t, bob.Press("Raise hand"))
	must(t, ann.Press("People"))
	must(t, ann.WaitFor(`document.querySelector('.person .hand:not([hidden])')`, 10*time.Second))
	shot(ann, "people-moderator")

	// A reaction comes to all; and who is called something else is so for all.
	must(t, bob.Press("React"))
	shot(bob, "react-phone")
	axe(t, bob, "reactions, phone")
	must(t, bob.Press("👏 Applause"))
	must(t, ann.WaitFor(`document.querySelector('.sign')?.textContent === '👏Bob' && /Bob.*applause/.test(document.querySelector('.reactions [role=status]').textContent)`, 10*time.Second))
	must(t, bob.Press("More"))
	must(t, bob.Press("Change your name…"))
	must(t, bob.Type("dialog[open] input", "Bobby\r"))
	must(t, ann.WaitFor(`[...document.querySelectorAll('.person .name')].some((e) => e.textContent === 'Bobby')`, 10*time.Second))
	must(t, bob.WaitFor(`call.me.name === 'Bobby' && localStorage.getItem('rendezvous.name') === 'Bobby'`, 10*time.Second))
	must(t, bob.Press("More"))
	must(t, bob.Press("Change your name…"))
	must(t, bob.Type("dialog[open] input", "Bob\r"))
	must(t, ann.WaitFor(`[...document.querySelectorAll('.person .name')].some((e) => e.textContent === 'Bob')`, 10*time.Second))
	// One's own camera is seen as in a mirror, in the room and in its lobby below, until one does not want it.
	must(t, bob.WaitFor(mirror, 10*time.Second))
	must(t, bob.Press("Hide your own camera"))
	must(t, bob.WaitFor(`document.querySelector('.self').hidden && localStorage.getItem('rendezvous.selfview') === 'off'`, 5*time.Second))

	// Muted: the tone is gone for the others, and Bob is told.
	heard(t, ann, 900, true)
	must(t, ann.Press("Actions for Bob"))
	must(t, ann.WaitFor(`document.querySelector('.menu')`, 5*time.Second))
	shot(ann, "people-menu")
	must(t, ann.Press("Mute"))
	must(t, bob.WaitFor(`document.querySelector('.control .label').textContent === 'Muted by moderator'`, 10*time.Second))
	heard(t, ann, 900, false)
	must(t, ann.Press("Actions for Bob"))
	must(t, ann.Press("Unmute"))
	must(t, bob.WaitFor(`document.querySelector('.control .label').textContent === 'Mute'`, 10*time.Second))
	heard(t, ann, 900, true)

	// The lobby: who waits is told nothing of the room.
	must(t, ann.Press("Manage"))
	shot(ann, "manage")
	must(t, ann.Press("Lobby"))
	must(t, ann.WaitFor(`call.room.lobby`, 10*time.Second))
	must(t, ann.Eval(`(() => { const start = OscillatorNode.prototype.start; window.notes = 0; OscillatorNode.prototype.start = function (...at) { notes++; return start.apply(this, at); }; })()`, nil))
	cid := start(t, browser.Options{Color: green, Tone: 1300, Dark: true})
	must(t, cid.Knock(link, "Cid", "1234"))
	must(t, cid.WaitFor(`call.phase === 'lobby' && document.querySelector('.cover:not([hidden]) .big')`, 20*time.Second))
	must(t, cid.WaitFor(mirror, 10*time.Second))
	must(t, ann.WaitFor(`notes === 2`, 10*time.Second)) // the sound of a knock
	shot(cid, "lobby-dark")
	axe(t, cid, "lobby")
	must(t, ann.Press("People"))
	axe(t, ann, "somebody waits")
	must(t, ann.Press("Manage"))
	var known int
	must(t, cid.Eval(`call.people.size`, &known))
	if known != 0 {
		t.Errorf("in the lobby the page knows of %d people", known)
	}
	must(t, ann.Press("People"))
	must(t, ann.Press("Admit Cid"))
	must(t, cid.WaitFor(`call.phase === 'in' && call.people.size === 3`, 20*time.Second))
	sees(t, ann, "Cid", green)
	admitted := time.Now()
	sees(t, cid, "Ann Lee", red)
	t.Logf("the admitted one sees the meeting after another %v", time.Since(admitted).Round(time.Millisecond))
	must(t, cid.Press("Chat"))
	must(t, cid.WaitFor(`document.querySelectorAll('.said').length === 2`, 10*time.Second)) // what was said before
	shot(cid, "meeting-dark")
	must(t, bob.Press("People"))
	shot(bob, "meeting-phone")

	// Locked: nobody else gets in, with the PIN or without.
	must(t, ann.Press("Manage"))
	must(t, ann.Press("Lock the room"))
	must(t, ann.WaitFor(`call.room.locked`, 10*time.Second))
	dan := start(t, browser.Options{Color: green, Width: 800, Height: 600})
	must(t, dan.Knock(link, "Dan", "1234"))
	must(t, dan.WaitFor(`/lock/i.test(document.querySelector('#join-error:not([hidden])')?.textContent)`, 15*time.Second))
	must(t, ann.Press("Lock the room"))

	// Removed, and banned: the same browser cannot come back under another name.
	must(t, ann.Press("People"))
	must(t, ann.Press("Actions for Bob"))
	must(t, ann.Press("Ban…"))
	must(t, ann.WaitFor(`document.querySelector('dialog[open]')`, 5*time.Second))
	axe(t, ann, "a question")
	must(t, ann.Press("Ban"))
	must(t, bob.WaitFor(`/removed/.test(document.querySelector('h1').textContent)`, 10*time.Second))
	shot(bob, "removed-phone")
	must(t, ann.WaitPeople(2, 10*time.Second))
	must(t, bob.Knock(link, "Robert", "1234"))
	must(t, bob.WaitFor(`/banned/i.test(document.querySelector('#join-error:not([hidden])')?.textContent)`, 15*time.Second))

	// Who has talked, and what was ordered, by whom.
	must(t, ann.Press("Manage"))
	must(t, ann.WaitFor(`/Ann Lee – \d+ %/.test(document.querySelector('[aria-label^="Talk time"]')?.textContent)`, 10*time.Second))
	must(t, ann.Eval(`document.querySelector('[aria-label="Talk time"]').scrollIntoView()`, nil))
	must(t, ann.Press("Show what was ordered"))
	must(t, ann.WaitFor(`[...document.querySelectorAll('[aria-label^="Orders"] li')].some((li) => /Ann Lee: mute on – Bob$/.test(li.textContent))`, 10*time.Second))
	shot(ann, "manage-log")
	axe(t, ann, "log")

	// The end, for all.
	must(t, ann.Press("End the meeting for all"))
	must(t, ann.Press("End for all"))
	for _, b := range []*browser.Browser{ann, cid} {
		must(t, b.WaitFor(`/ended/.test(document.querySelector('h1').textContent)`, 10*time.Second))
	}
	for _, b := range []*browser.Browser{ann, bob, cid, dan} {
		clean(t, b)
	}
}

// clean fails the test if the page threw, or broke its own content security policy.
func clean(t *testing.T, b *browser.Browser) {
	t.Helper()
	must(t, b.Failures())
}

func say(t *testing.T, b *browser.Browser, text string) {
	t.Helper()
	must(t, b.WaitFor(`document.querySelector('[data-pane=chat]')`, 5*time.Second))
	var open bool
	must(t, b.Eval(`document.querySelector('[data-pane=chat]').getAttribute('aria-expanded') === 'true'`, &open))
	if !open {
		must(t, b.Eval(`document.querySelector('[data-pane=chat]').click()`, nil))
	}
	must(t, b.Type(".chat-form textarea", text+"\r"))
}

// heard waits until a tone is there, or is gone, for somebody.
func heard(t *testing.T, b *browser.Browser, hz float64, want bool) {
	t.Helper()
	var got string
	for range 8 {
		s, err := b.Listen(browser.Stage, time.Second)
		must(t, err)
		level := s.Level(hz)
		got += fmt.Sprintf(" %.0f", level)
		if want == (level > -35) && want != (level < -60) {
			return
		}
	}
	t.Errorf("tone of %.0f Hz: want heard=%v, levels were%s dB", hz, want, got)
}

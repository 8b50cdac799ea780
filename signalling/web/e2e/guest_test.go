package e2e

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"rendezvous/conference"
	"rendezvous/conference/settings"
	"rendezvous/internal/eventually"
	"rendezvous/internal/lab/browser"
	"rendezvous/moderation"
	"rendezvous/signalling/web"
	"rendezvous/signalling/web/links"
	"rendezvous/signalling/web/webtest"
)

// tape is a recorder that keeps nothing.
type tape struct{}

func (tape) Start(context.Context, conference.RecordingRequest) (conference.Recording, error) {
	return tape{}, nil
}
func (tape) ID() string            { return "" }
func (tape) Pause() error          { return nil }
func (tape) Resume() error         { return nil }
func (tape) Stop() error           { return nil }
func (tape) Info(*conference.Info) {}
func (tape) Failed() <-chan error  { return nil }

// embedding is the page of docs/embedding.md, which has a room of a host in a frame.
func embedding(t *testing.T, host, room string) string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/embedding.md")
	must(t, err)
	example := regexp.MustCompile(`(?m)^    <!doctype html>\n(?:    .*\n)+`).FindString(string(text))
	if lines := strings.Count(example, "\n"); lines < 15 || lines > 25 {
		t.Fatalf("the example in docs/embedding.md has %d lines:\n%s", lines, example)
	}
	return strings.NewReplacer("https://meet.example.org", host, "${host}/r/main", room).Replace(example)
}

// What happens around the call: a guest reads that a room is recorded before they join, is invited by a link in the page and by a calendar,
// comes in by a frame of another site, and no more when the link was taken away.
func TestGuestsAndThoseWhoInviteThem(t *testing.T) {
	book, err := links.Open(filepath.Join(t.TempDir(), "links.json"))
	must(t, err)
	site := http.NewServeMux()
	intranet, other := httptest.NewServer(site), httptest.NewServer(site) // at 127.0.0.1, and the host at localhost: another site
	defer intranet.Close()
	defer other.Close()
	h := webtest.OpenRecording(t, tape{}, []settings.Room{
		{ID: "lab", Title: "Laboratory", PIN: "271828", ModeratorPIN: "471147", Recording: moderation.RecordOnOrder},
		{ID: "taped", Title: "Hearing", Recording: moderation.RecordAlways},
	}, func(c *web.Config) {
		c.JoinSecret, c.Links, c.Embed = []byte("0123456789abcdef"), book, []string{intranet.URL}
	})
	h.Door.SetAddresses(func(room string) []conference.Address {
		return []conference.Address{
			{Door: "web", Text: h.Door.URL() + "/r/" + room}, {Door: "sip", Text: "tel:+4930123456", Keys: "100#"},
			{Door: "sip", Text: "sip:" + room + "@meet.example.org"}, {Door: "jami", Text: strings.Repeat("0123456789", 4)},
		}
	})
	shots := artefacts(t)
	link := h.Door.Addresses("lab")[0]

	// Before joining: in a room that records by itself, and in one whose recording begins while they read.
	bob := start(t, browser.Options{Color: blue, Tone: 900, Mobile: true})
	must(t, bob.Open(h.Door.Addresses("taped")[0]))
	must(t, bob.Ready())
	must(t, bob.WaitFor(`document.querySelector('.recorded').checkVisibility() && /is recorded/.test(document.querySelector('.recorded').textContent)`, 5*time.Second))
	accessible(t, bob, "before a recorded meeting")
	must(t, bob.Screenshot(filepath.Join(shots, "prejoin-recorded-phone.png")))

	lea := start(t, browser.Options{Color: red, Tone: 500})
	must(t, lea.Join(link, "Lea", "471147"))

	// The invitation.
	must(t, lea.Press("More"))
	must(t, lea.Press("Invite others…"))
	must(t, lea.WaitFor(`[...document.querySelectorAll('dialog[open] .way')].map((w) => w.dataset.kind).join() === 'link,telephone,phone,jami,pin'`, 10*time.Second))
	must(t, lea.WaitFor(`document.querySelector('dialog textarea').value.includes('Telephone: +4930123456, then 100#') && document.querySelector('dialog textarea').value.includes('PIN: 271828')`, 5*time.Second))
	accessible(t, lea, "invitation")
	must(t, lea.Screenshot(filepath.Join(shots, "invite.png")))
	reflows(t, lea, "invite")
	must(t, lea.Eval(`(() => { const make = URL.createObjectURL; URL.createObjectURL = (b) => { b.text().then((text) => { window.saved = text; }); return make(b); }; })()`, nil))
	must(t, lea.Press("Save for the calendar"))
	must(t, lea.WaitFor(`window.saved?.startsWith('BEGIN:VCALENDAR\r\n') && /\r\nDTSTART:\d{8}T\d{6}Z\r\n/.test(saved)`, 10*time.Second))
	must(t, lea.WaitFor(`/^From .* to /m.test(document.querySelector('dialog textarea').value)`, 5*time.Second))
	must(t, lea.WaitFor(`document.querySelector('dialog .outcome').textContent === 'The calendar’s file is saved.'`, 5*time.Second))

	// A link is made by keyboard, and is there with who made it and until when.
	must(t, lea.Do(10*time.Second, chromedp.Focus(chromedp.CSS(".linkform select"))))
	must(t, lea.Keys(kb.Tab+kb.Tab+"Bob"+kb.Enter))
	must(t, lea.WaitFor(`/^Guests · Bobuntil .*made .* by Lea$/.test(document.querySelector('.links .who')?.textContent)`, 10*time.Second))
	must(t, lea.WaitFor(`document.activeElement.closest('.links') && document.activeElement.textContent === 'Copy'`, 5*time.Second))
	accessible(t, lea, "links")
	must(t, lea.Eval(`document.querySelector('.links').scrollIntoView()`, nil))
	must(t, lea.Screenshot(filepath.Join(shots, "links.png")))
	reflows(t, lea, "links")
	made := book.List("lab")
	if len(made) != 1 || made[0].By != "Lea" || made[0].Name != "Bob" || time.Until(made[0].Expires).Round(time.Hour) != 24*time.Hour {
		t.Fatalf("links: %+v", made)
	}

	// The frame of another site: what it asks for, and what it is told.
	invited := h.Door.LinkURL(made[0])
	page := embedding(t, h.Door.URL(), invited)
	site.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(page))
	})
	must(t, bob.Open(intranet.URL+"/"))
	must(t, bob.WaitFor(`document.getElementById('state').textContent === 'Lea, Bob'`, 45*time.Second))
	room, err := h.Host.Room("lab")
	must(t, err)
	selfMuted := func() bool {
		p, err := room.Info().Find("Bob")
		return err == nil && p.SelfMuted
	}
	must(t, bob.WaitFor(`document.getElementById('mute').textContent === 'Mute'`, 10*time.Second))
	heard(t, lea, 900, true)
	must(t, bob.Screenshot(filepath.Join(shots, "embedded.png")))
	must(t, bob.Press("Mute"))
	eventually.True(t, "muted from outside", selfMuted)
	must(t, bob.WaitFor(`document.getElementById('mute').textContent === 'Unmute'`, 10*time.Second))
	must(t, bob.Press("Unmute"))
	eventually.True(t, "and unmuted", func() bool { return !selfMuted() })
	must(t, bob.Press("Leave"))
	must(t, bob.WaitFor(`document.getElementById('state').textContent === 'The meeting is over: left'`, 10*time.Second))
	eventually.True(t, "out", func() bool { _, err := room.Info().Find("Bob"); return err != nil })
	clean(t, bob)
	// A site that is not in the list gets nothing to show, and a page that is not the frame's parent nothing done.
	must(t, bob.Open(other.URL+"/"))
	eventually.True(t, "the browser refuses", func() bool {
		return slices.ContainsFunc(bob.Console(), func(l string) bool { return strings.Contains(l, "frame-ancestors") })
	})

	// The recording begins while Bob reads; the page asks once more.
	bob2 := start(t, browser.Options{Color: blue, Tone: 900})
	must(t, bob2.Open(invited))
	must(t, bob2.Ready())
	must(t, bob2.Eval(`window.postMessage({rendezvous: 'join', name: 'Mallory'}, '*')`, nil))
	must(t, room.Order(conference.Operator{Role: moderation.Host}, moderation.Order{Action: moderation.Record, Text: "start"}))
	eventually.True(t, "recorded", func() bool { return room.Info().Recording == moderation.RecordingOn })
	must(t, lea.WaitFor(`[...document.querySelectorAll('.toast')].some((e) => /being recorded/.test(e.textContent))`, 10*time.Second))
	must(t, bob2.Enter("Bob", ""))
	must(t, bob2.WaitFor(`document.querySelector('.recorded').checkVisibility() && /being recorded now/.test(document.querySelector('#join-error').textContent)`, 10*time.Second))
	must(t, bob2.Screenshot(filepath.Join(shots, "prejoin-recorded.png")))
	accessible(t, bob2, "recorded meanwhile")
	reflows(t, bob2, "recorded")
	if n := len(room.Info().Participants); n != 1 {
		t.Errorf("%d are in the room", n)
	}
	must(t, bob2.Press("Join"))
	must(t, bob2.WaitFor(`window.call?.phase === 'in'`, 30*time.Second))

	// Taken away, the link lets nobody in; who is in stays.
	must(t, lea.Press("Revoke the link: Guests for Bob"))
	must(t, lea.WaitFor(`document.querySelectorAll('dialog[open]').length === 2`, 5*time.Second))
	must(t, lea.Press("Revoke"))
	must(t, lea.WaitFor(`!document.querySelector('.links li') && document.activeElement.id === 'i-links'`, 10*time.Second))
	must(t, bob2.WaitFor(`call.phase === 'in'`, time.Second))
	must(t, bob2.Press("Leave"))
	must(t, bob2.Open(h.Door.URL()+"/"))
	must(t, bob2.Open(invited))
	must(t, bob2.Enter("Bob", ""))
	must(t, bob2.WaitFor(`/revoked/.test(document.querySelector('#join-error:not([hidden])')?.textContent)`, 15*time.Second))
	clean(t, bob2)
	clean(t, lea)
}

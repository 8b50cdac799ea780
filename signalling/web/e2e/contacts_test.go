package e2e

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"rendezvous/conference/settings"
	"rendezvous/internal/lab/browser"
	"rendezvous/signalling/web"
	"rendezvous/signalling/web/control"
	"rendezvous/signalling/web/webtest"
)

// askers are accounts that ask to be contacts of a room.
type askers struct {
	control.Contacts // the page needs only what is below

	mu       sync.Mutex // guards the rest
	waiting  []control.ContactRequest
	accepted []string
}

func (a *askers) Requests(string) ([]control.ContactRequest, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.waiting), nil
}

func (a *askers) Discard(_, id string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.IndexFunc(a.waiting, func(r control.ContactRequest) bool { return r.ID == id })
	if i < 0 {
		return fmt.Errorf("request of %s: %w", id, control.ErrNotFound)
	}
	a.waiting = slices.Delete(a.waiting, i, i+1)
	return nil
}

func (a *askers) Accept(room, id string) error {
	if err := a.Discard(room, id); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.accepted = append(a.accepted, id)
	return nil
}

func (a *askers) Ban(room, id string) error { return a.Discard(room, id) }

// A moderator's page shows who asks to be a contact, and decides; others are told nothing.
func TestContactRequestsOnThePage(t *testing.T) {
	a := &askers{waiting: []control.ContactRequest{
		{ID: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", Name: "Petra <b>Eins</b>", Received: time.Now()},
		{ID: "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", Received: time.Now()},
	}}
	h := webtest.Open(t, []settings.Room{{ID: "lab", Title: "Laboratory", ModeratorPIN: "4711"}}, func(c *web.Config) { c.Contacts = a })
	link := h.Door.Addresses("lab")[0]
	ann, bob := start(t, browser.Options{Color: red}), start(t, browser.Options{Color: blue})
	must(t, ann.Join(link, "Ann", "4711"))
	must(t, bob.Join(link, "Bob", ""))
	must(t, ann.WaitFor(`[...document.querySelectorAll('.request .name')].map((e) => e.textContent).join() === 'Petra <b>Eins</b>,Without a name'`, 10*time.Second))
	must(t, ann.Screenshot(filepath.Join(artefacts(t), "contact-requests.png")))
	must(t, ann.Press("Accept Petra <b>Eins</b>"))
	must(t, ann.WaitFor(`document.querySelectorAll('.request').length === 1`, 10*time.Second))
	must(t, ann.Press("Discard Without a name"))
	must(t, ann.WaitFor(`document.querySelector('section[aria-label="Contact requests"]').hidden`, 10*time.Second))
	if got, _ := a.Requests("lab"); len(got) != 0 || !slices.Equal(a.accepted, []string{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}) {
		t.Errorf("waiting %v, accepted %v", got, a.accepted)
	}

	// Bob's page shows none, and may neither ask nor decide.
	a.mu.Lock()
	a.waiting = []control.ContactRequest{{ID: "cccccccccccccccccccccccccccccccccccccccc", Name: "Carl", Received: time.Now()}}
	a.mu.Unlock()
	must(t, bob.Eval(`(call.addEventListener('contacts', (e) => { window.got = e.detail.length; }), call.askContacts(), 0)`, nil))
	must(t, bob.WaitFor(`window.got === 0`, 10*time.Second))
	must(t, bob.Eval(`(call.decideContact('cccccccccccccccccccccccccccccccccccccccc', 'accept').then((r) => { window.answer = r; }), 0)`, nil))
	must(t, bob.WaitFor(`window.answer && !window.answer.ok && /moderators/.test(window.answer.text)`, 10*time.Second))
	if got, _ := a.Requests("lab"); len(got) != 1 {
		t.Errorf("a participant has decided: %v", got)
	}
	for _, b := range []*browser.Browser{ann, bob} {
		clean(t, b)
	}
}

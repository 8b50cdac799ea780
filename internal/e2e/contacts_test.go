package e2e

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rendezvous/internal/lab/browser"
	"rendezvous/internal/lab/jamilab"
)

// asks has a daemon ask the room to be a contact, as its client would.
func asks(t *testing.T, ctx context.Context, p *jamilab.Peer, room, name string) {
	t.Helper()
	if err := p.Call(ctx, "ConfigurationManager.addContact", []any{p.Account, room}); err != nil {
		t.Fatal(err)
	}
	card := []byte("BEGIN:VCARD\nVERSION:2.1\nFN:" + name + "\nEND:VCARD")
	if err := p.Call(ctx, "ConfigurationManager.sendTrustRequest", []any{p.Account, room, card}); err != nil {
		t.Fatal(err)
	}
}

// requests are what `requests --json` lists: names by account.
func (h *host) requests(t *testing.T) map[string]string {
	t.Helper()
	out, err := h.ask("requests", "main", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var list []struct{ ID, Name string }
	if err := json.Unmarshal(out, &list); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	names := map[string]string{}
	for _, r := range list {
		names[r.ID] = r.Name
	}
	return names
}

// Real daemons ask to be contacts: a moderator accepts one on the page, another is accepted on
// the command line, a third is banned and can call no longer. Then the account moves: a daemon
// is started from the backup of the room, and the room from the backup of a daemon.
func TestContactsAndBackups(t *testing.T) {
	t.Parallel() // daemons mostly wait
	jamilab.Run(t, jamilab.Options{Peers: 4, Bare: []int{4}}, func(t *testing.T, l *jamilab.Lab) {
		ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
		defer cancel()
		h := startHost(t, "RENDEZVOUS_JAMI_ENABLED=true", "RENDEZVOUS_JAMI_BOOTSTRAP="+jamilab.Bootstrap, "RENDEZVOUS_JAMI_STUN=",
			"RENDEZVOUS_BACKUP_PASSWORD=not for the host", "RENDEZVOUS_DRAIN=3s") // Ann stays through the restarts
		id := h.jamiID(t)
		p1, p2, p3, p4 := l.Peer(1), l.Peer(2), l.Peer(3), l.Peer(4)
		if err := jamilab.Accounts(ctx, l.Peers()[:3]...); err != nil {
			t.Fatal(err)
		}
		ann, err := browser.Start(ctx, browser.Options{Color: red})
		if err != nil {
			t.Fatal(err)
		}
		defer ann.Close()
		link, err := h.ask("link", "main")
		if err != nil {
			t.Fatal(err)
		}
		check := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		check(ann.Join(strings.TrimSpace(string(link)), "Ann", ""))
		check(ann.WaitFor(`call.moderates`, 20*time.Second))

		// The page shows the room's id and its code.
		check(ann.Press("More"))
		check(ann.Press("Invite others…"))
		check(ann.WaitFor(`document.querySelector('.way[data-kind=jami] code')?.textContent === '`+id+`' &&
			document.querySelector('.way[data-kind=jami] .qr path')?.getAttribute('d').length > 500`, 10*time.Second))
		check(ann.Screenshot(filepath.Join(artefacts(t), "invite.png")))
		check(ann.Press("Close"))

		asks(t, ctx, p1, id, "Petra Eins")
		check(ann.WaitFor(`[...document.querySelectorAll('.toast')].some((e) => /Petra Eins\u2069 asks/.test(e.textContent))`, 60*time.Second))
		check(ann.Press("Show"))
		check(ann.WaitFor(`document.querySelector('.request .name')?.textContent === 'Petra Eins'`, 10*time.Second))
		check(ann.Screenshot(filepath.Join(artefacts(t), "contact-request.png")))
		if got := h.requests(t); got[p1.URI] != "Petra Eins" {
			t.Errorf("on the command line: %v", got)
		}
		check(ann.Press("Accept Petra Eins"))
		accepted := func(p *jamilab.Peer) {
			t.Helper()
			if _, err := p.Wait(ctx, 0, "contactAdded", func(s jamilab.Signal) bool {
				return s.Text(1) == id && len(s.Args) > 2 && s.Args[2] == true
			}); err != nil {
				t.Errorf("%s is not told that it is a contact: %v", p.Name(), err)
			}
		}
		accepted(p1)
		check(ann.WaitFor(`document.querySelectorAll('.request').length === 0`, 10*time.Second))

		asks(t, ctx, p2, id, "")
		asks(t, ctx, p3, id, "Nuisance")
		for end := time.Now().Add(time.Minute); len(h.requests(t)) < 2; time.Sleep(200 * time.Millisecond) { // between two looks
			if time.Now().After(end) {
				t.Fatalf("of two requests came %v", h.requests(t))
			}
		}
		// They outlive a restart.
		h.stop()
		h.start()
		if got := h.requests(t); len(got) != 2 {
			t.Errorf("after a restart wait %v", got)
		}
		if _, err := h.ask("contact", "accept", "main", p2.URI); err != nil {
			t.Error(err)
		}
		accepted(p2)
		if _, err := h.ask("contact", "ban", "main", "jami:"+p3.URI); err != nil {
			t.Error(err)
		}
		if _, err := h.ask("contact", "discard", "main", p3.URI); err == nil || !strings.Contains(err.Error(), "no such contact request") {
			t.Errorf("a request that is decided is discarded: %v", err)
		}
		out, err := h.ask("contacts", "main")
		if err != nil || strings.Count(string(out), "confirmed") != 2 || !strings.Contains(string(out), p3.URI+"  -") {
			t.Errorf("contacts: %v\n%s", err, out)
		}
		call, err := p3.PlaceCall(ctx, id, jamilab.Media(nil))
		check(err)
		short, stop := context.WithTimeout(ctx, 8*time.Second)
		defer stop()
		if err := p3.WaitCall(short, call, "CURRENT"); err == nil {
			t.Error("a banned account is in the room")
		}

		// The room's backup starts a daemon.
		secret := filepath.Join(h.dir, "password")
		check(os.WriteFile(secret, []byte("open sesame\nthe rest is not read\n"), 0o600))
		file := filepath.Join(h.dir, "room.gz")
		if _, err := h.ask("account", "export", "main", file, "--password-file", secret); err != nil {
			t.Fatal(err)
		}
		if _, err := h.ask("account", "export", "main", file, "--password-file", secret); err == nil {
			t.Error("a file is overwritten without being asked")
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the backup: %v, %v", info, err)
		}
		if _, err := h.ask("account", "import", "main", file, "--password-file", secret, "--replace"); err == nil || !strings.Contains(err.Error(), "another host") {
			t.Errorf("an account is imported into a running host: %v", err)
		}
		check(p4.NewAccount(ctx, "moved", map[string]string{"Account.archivePath": file, "Account.archivePassword": "open sesame"}))
		if p4.URI != id {
			t.Errorf("the daemon has the account %s, the room %s", p4.URI, id)
		}

		// And a daemon's backup a room.
		var done bool
		theirs := filepath.Join(h.dir, "p1.gz")
		if err := p1.Call(ctx, "ConfigurationManager.exportToFile", []any{p1.Account, theirs, ""}, &done); err != nil || !done {
			t.Fatalf("the daemon exports nothing: %v", err)
		}
		h.stop()
		check(os.WriteFile(secret, nil, 0o600))
		if _, err := h.ask("account", "import", "main", theirs, "--password-file", secret); err == nil || !strings.Contains(err.Error(), "has an account already") {
			t.Errorf("an account is imported over another: %v", err)
		}
		if _, err := h.ask("account", "import", "main", theirs, "--password-file", secret, "--replace"); err != nil {
			t.Fatal(err)
		}
		check(p1.Stop()) // else both would ring
		h.start()
		if got := h.jamiID(t); got != p1.URI {
			t.Fatalf("the room has the id %s, its backup was of %s", got, p1.URI)
		}
		// Who dials before finds only the device that is gone.
		h.Await(`"Jami account announced"`)
		call, err = p2.PlaceCall(ctx, p1.URI, jamilab.Media(nil))
		check(err)
		check(p2.WaitCall(ctx, call, "CURRENT"))
	})
}

package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"rendezvous/conference/settings"
	"rendezvous/dht/identity"
	"rendezvous/dht/value"
	"rendezvous/internal/eventually"
	"rendezvous/internal/lab/jamilab"
	"rendezvous/signalling/jami/account"
	"rendezvous/signalling/jami/account/accounttest"
	"rendezvous/signalling/jami/connection/mux"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inLab runs a test in a lab of its own, beside others: daemons mostly wait.
func inLab(t *testing.T, o jamilab.Options, test func(t *testing.T, ctx context.Context, l *jamilab.Lab)) {
	t.Parallel()
	jamilab.Run(t, o, func(t *testing.T, l *jamilab.Lab) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		test(t, ctx, l)
	})
}

// pair is a daemon's account, and one of ours that is published.
func pair(t *testing.T, l *jamilab.Lab) (*jamilab.Peer, *account.Account) {
	t.Helper()
	p := jamid(t, l, 1)
	h := accounttest.NewHost(t, ":0", jamilab.Bootstrap)
	a := h.Open(t, account.Config{})
	accounttest.Start(t, a)
	return p, a
}

// jamid is a daemon with an account.
func jamid(t *testing.T, l *jamilab.Lab, i int) *jamilab.Peer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), accounttest.Patience)
	defer cancel()
	if err := jamilab.Accounts(ctx, l.Peer(i)); err != nil {
		t.Fatal(err)
	}
	return l.Peer(i)
}

// newJamid is a daemon that makes an account as details say.
func newJamid(t *testing.T, l *jamilab.Lab, i int, details map[string]string) *jamilab.Peer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), accounttest.Patience)
	defer cancel()
	p := l.Peer(i)
	if err := p.NewAccount(ctx, p.Name(), details); err != nil {
		t.Fatal(err)
	}
	return p
}

// rings has a daemon call an account that is also ours, and waits until the call arrives.
func rings(t *testing.T, ctx context.Context, p *jamilab.Peer, account string, calls <-chan accounttest.Arrival) (call string, c accounttest.Arrival) {
	t.Helper()
	start := time.Now()
	call, err := p.PlaceCall(ctx, account, jamilab.Media(nil))
	if err != nil {
		t.Fatal(err)
	}
	c = accounttest.Next(t, calls, "INVITE", nil)
	t.Logf("%q from %s after %v", c.First, c.Peer.Account, c.At.Sub(start))
	return call, c
}

func hangUp(t *testing.T, p *jamilab.Peer, call string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), accounttest.Patience)
	defer cancel()
	if err := p.HangUp(ctx, call); err != nil {
		t.Fatal(err)
	}
	if err := p.WaitCall(ctx, call, "OVER"); err != nil {
		t.Fatal(err)
	}
}

// deviceOf finds the daemon's device, as one that was never heard of has to be:
// by its account. (Daemons of 2023 publish nothing under the long id.)
func deviceOf(t *testing.T, a *account.Account, p *jamilab.Peer) identity.KeyIDs {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), accounttest.Patience)
	defer cancel()
	for d, err := range a.Devices(ctx, accounttest.Key(t, p.URI)) {
		if err == nil && d.Device.Long.String() == p.Device {
			return d.Device
		}
	}
	t.Fatalf("%s has no device on the DHT", p.Name())
	return identity.KeyIDs{}
}

// disconnect ends all connections of an account.
func disconnect(t *testing.T, a *account.Account) {
	t.Helper()
	for _, p := range []account.Policy{{Admission: settings.CallsList}, {}} { // nobody, and everybody again
		if err := a.SetPolicy(p); err != nil {
			t.Fatal(err)
		}
	}
}

// disconnected ends all connections of an account, and waits until the daemon, which has one, has seen it: until then it
// sends calls into it, and gives them up when it does.
func disconnected(t *testing.T, a *account.Account, p *jamilab.Peer) {
	t.Helper()
	const seen = "[TLS] eof"
	before, err := p.LogCount(seen)
	if err != nil {
		t.Fatal(err)
	}
	disconnect(t, a)
	eventually.True(t, "the daemon sees that the connection has ended", func() bool {
		n, err := p.LogCount(seen)
		return err == nil && n > before
	})
}

// opens opens a channel to a device and closes it again, which proves that the
// connection works.
func opens(t *testing.T, a *account.Account, to *jamilab.Peer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), accounttest.Patience)
	defer cancel()
	id := deviceOf(t, a, to)
	ch, err := a.OpenChannel(ctx, id, "sip", "audioCall")
	if err != nil {
		t.Fatal(err)
	}
	ch.Close()
}

// A daemon finds our account, connects, and its INVITE arrives; then the same
// the other way.
func TestJamidCallsUsAndWeJamid(t *testing.T) {
	inLab(t, jamilab.Options{Peers: 1}, func(t *testing.T, ctx context.Context, l *jamilab.Lab) {
		p := jamid(t, l, 1)
		h := accounttest.NewHost(t, ":0", jamilab.Bootstrap)
		a := h.Open(t, account.Config{KeyBits: identity.DefaultKeyBits})
		calls := accounttest.Calls(a)
		start := time.Now()
		accounttest.Start(t, a)
		t.Logf("published after %v", time.Since(start))

		call, c := rings(t, ctx, p, a.ID().String(), calls)
		if !strings.HasPrefix(c.First, "INVITE ") {
			t.Errorf("first line %q", c.First)
		}
		if c.Peer.Account.String() != p.URI || c.Peer.Device.Long.String() != p.Device {
			t.Errorf("peer is %s %s, want %s %s", c.Peer.Account, c.Peer.Device, p.URI, p.Device)
		}

		t.Logf("serials of the daemon's chain: %v %v %v", c.Peer.Chain[0].Serial, c.Peer.Chain[1].Serial, c.Peer.Chain[2].Serial)
		hangUp(t, p, call)

		// The other way, on a connection of our own asking.
		disconnect(t, a)
		start = time.Now()
		n := 0
		for device, err := range a.Devices(ctx, accounttest.Key(t, p.URI)) {
			if err != nil {
				t.Fatal(err)
			}
			ch, err := a.OpenChannel(ctx, device.Device, "sip", "audioCall")
			if err != nil {
				t.Fatal(err)
			}
			n++
			t.Logf("sip channel to %s after %v", ch.Peer().Device, time.Since(start))
			ch.SetDeadline(time.Now().Add(accounttest.Patience))
			fmt.Fprintf(ch, "OPTIONS sips:%s@%s;transport=tls SIP/2.0\r\nVia: SIP/2.0/TLS 10.77.0.3:5061;branch=z9hG4bKtest1\r\n"+
				"From: <sip:%s@ring.dht>;tag=1\r\nTo: <sip:%s@ring.dht>\r\nCall-ID: 1@test\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
				p.URI, "10.77.0.11:5061", a.ID(), p.URI)
			line, err := bufio.NewReader(ch).ReadString('\n')
			if err != nil || !strings.HasPrefix(line, "SIP/2.0 ") {
				t.Errorf("answer %q, %v", line, err)
			}
			t.Logf("jamid answers %q", strings.TrimSpace(line))
			ch.Close()
		}
		if n != 1 {
			t.Errorf("%d channels", n)
		}
		// It knows how to say no, and that it is there.
		peer := a.Connected()[0]
		if _, err := a.OpenChannel(ctx, peer.Device, "vcard://x", ""); !errors.Is(err, mux.ErrDeclined) {
			t.Errorf("unknown channel: %v", err)
		}
		if _, err := a.OpenChannel(ctx, peer.Device, "data-transfer://"+a.ID().String()+"/"+p.Device+"/1", ""); !errors.Is(err, mux.ErrDeclined) {
			t.Errorf("file of a conversation that is none: %v", err)
		}
	})
}

// A daemon whose network changed asks whether we are there, and keeps the
// connection because we answer.
func TestJamidBeacon(t *testing.T) {
	inLab(t, jamilab.Options{Peers: 1}, func(t *testing.T, ctx context.Context, l *jamilab.Lab) {
		p, a := pair(t, l)
		opens(t, a, p)
		if err := p.Call(ctx, "ConfigurationManager.connectivityChanged", nil); err != nil {
			t.Fatal(err)
		}
		// Its accounttest.Patience is three seconds.
		end := time.Now().Add(4 * time.Second)
		for time.Now().Before(end) {
			if len(a.Connected()) == 0 {
				t.Fatal("the daemon gave us up")
			}
			time.Sleep(50 * time.Millisecond)
		}
		opens(t, a, p)
	})
}

// A cable out: both ends notice in their time, and when it is back a new
// connection comes about at once.
func TestJamidLinkCut(t *testing.T) {
	inLab(t, jamilab.Options{Peers: 1}, func(t *testing.T, ctx context.Context, l *jamilab.Lab) {
		p, a := pair(t, l)
		calls := accounttest.Calls(a)
		id := deviceOf(t, a, p)
		opens(t, a, p)
		if err := l.Link("p1", false); err != nil {
			t.Fatal(err)
		}
		// We try to talk to it, and find out by the beacon.
		cut, stop := context.WithTimeout(ctx, 12*time.Second)
		start := time.Now()
		time.Sleep(6 * time.Second) // longer than a connection is trusted without a word
		if _, err := a.OpenChannel(cut, id, "sip", ""); err == nil {
			t.Fatal("opened a channel through a cut cable")
		}
		stop()
		t.Logf("given up after %v", time.Since(start))
		if err := l.Link("p1", true); err != nil {
			t.Fatal(err)
		}
		start = time.Now()
		for {
			try, stop := context.WithTimeout(ctx, 10*time.Second)
			ch, err := a.OpenChannel(try, id, "sip", "")
			stop()
			if err == nil {
				ch.Close()
				break
			}
			if ctx.Err() != nil {
				t.Fatal(err)
			}
		}
		t.Logf("connected again %v after the cable was back", time.Since(start))
		// The daemon must not take the connection that was cut for alive.
		call, _ := rings(t, ctx, p, a.ID().String(), calls)
		hangUp(t, p, call)
	})
}

// The account is stopped and started: same id, and a daemon's next call
// arrives.
func TestJamidAndRestart(t *testing.T) {
	inLab(t, jamilab.Options{Peers: 1}, func(t *testing.T, ctx context.Context, l *jamilab.Lab) {
		p := jamid(t, l, 1)
		dir := t.TempDir()
		var id value.Key
		for round := range 2 {
			h := accounttest.NewHost(t, ":0", jamilab.Bootstrap)
			a := h.Open(t, account.Config{Dir: dir})
			calls := accounttest.Calls(a)
			accounttest.Start(t, a)
			if round > 0 && a.ID() != id {
				t.Fatal("another id after the restart")
			}
			id = a.ID()
			call, _ := rings(t, ctx, p, a.ID().String(), calls)
			hangUp(t, p, call)
			a.Close()
			h.Listener.Close()
			h.Node.Close()
		}
	})
}

// account.Contact requests both ways, and presence as both see it.
func TestJamidTrustAndPresence(t *testing.T) {
	inLab(t, jamilab.Options{Peers: 2}, func(t *testing.T, ctx context.Context, l *jamilab.Lab) {
		p, q := jamid(t, l, 1), jamid(t, l, 2)
		h := accounttest.NewHost(t, ":0", jamilab.Bootstrap)
		a := h.Open(t, account.Config{Policy: account.Policy{Admission: settings.CallsContacts, Requests: settings.RequestsModerated}})
		requests := make(chan account.TrustRequest, 4)
		contacts := make(chan account.Contact, 4)
		a.OnTrustRequest(func(r account.TrustRequest) { requests <- r })
		a.OnContact(func(c account.Contact) { contacts <- c })
		accounttest.Start(t, a)

		// The daemon asks, a moderator accepts.
		mark := p.Mark()
		if err := p.Call(ctx, "ConfigurationManager.addContact", []any{p.Account, a.ID().String()}); err != nil {
			t.Fatal(err)
		}
		if err := p.Call(ctx, "ConfigurationManager.sendTrustRequest", []any{p.Account, a.ID().String(), []byte("BEGIN:VCARD\nFN:p1\nEND:VCARD")}); err != nil {
			t.Fatal(err)
		}
		r := accounttest.Next(t, requests, "contact request", nil)
		if r.Account.String() != p.URI || r.Conversation == "" {
			t.Errorf("request %+v", r)
		}
		if err := a.AcceptTrustRequest(r.Account); err != nil {
			t.Fatal(err)
		}
		if c := accounttest.Next(t, contacts, "contact", nil); c.Account != r.Account || !c.Confirmed {
			t.Errorf("contact %+v", c)
		}
		if _, err := p.Wait(ctx, mark, "contactAdded", func(s jamilab.Signal) bool {
			return s.Text(1) == a.ID().String() && len(s.Args) > 2 && s.Args[2] == true
		}); err != nil {
			t.Error(err)
		}

		// We ask the other one.
		mark = q.Mark()
		if err := a.SendTrustRequest(ctx, accounttest.Key(t, q.URI), ""); err != nil {
			t.Fatal(err)
		}
		s, err := q.Wait(ctx, mark, "incomingTrustRequest", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s sees %v", q.Name(), s)
		if s.Text(2) != a.ID().String() {
			t.Errorf("from %q", s.Text(2))
		}

		// Presence: ours at the daemon, and the daemon's at ours.
		if err := p.Call(ctx, "PresenceManager.subscribeBuddy", []any{p.Account, a.ID().String(), true}); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Wait(ctx, 0, "newBuddyNotification", func(s jamilab.Signal) bool { return s.Text(1) == a.ID().String() }); err != nil {
			t.Errorf("the daemon does not see us online: %v", err)
		}
		online, err := a.WatchPresence(ctx, accounttest.Key(t, p.URI))
		if err != nil {
			t.Fatal(err)
		}
		if !accounttest.Next(t, online, "presence of the daemon", nil) {
			t.Error("offline")
		}

		// Bans hold by account.
		if err := a.Ban(accounttest.Key(t, p.URI)); err != nil {
			t.Fatal(err)
		}
		if a.Admits(accounttest.Key(t, p.URI)) {
			t.Error("banned account is admitted")
		}
	})
}

// A daemon reads the backup of our account and becomes another device of it.
func TestJamidImportsOurBackup(t *testing.T) {
	inLab(t, jamilab.Options{Peers: 2, Bare: []int{1}}, func(t *testing.T, ctx context.Context, l *jamilab.Lab) {
		h := accounttest.NewHost(t, ":0", jamilab.Bootstrap)
		a := h.Open(t, account.Config{})
		calls := accounttest.Calls(a)
		accounttest.Start(t, a)
		backup, err := a.Export("a password")
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "backup.gz")
		if err := os.WriteFile(file, backup, 0o600); err != nil {
			t.Fatal(err)
		}
		p := newJamid(t, l, 1, map[string]string{"Account.archivePath": file, "Account.archivePassword": "a password"})
		if p.URI != a.ID().String() {
			t.Fatalf("the daemon has account %s, ours is %s", p.URI, a.ID())
		}
		if p.Device == a.Device().Long.String() {
			t.Fatal("the daemon took our device's key")
		}
		// Now the account has two devices; callers reach ours all the same.
		devices := map[string]bool{}
		for d, err := range a.Devices(ctx, a.ID()) {
			if err != nil {
				t.Fatal(err)
			}
			devices[d.Device.Long.String()] = true
		}
		if len(devices) != 1 || !devices[p.Device] {
			t.Errorf("other devices %v", devices)
		}
		q := jamid(t, l, 2)
		if _, c := rings(t, ctx, q, a.ID().String(), calls); c.Peer.Account.String() != q.URI {
			t.Errorf("call from %s", c.Peer.Account)
		}
		// And who calls the account from here reaches both devices.
		b := h.Open(t, account.Config{})
		accounttest.Start(t, b)
		reached := map[string]bool{}
		for device, err := range b.Devices(ctx, a.ID()) {
			if err != nil {
				t.Fatal(err)
			}
			ch, err := b.OpenChannel(ctx, device.Device, "sip", "audioCall")
			if err != nil {
				t.Fatal(err)
			}
			reached[ch.Peer().Device.Long.String()] = ch.Peer().Account == a.ID()
			ch.Close()
		}
		if len(reached) != 2 || !reached[p.Device] || !reached[a.Device().Long.String()] {
			t.Errorf("reached %v", reached)
		}
	})
}

// We read a daemon's own backup and become another device of its account.
func TestWeImportAJamidsBackup(t *testing.T) {
	inLab(t, jamilab.Options{Peers: 2, Bare: []int{1}}, func(t *testing.T, ctx context.Context, l *jamilab.Lab) {
		p, q := newJamid(t, l, 1, map[string]string{"Account.archivePassword": "a password"}), jamid(t, l, 2)
		if err := p.Call(ctx, "ConfigurationManager.addContact", []any{p.Account, q.URI}); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "backup.gz")
		var done bool
		if err := p.Call(ctx, "ConfigurationManager.exportToFile", []any{p.Account, file, "a password"}, &done); err != nil || !done {
			t.Fatalf("the daemon exports nothing: %v, %v", done, err)
		}
		backup, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := account.Import(dir, backup, "another"); !errors.Is(err, account.ErrArchive) {
			t.Errorf("with a wrong password: %v", err)
		}
		if err := account.Import(dir, backup, "a password"); err != nil {
			t.Fatal(err)
		}
		h := accounttest.NewHost(t, ":0", jamilab.Bootstrap)
		a := h.Open(t, account.Config{Dir: dir})
		if a.ID().String() != p.URI || a.Device().Long.String() == p.Device {
			t.Fatalf("account %s, device %s; the daemon's are %s, %s", a.ID(), a.Device(), p.URI, p.Device)
		}
		if c := a.Contacts(); len(c) != 1 || c[0].Account.String() != q.URI {
			t.Errorf("contacts %+v", c)
		}
		calls := accounttest.Calls(a)
		accounttest.Start(t, a)
		if _, c := rings(t, ctx, q, p.URI, calls); c.Peer.Account.String() != q.URI {
			t.Errorf("call from %s", c.Peer.Account)
		}
	})
}

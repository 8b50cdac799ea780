package account_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"rendezvous/conference/settings"
	"rendezvous/dht"
	"rendezvous/dht/identity/identitytest"
	"rendezvous/dht/msgpack"
	"rendezvous/dht/value"
	"rendezvous/signalling/jami/account"
	"rendezvous/signalling/jami/account/accounttest"
	"rendezvous/signalling/jami/connection"
	"rendezvous/signalling/jami/connection/mux"
)

// keys are those of the tests' accounts: making them takes a while.
var keys = identitytest.Accounts(3)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestHundredMegabytesBetweenAccounts(t *testing.T) {
	h := accounttest.Loopback(t, keys()[:2]...)
	a, b := h[0].Open(t, account.Config{}), h[1].Open(t, account.Config{})
	const size = 100 << 20
	b.HandleChannel("data-transfer://", connection.Handler{Serve: func(ch *connection.Channel) {
		sum := sha256.New()
		if _, err := io.CopyN(sum, ch, size); err != nil {
			return
		}
		ch.Write(sum.Sum(nil))
	}})
	accounttest.Start(t, a)
	accounttest.Start(t, b)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	ch, err := a.OpenChannel(ctx, b.Device(), "data-transfer://x/y/z", "")
	if err != nil {
		t.Fatal(err)
	}
	ch.SetDeadline(time.Now().Add(2 * time.Minute))
	block := bytes.Repeat([]byte("0123456789abcde\n"), 1<<14)
	want := sha256.New()
	start := time.Now()
	for n := 0; n < size; n += len(block) {
		want.Write(block)
		if _, err := ch.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	got := make([]byte, sha256.Size)
	if _, err := io.ReadFull(ch, got); err != nil || !bytes.Equal(got, want.Sum(nil)) {
		t.Fatalf("%x, %v", got, err)
	}
	t.Logf("100 MB in %v", time.Since(start))
}

// refusals are the metrics of an account, by which it tells whom it has refused.
type refusals struct {
	registry *prometheus.Registry
	metrics  *connection.Metrics
}

func newRefusals(t *testing.T) refusals {
	t.Helper()
	r := prometheus.NewRegistry()
	m, err := connection.NewMetrics(r)
	if err != nil {
		t.Fatal(err)
	}
	return refusals{r, m}
}

// count is how often somebody was refused because they may not connect.
func (r refusals) count(t *testing.T) (n float64) {
	t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			if f.GetName() == "rendezvous_jami_refused_total" && m.Label[0].GetValue() == "not_allowed" {
				n += m.Counter.GetValue()
			}
		}
	}
	return n
}

// call has somebody call a room, and gives up when it has refused them: they would hear nothing.
func (r refusals) call(t *testing.T, caller, room *account.Account) (*connection.Channel, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), accounttest.Patience)
	defer cancel()
	before := r.count(t)
	var ch *connection.Channel
	opened := make(chan error, 1)
	go func() {
		var err error
		ch, err = caller.OpenChannel(ctx, room.Device(), "sip", "audioCall")
		opened <- err
	}()
	for {
		select {
		case err := <-opened:
			return ch, err
		case <-time.After(5 * time.Millisecond):
			if r.count(t) > before {
				cancel()
			}
		}
	}
}

// refused has somebody call a room that must refuse them.
func (r refusals) refused(t *testing.T, caller, room *account.Account) {
	t.Helper()
	before := r.count(t)
	if _, err := r.call(t, caller, room); err == nil || r.count(t) == before {
		t.Fatalf("not refused: %v", err)
	}
}

func TestPolicies(t *testing.T) {
	h, counts := accounttest.Loopback(t, keys()[:2]...), newRefusals(t)
	caller := h[0].Open(t, account.Config{})
	room := h[1].Open(t, account.Config{Metrics: counts.metrics,
		Policy: account.Policy{Admission: settings.CallsList, Allowed: []value.Key{value.RandomKey()}}})
	calls := accounttest.Calls(room)
	accounttest.Start(t, caller)
	accounttest.Start(t, room)
	call := func() (*connection.Channel, error) {
		ctx, cancel := context.WithTimeout(t.Context(), accounttest.Patience)
		defer cancel()
		ch, err := caller.OpenChannel(ctx, room.Device(), "sip", "audioCall")
		if err == nil {
			io.WriteString(ch, "INVITE\r\n")
		}
		return ch, err
	}
	counts.refused(t, caller, room)
	if err := room.SetPolicy(account.Policy{Admission: settings.CallsContacts}); err != nil {
		t.Fatal(err)
	}
	counts.refused(t, caller, room)
	if err := room.AddContact(caller.ID()); err != nil {
		t.Fatal(err)
	}
	ch, err := call()
	if err != nil {
		t.Fatal(err)
	}
	if c := accounttest.Next(t, calls, "call of a contact", nil); c.Peer.Account != caller.ID() {
		t.Errorf("call of %s", c.Peer.Account)
	}
	// A ban ends what is up.
	if err := room.Ban(caller.ID()); err != nil {
		t.Fatal(err)
	}
	ch.SetReadDeadline(time.Now().Add(accounttest.Patience))
	if _, err := ch.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("a ban leaves the channel: %v", err)
	}
	if room.Admits(caller.ID()) {
		t.Error("a banned contact is admitted")
	}
	if err := room.SetPolicy(account.Policy{Admission: "everyone"}); err == nil || !strings.Contains(err.Error(), "public, contacts or list") {
		t.Errorf("%v", err)
	}
}

// A device that its account has revoked is cut off, and stays out.
func TestRevokedDevice(t *testing.T) {
	h := accounttest.Loopback(t, keys()[:2]...)
	dir, counts := t.TempDir(), newRefusals(t)
	caller, room := h[0].Open(t, account.Config{}), h[1].Open(t, account.Config{Dir: dir, Metrics: counts.metrics})
	accounttest.Calls(room)
	accounttest.Start(t, caller)
	accounttest.Start(t, room)
	ctx, cancel := context.WithTimeout(t.Context(), accounttest.Patience)
	defer cancel()
	own := caller.Keys()
	issuer, err := own.Master.Chain[0].X509()
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: own.Device.Chain[0].Serial, RevocationTime: time.Now()}},
	}, issuer, own.Master.Key)
	if err != nil {
		t.Fatal(err)
	}
	v := &dht.Value{ID: value.RandomID(), Type: value.UserData, Data: msgpack.AppendBytes(nil, der)}
	if err := h[0].Node.Put(ctx, caller.ID(), v); err != nil {
		t.Fatal(err)
	}
	// The list is found while the connection is made, or at least not much later.
	if ch, err := counts.call(t, caller, room); err == nil {
		ch.SetReadDeadline(time.Now().Add(accounttest.Patience))
		if _, err := ch.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("not cut off: %v", err)
		}
	}
	counts.refused(t, caller, room)
	// It is known without looking from then on.
	revoked, err := account.Revoked(dir)
	if err != nil || !revoked(caller.Device().Long) || revoked(room.Device().Long) {
		t.Errorf("not kept for a restart: %v", err)
	}
}

func TestTrustBetweenAccounts(t *testing.T) {
	h := accounttest.Loopback(t, keys()[:2]...)
	a := h[0].Open(t, account.Config{})
	b := h[1].Open(t, account.Config{Policy: account.Policy{Requests: settings.RequestsAutomatic}})
	confirmed := make(chan account.Contact, 1)
	a.OnContact(func(c account.Contact) { confirmed <- c })
	accounttest.Start(t, a)
	accounttest.Start(t, b)
	ctx, cancel := context.WithTimeout(t.Context(), accounttest.Patience)
	defer cancel()
	conversation := value.RandomKey().String()
	if err := a.SendTrustRequest(ctx, b.ID(), conversation); err != nil {
		t.Fatal(err)
	}
	c := accounttest.Next(t, confirmed, "acceptance", nil)
	if c.Account != b.ID() || !c.Confirmed || c.Conversation != conversation {
		t.Errorf("%+v", c)
	}
	if l := b.Contacts(); len(l) != 1 || l[0].Account != a.ID() || !l[0].Confirmed {
		t.Errorf("%+v", l)
	}
	if err := a.SendTrustRequest(ctx, value.RandomKey(), ""); !errors.Is(err, account.ErrOffline) {
		t.Errorf("request to nobody: %v", err)
	}
}

func TestUnknownChannelsAreDeclined(t *testing.T) {
	h := accounttest.Loopback(t, keys()[:2]...)
	a, b := h[0].Open(t, account.Config{}), h[1].Open(t, account.Config{})
	accounttest.Start(t, a)
	accounttest.Start(t, b)
	for _, name := range []string{"ydoc:1", "sync://x", "sip", "swarm://x"} {
		if _, err := a.OpenChannel(t.Context(), b.Device(), name, ""); !errors.Is(err, mux.ErrDeclined) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Everything private is for its owner alone, and comes back.
func TestFiles(t *testing.T) {
	h := accounttest.Loopback(t, keys()[:2]...)
	dir := t.TempDir()
	cfg := account.Config{}
	cfg.Dir = dir
	a := h[0].Open(t, cfg)
	friend := value.RandomKey()
	if err := a.AddContact(friend); err != nil {
		t.Fatal(err)
	}
	if err := a.Ban(value.RandomKey()); err != nil {
		t.Fatal(err)
	}
	accounttest.Start(t, a)
	asker := value.RandomKey()
	a.KeepRequest(account.TrustRequest{Account: asker, Received: time.Now(), Payload: []byte("BEGIN:VCARD\nFN:Ann\nEND:VCARD")})
	a.Close()
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			t.Fatal(err)
		}
		if info, err := d.Info(); err != nil || info.Mode().Perm()&0o077 != 0 && path != dir {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return nil
	})
	b := h[0].Open(t, cfg)
	if b.ID() != a.ID() || b.Device() != a.Device() || len(b.Contacts()) != 2 {
		t.Errorf("%s %d contacts, want %s", b.ID(), len(b.Contacts()), a.ID())
	}
	if q := b.TrustRequests(); len(q) != 1 || q[0].Account != asker || q[0].Name() != "Ann" {
		t.Errorf("requests after a restart: %+v", q)
	}
	// Decided without the network: the asker is told when they can be.
	if err := b.AcceptTrustRequest(asker); err != nil {
		t.Fatal(err)
	}
	if c := b.Contacts(); len(c) != 3 || len(b.TrustRequests()) != 0 {
		t.Errorf("contacts %+v, requests %+v", c, b.TrustRequests())
	}
	if err := b.DiscardTrustRequest(asker); !errors.Is(err, account.ErrNoRequest) {
		t.Errorf("%v", err)
	}
	if err := b.RemoveContact(value.RandomKey()); !errors.Is(err, account.ErrNoContact) {
		t.Errorf("%v", err)
	}
}

func TestBackup(t *testing.T) {
	h := accounttest.Loopback(t, keys()[:1]...)
	a := h[0].Open(t, account.Config{})
	friend := value.RandomKey()
	if err := a.AddContact(friend); err != nil {
		t.Fatal(err)
	}
	for _, password := range []string{"", "correct horse"} {
		backup, err := a.Export(password)
		if err != nil {
			t.Fatal(err)
		}
		cfg := account.Config{}
		cfg.Dir = filepath.Join(t.TempDir(), "new")
		if password != "" {
			if err := account.Import(cfg.Dir, backup, "wrong"); !errors.Is(err, account.ErrArchive) {
				t.Errorf("wrong password: %v", err)
			}
			if bytes.Contains(backup, []byte("PRIVATE")) {
				t.Error("not encrypted")
			}
		}
		if err := account.Import(cfg.Dir, backup, password); err != nil {
			t.Fatal(err)
		}
		b := h[0].Open(t, cfg)
		if b.ID() != a.ID() || b.Device() != a.Device() || !b.Identity().Chain.Equal(a.Identity().Chain) ||
			!b.Keys().Announcement.Equal(a.Keys().Announcement) || len(b.Contacts()) != 1 || b.Contacts()[0].Account != friend {
			t.Error("restored account differs")
		}
		if err := account.Import(cfg.Dir, backup, password); err == nil {
			t.Error("imported over an account")
		}
	}
	for name, broken := range map[string][]byte{"empty": nil, "text": []byte("hello"), "gzip of nothing": {0x1f, 0x8b, 8}} {
		if err := account.Import(filepath.Join(t.TempDir(), "x"), broken, ""); !errors.Is(err, account.ErrArchive) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

package account

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
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rendezvous/dht"
	"rendezvous/dht/msgpack"
	"rendezvous/dht/value"
	"rendezvous/signalling/jami/connection"
	"rendezvous/signalling/jami/connection/icetcp"
	"rendezvous/signalling/jami/connection/mux"
)

// loopback makes hosts that find each other on this machine alone, through
// DHT nodes of our own.
func loopback(t *testing.T, n int) []*host {
	t.Helper()
	var hosts []*host
	var bootstrap []string
	for range n {
		node, err := dht.New(dht.Config{IPv4: "127.0.0.1:0", Bootstrap: bootstrap})
		if err != nil {
			t.Fatal(err)
		}
		if err := node.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		bootstrap = []string{node.Addrs()[0].String()}
		l, err := icetcp.Listen("127.0.0.1:0", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close(); node.Close() })
		hosts = append(hosts, &host{node, l, &icetcp.Gatherer{Listener: l, Hosts: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}})
	}
	return hosts
}

func quick(p Policy) Config { return Config{KeyBits: 2048, AllowLoopback: true, Policy: p} }

func TestHundredMegabytesBetweenAccounts(t *testing.T) {
	h := loopback(t, 2)
	a, b := h[0].open(t, quick(Policy{})), h[1].open(t, quick(Policy{}))
	const size = 100 << 20
	b.HandleChannel("data-transfer://", connection.Handler{Serve: func(ch *connection.Channel) {
		sum := sha256.New()
		if _, err := io.CopyN(sum, ch, size); err != nil {
			return
		}
		ch.Write(sum.Sum(nil))
	}})
	h[0].start(t, a)
	h[1].start(t, b)
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

func TestPolicies(t *testing.T) {
	h := loopback(t, 2)
	caller := h[0].open(t, quick(Policy{}))
	room := h[1].open(t, quick(Policy{Admission: AllowList, Allowed: []value.Key{value.RandomKey()}}))
	calls := collectSIP(room)
	h[0].start(t, caller)
	h[1].start(t, room)
	call := func() (*connection.Channel, error) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		ch, err := caller.OpenChannel(ctx, room.Device(), "sip", "audioCall")
		if err == nil {
			io.WriteString(ch, "INVITE\r\n")
		}
		return ch, err
	}
	refused := func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if _, err := caller.OpenChannel(ctx, room.Device(), "sip", "audioCall"); err == nil {
			t.Fatal("admitted")
		}
	}
	refused()
	if err := room.SetPolicy(Policy{Admission: ContactsOnly}); err != nil {
		t.Fatal(err)
	}
	refused()
	if err := room.AddContact(caller.ID()); err != nil {
		t.Fatal(err)
	}
	ch, err := call()
	if err != nil {
		t.Fatal(err)
	}
	if c := wait(t, calls, "call of a contact"); c.peer.Account != caller.ID() {
		t.Errorf("call of %s", c.peer.Account)
	}
	// A ban ends what is up.
	if err := room.Ban(caller.ID()); err != nil {
		t.Fatal(err)
	}
	ch.SetReadDeadline(time.Now().Add(patience))
	if _, err := ch.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("a ban leaves the channel: %v", err)
	}
	if room.book.admits(caller.ID()) {
		t.Error("a banned contact is admitted")
	}
	if err := room.SetPolicy(Policy{Admission: "everyone"}); err == nil || !strings.Contains(err.Error(), "public, contacts or list") {
		t.Errorf("%v", err)
	}
}

// A device that its account has revoked is cut off, and stays out.
func TestRevokedDevice(t *testing.T) {
	h := loopback(t, 2)
	caller, room := h[0].open(t, quick(Policy{})), h[1].open(t, quick(Policy{}))
	collectSIP(room)
	h[0].start(t, caller)
	h[1].start(t, room)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	keys := caller.Keys()
	issuer, err := keys.Master.Chain[0].X509()
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: keys.Device.Chain[0].Serial, RevocationTime: time.Now()}},
	}, issuer, keys.Master.Key)
	if err != nil {
		t.Fatal(err)
	}
	v := &dht.Value{ID: value.RandomID(), Type: value.UserData, Data: msgpack.AppendBytes(nil, der)}
	if err := h[0].node.Put(ctx, caller.ID(), v); err != nil {
		t.Fatal(err)
	}
	// The list is found while the connection is made, or at least not much later.
	first, stop := context.WithTimeout(ctx, 5*time.Second)
	defer stop()
	if ch, err := caller.OpenChannel(first, room.Device(), "sip", "audioCall"); err == nil {
		ch.SetReadDeadline(time.Now().Add(patience))
		if _, err := ch.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("not cut off: %v", err)
		}
	}
	again, stop := context.WithTimeout(ctx, 2*time.Second)
	defer stop()
	if _, err := caller.OpenChannel(again, room.Device(), "sip", "audioCall"); err == nil {
		t.Fatal("admitted again")
	}
	// It is known without looking from then on.
	kept, err := openRevocations(filepath.Join(room.cfg.Dir, "revoked"))
	if err != nil || !kept.has(caller.Device().Long) || kept.has(room.Device().Long) {
		t.Errorf("after a restart are revoked: %v, %v", kept, err)
	}
}

func TestTrustBetweenAccounts(t *testing.T) {
	h := loopback(t, 2)
	a := h[0].open(t, quick(Policy{}))
	b := h[1].open(t, quick(Policy{Requests: Automatic}))
	confirmed := make(chan Contact, 1)
	a.OnContact(func(c Contact) { confirmed <- c })
	h[0].start(t, a)
	h[1].start(t, b)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conversation := value.RandomKey().String()
	if err := a.SendTrustRequest(ctx, b.ID(), conversation); err != nil {
		t.Fatal(err)
	}
	c := wait(t, confirmed, "acceptance")
	if c.Account != b.ID() || !c.Confirmed || c.Conversation != conversation {
		t.Errorf("%+v", c)
	}
	if l := b.Contacts(); len(l) != 1 || l[0].Account != a.ID() || !l[0].Confirmed {
		t.Errorf("%+v", l)
	}
	if err := a.SendTrustRequest(ctx, value.RandomKey(), ""); !errors.Is(err, ErrOffline) {
		t.Errorf("request to nobody: %v", err)
	}
}

func TestUnknownChannelsAreDeclined(t *testing.T) {
	h := loopback(t, 2)
	a, b := h[0].open(t, quick(Policy{})), h[1].open(t, quick(Policy{}))
	h[0].start(t, a)
	h[1].start(t, b)
	for _, name := range []string{"ydoc:1", "sync://x", "sip", "swarm://x"} {
		if _, err := a.OpenChannel(t.Context(), b.Device(), name, ""); !errors.Is(err, mux.ErrDeclined) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Everything private is for its owner alone, and comes back.
func TestFiles(t *testing.T) {
	h := loopback(t, 2)
	dir := t.TempDir()
	cfg := quick(Policy{})
	cfg.Dir = dir
	a := h[0].open(t, cfg)
	friend := value.RandomKey()
	if err := a.AddContact(friend); err != nil {
		t.Fatal(err)
	}
	if err := a.Ban(value.RandomKey()); err != nil {
		t.Fatal(err)
	}
	h[0].start(t, a)
	asker := value.RandomKey()
	a.keepRequest(TrustRequest{Account: asker, Received: time.Now(), Payload: []byte("BEGIN:VCARD\nFN:Ann\nEND:VCARD")})
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
	b := h[0].open(t, cfg)
	if b.ID() != a.ID() || b.Device() != a.Device() || len(b.Contacts()) != 2 {
		t.Errorf("%s %d contacts, want %s", b.ID(), len(b.Contacts()), a.ID())
	}
	if q := b.TrustRequests(); len(q) != 1 || q[0].Account != asker || q[0].Name() != "Ann" {
		t.Errorf("requests after a restart: %+v", q)
	}
	// Decided without the network: the asker is told when he can be.
	if err := b.AcceptTrustRequest(asker); err != nil {
		t.Fatal(err)
	}
	if c := b.Contacts(); len(c) != 3 || len(b.TrustRequests()) != 0 {
		t.Errorf("contacts %+v, requests %+v", c, b.TrustRequests())
	}
	if err := b.DiscardTrustRequest(asker); !errors.Is(err, ErrNoRequest) {
		t.Errorf("%v", err)
	}
	if err := b.RemoveContact(value.RandomKey()); !errors.Is(err, ErrNoContact) {
		t.Errorf("%v", err)
	}
}

func TestBackup(t *testing.T) {
	h := loopback(t, 1)
	a := h[0].open(t, quick(Policy{}))
	friend := value.RandomKey()
	if err := a.AddContact(friend); err != nil {
		t.Fatal(err)
	}
	for _, password := range []string{"", "correct horse"} {
		backup, err := a.Export(password)
		if err != nil {
			t.Fatal(err)
		}
		cfg := quick(Policy{})
		cfg.Dir = filepath.Join(t.TempDir(), "new")
		if password != "" {
			if err := Import(cfg.Dir, backup, "wrong"); !errors.Is(err, ErrArchive) {
				t.Errorf("wrong password: %v", err)
			}
			if bytes.Contains(backup, []byte("PRIVATE")) {
				t.Error("not encrypted")
			}
		}
		if err := Import(cfg.Dir, backup, password); err != nil {
			t.Fatal(err)
		}
		b := h[0].open(t, cfg)
		if b.ID() != a.ID() || b.Device() != a.Device() || !b.Identity().Chain.Equal(a.Identity().Chain) ||
			!b.Keys().Announcement.Equal(a.Keys().Announcement) || len(b.Contacts()) != 1 || b.Contacts()[0].Account != friend {
			t.Error("restored account differs")
		}
		if err := Import(cfg.Dir, backup, password); err == nil {
			t.Error("imported over an account")
		}
	}
	for name, broken := range map[string][]byte{"empty": nil, "text": []byte("hello"), "gzip of nothing": {0x1f, 0x8b, 8}} {
		if err := Import(filepath.Join(t.TempDir(), "x"), broken, ""); !errors.Is(err, ErrArchive) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTrustMessage(t *testing.T) {
	// The layout jamid sends: 93 bytes with an empty payload.
	m := trustMessage{conversation: "60a56c5400000000000000000000000000000001", confirm: false}
	b := m.pack()
	if len(b) != 93 || !bytes.HasPrefix(b, []byte("\x84\xa7service\xa7cx.ring\xaeconversationId\xd9\x28")) {
		t.Errorf("%d bytes: %q", len(b), b)
	}
	for name, data := range map[string]string{
		"empty":            "",
		"other service":    strings.Replace(string(b), "cx.ring", "ab.cdef", 1),
		"odd conversation": strings.Replace(string(b), "60a56c54", "../../..", 1),
		"text as confirm":  string(b[:len(b)-1]) + "\xa0",
	} {
		if _, err := parseTrustMessage([]byte(data)); !errors.Is(err, errTrustMessage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// recordedTrust is a request of a daemon of August 2026 (jami-daemon 83aea32cd6), as it came.
func recordedTrust(t testing.TB) []byte {
	b, err := os.ReadFile("testdata/jamid-2026.trust")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRecordedTrustMessage(t *testing.T) {
	m, err := parseTrustMessage(recordedTrust(t))
	if err != nil || m.conversation != "e5149400e029b1ce531b52e004e0f9bb7abec8c0" || len(m.payload) != 0 || m.confirm {
		t.Errorf("%+v, %v", m, err)
	}
}

func FuzzTrustMessage(f *testing.F) {
	f.Add(recordedTrust(f))
	f.Add(trustMessage{conversation: "60a56c5400000000000000000000000000000001", payload: []byte("x"), confirm: true}.pack())
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseTrustMessage(b)
		if err != nil {
			return
		}
		again, err := parseTrustMessage(m.pack())
		if err != nil || again.conversation != m.conversation || !bytes.Equal(again.payload, m.payload) || again.confirm != m.confirm {
			t.Fatalf("%+v became %+v, %v", m, again, err)
		}
	})
}

func FuzzMessage(f *testing.F) {
	f.Add(packMessage(5, "hello", time.Unix(1, 0)))
	f.Fuzz(func(t *testing.T, b []byte) { parseMessage(b) })
}

func FuzzArchive(f *testing.F) {
	f.Add([]byte(`{"ringCaKey":"","TLS.privateKeyFile":"LS0t"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := readArchive(b, ""); err == nil {
			a.account(time.Unix(1700000000, 0))
		}
	})
}

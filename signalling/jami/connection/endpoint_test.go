package connection

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"rendezvous/dht"
	"rendezvous/dht/identity"
	"rendezvous/dht/value"
	"rendezvous/internal/eventually"
	"rendezvous/signalling/jami/connection/icetcp"
	"rendezvous/signalling/jami/connection/mux"
)

var echo = Handler{Serve: func(c *Channel) { io.Copy(c, c) }}

func roundTrip(t *testing.T, c net.Conn, text string) {
	t.Helper()
	c.SetDeadline(time.Now().Add(long))
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, len(text))
	if _, err := io.ReadFull(c, buf); err != nil || string(buf) != text {
		t.Fatalf("%q, %v", buf, err)
	}
}

func TestOpenChannel(t *testing.T) {
	w := newWorld()
	a := w.join(t, accounts()[0], nil)
	b := w.join(t, accounts()[1], nil)
	peers := make(chan Peer, 8)
	b.HandleChannel("sip", Handler{Serve: func(c *Channel) { peers <- c.Peer(); io.Copy(c, c) }})
	b.HandleChannel("git://", Handler{Accept: func(_ Peer, name string) bool { return strings.HasSuffix(name, "/mine") }, Serve: echo.Serve})
	a.HandleChannel("sip", echo)

	ctx := t.Context()
	sip, err := a.OpenChannel(ctx, b.Device(), "sip", "videoCall")
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, sip, "INVITE")
	if p := sip.Peer(); p.Account != b.account.ID() || p.Device != b.Device() {
		t.Fatalf("a sees %v %v", p.Account, p.Device)
	}
	if p := <-peers; p.Account != a.account.ID() || p.Device != a.Device() {
		t.Fatalf("b sees %v %v", p.Account, p.Device)
	}
	// more channels share the connection, both ways
	git, err := a.OpenChannel(ctx, identity.KeyIDs{Short: b.Device().Short}, "git://x/mine", "")
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, git, "pack")
	back, err := b.OpenChannel(ctx, a.Device(), "sip", "")
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, back, "BYE")
	for _, name := range []string{"git://x/other", "ydoc:1", "vcard://x", "sipx", "git"} {
		if _, err := a.OpenChannel(ctx, b.Device(), name, ""); !errors.Is(err, mux.ErrDeclined) {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if n := len(a.Connected()) + len(b.Connected()); n != 2 {
		t.Fatalf("%d connections", n)
	}
}

func TestManyCallersAtOnce(t *testing.T) {
	w := newWorld()
	a := w.join(t, accounts()[0], nil)
	b := w.join(t, accounts()[1], nil)
	a.HandleChannel("sip", echo)
	b.HandleChannel("sip", echo)
	var wg sync.WaitGroup
	for _, d := range []struct{ from, to *party }{{a, b}, {a, b}, {b, a}, {a, b}, {b, a}} {
		wg.Go(func() {
			c, err := d.from.OpenChannel(t.Context(), d.to.Device(), "sip", "")
			if err != nil {
				t.Error(err)
				return
			}
			roundTrip(t, c, "hello")
		})
	}
	wg.Wait()
}

func TestReconnects(t *testing.T) {
	w := newWorld()
	a := w.join(t, accounts()[0], nil)
	b := w.join(t, accounts()[1], nil)
	b.HandleChannel("sip", echo)
	for range 3 {
		c, err := a.OpenChannel(t.Context(), b.Device(), "sip", "")
		if err != nil {
			t.Fatal(err)
		}
		roundTrip(t, c, "hello")
		b.Disconnect(func(Peer) bool { return true })
		if _, err := io.Copy(io.Discard, c); errors.Is(err, context.DeadlineExceeded) {
			t.Fatal("channel outlives its connection")
		}
	}
}

// A connection that the other device has answered is made, also if who wanted it has given up meanwhile: the device uses it.
func TestAnsweredConnectionIsMade(t *testing.T) {
	w := newWorld()
	a := w.join(t, accounts()[0], nil)
	a.HandleChannel("sip", echo)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var once sync.Once
	givenUp := make(chan error, 1)
	b := w.join(t, accounts()[1], func(c *Config) {
		c.Now = func() time.Time {
			if bytes.Contains(debug.Stack(), []byte("tlsconn.Handshake")) { // it has answered, and looks at our certificate
				once.Do(func() {
					cancel()
					if err := <-givenUp; !errors.Is(err, context.Canceled) {
						t.Error(err)
					}
				})
			}
			return time.Now()
		}
	})
	_, err := a.OpenChannel(ctx, b.Device(), "sip", "")
	givenUp <- err
	eventually.True(t, "both have the connection", func() bool { return len(a.Connected()) == 1 && len(b.Connected()) == 1 })
	c, err := b.OpenChannel(t.Context(), a.Device(), "sip", "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	roundTrip(t, c, "hello")
}

func TestNotAllowed(t *testing.T) {
	w := newWorld()
	a := w.join(t, accounts()[0], nil)
	b := w.join(t, accounts()[1], func(c *Config) { c.Allow = func(Peer, string) bool { return false } })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error)
	go func() { _, err := a.OpenChannel(ctx, b.Device(), "sip", ""); done <- err }()
	b.waitRefused(t, refusedNotAllowed, 1)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if len(a.Connected()) != 0 {
		t.Fatal("connected")
	}
}

// Requests that are delivered again are handled once, after a restart too.
func TestReplay(t *testing.T) {
	w := newWorld()
	file := filepath.Join(t.TempDir(), "requests")
	a := w.join(t, accounts()[0], nil)
	b := w.join(t, accounts()[1], func(c *Config) { c.SeenFile = file })
	b.HandleChannel("sip", echo)
	c, err := a.OpenChannel(t.Context(), b.Device(), "sip", "")
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c, "hello")
	// The request lay at both keys, so one copy was refused already.
	b.waitRefused(t, refusedReplay, 1)
	w.again(legacy.peerKey(b.ids.Short, b.ids.Long))
	w.again(current.peerKey(b.ids.Short, b.ids.Long))
	b.waitRefused(t, refusedReplay, 3)
	b.Close()
	b = w.join(t, accounts()[1], func(c *Config) { c.SeenFile = file })
	b.waitRefused(t, refusedReplay, 2) // both copies, delivered to the new listeners
	if n := len(b.Connected()); n != 0 {
		t.Fatalf("%d connections from old requests", n)
	}
}

// sendRequest puts a request from an identity of the test's making.
func sendRequest(t *testing.T, w *world, from *identity.Identity, to *party, data []byte) {
	t.Helper()
	v := &dht.Value{ID: value.RandomID(), Type: value.UserData, UserType: requestUserType, Data: data}
	err := w.PutEncrypted(t.Context(), from, to.cfg.Identity.PublicKey(), legacy.peerKey(to.ids.Short, to.ids.Long), v)
	if err != nil {
		t.Fatal(err)
	}
}

func validRequest(id uint64) []byte {
	return request{id: id, ice: "17578bed\n1c68430c7248e0ec3bc36be8\n"}.pack()
}

func TestHostileRequests(t *testing.T) {
	w := newWorld()
	log := &lines{}
	b := w.join(t, accounts()[1], func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(log, nil)) })
	honest := accounts()[0]
	w.certs[honest.Device.LongID()] = honest.Device.Chain

	sendRequest(t, w, honest.Device, b, []byte("\x84\xa2id"))
	b.waitRefused(t, refusedMalformed, 1)
	sendRequest(t, w, honest.Device, b, request{id: 7, ice: "no credentials"}.pack())
	b.waitRefused(t, refusedMalformed, 2)

	// a device nobody knows
	stranger := &identity.Identity{Key: accounts()[2].Device.Key}
	sendRequest(t, w, stranger, b, validRequest(8))
	b.waitRefused(t, refusedNoCert, 1)

	// a device that claims an account that did not sign it
	forged := append(identity.Chain{accounts()[2].Device.Chain[0]}, honest.Device.Chain[1:]...)
	w.certs[forged.Leaf().LongID()] = forged
	sendRequest(t, w, &identity.Identity{Key: accounts()[2].Device.Key, Chain: forged}, b, validRequest(9))
	b.waitRefused(t, refusedChain, 1)

	// too many of one device
	for i := range uint64(requestBurst + 5) {
		sendRequest(t, w, honest.Device, b, validRequest(100+i))
	}
	b.waitRefused(t, refusedRate, 3)
	if len(b.Connected()) != 0 {
		t.Fatal("connected")
	}
	// Each kind is logged once for each peer, however often it happens.
	for _, reason := range []string{refusedMalformed, refusedNoCert, refusedChain, refusedRate} {
		if n := log.count("reason=" + reason); n != 1 {
			t.Errorf("%s: logged %d times", reason, n)
		}
	}
}

// lines collects a log.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

// A certificate that has expired is refused wherever it appears.
func TestExpiredCertificate(t *testing.T) {
	w := newWorld()
	a := w.join(t, accounts()[0], nil)
	b := w.join(t, accounts()[1], func(c *Config) {
		c.Now = func() time.Time { return time.Now().Add(20 * 365 * 24 * time.Hour) }
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error)
	go func() { _, err := a.OpenChannel(ctx, b.Device(), "sip", ""); done <- err }()
	b.waitRefused(t, refusedChain, 1)
	cancel()
	<-done
	// and as the one who asks
	if _, err := b.OpenChannel(t.Context(), a.Device(), "sip", ""); !errors.Is(err, identity.ErrChain) {
		t.Fatal(err)
	}
}

// A device that presents another chain in TLS than the DHT has for it.
func TestTLSWithAnotherDevice(t *testing.T) {
	w := newWorld()
	b := w.join(t, accounts()[1], nil)
	honest, thief := accounts()[0], accounts()[2]
	w.certs[honest.Device.LongID()] = honest.Device.Chain
	// It can sign requests as the honest device, but presents the thief's chain.
	mixed := w.join(t, honest, nil)
	mixed.cfg.Identity = &identity.Identity{Key: honest.Device.Key, Chain: thief.Device.Chain}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error)
	go func() { _, err := mixed.OpenChannel(ctx, b.Device(), "sip", ""); done <- err }()
	select {
	case err := <-done:
		if err == nil {
			t.Fatal("connected")
		}
	case <-time.After(long):
		t.Fatal("no end")
	}
	b.waitRefused(t, refusedTLS, 1)
	if len(b.Connected()) != 0 {
		t.Fatal("connected")
	}
}

func TestParseRequest(t *testing.T) {
	want := request{id: 3230119756921753, ice: "a\nb\n", answer: true, connType: "videoCall"}
	got, err := parseRequest(want.pack())
	if err != nil || got != want {
		t.Fatalf("%+v, %v", got, err)
	}
	for name, data := range map[string]string{
		"empty":        "",
		"no map":       "\x93\x01\x02\x03",
		"only an id":   "\x81\xa2id\x05",
		"id zero":      string(request{ice: "x"}.pack()),
		"id a text":    "\x83\xa2id\xa15\xa7ice_msg\xa1x\xa8isAnswer\xc2",
		"long type":    string(request{id: 1, ice: "x", connType: strings.Repeat("x", 300)}.pack()),
		"endless maps": "\xdf\xff\xff\xff\xff",
	} {
		if _, err := parseRequest([]byte(data)); !errors.Is(err, errRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPeerKeys(t *testing.T) {
	// Computed with sha1sum.
	short, _ := value.ParseKey("0610dd0140066b4293984c9298b81e1ea48d902d")
	longID, _ := value.ParseLongID("37489ac51936110d144c44486e66535ef543a2f6ed4ff436bdfbef0718a72064")
	if k := legacy.peerKey(short, longID).String(); k != "6de583b862e620458dd20b33000e5909b27a9993" {
		t.Error(k)
	}
	if k := current.peerKey(short, longID).String(); k != "a3e6619116ecea06281bacf60cd2e2587cc0b9fe" {
		t.Error(k)
	}
}

func TestSeenForgetsTheOld(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sub", "requests")
	now := time.Unix(1_800_000_000, 0)
	s, err := openSeen(file, now)
	if err != nil {
		t.Fatal(err)
	}
	old, fresh := requestKey{id: 1}, requestKey{id: 2, answer: true}
	if !s.first(old, now.Add(-time.Hour)) || !s.first(fresh, now) || s.first(fresh, now) {
		t.Fatal("not remembered")
	}
	s.close()
	s, err = openSeen(file, now)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if s.first(fresh, now) || !s.first(old, now) {
		t.Fatal("wrong ones remembered")
	}
}

func TestSeenFileStaysSmall(t *testing.T) {
	file := filepath.Join(t.TempDir(), "requests")
	s, err := openSeen(file, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for i := range uint64(5 * maxSeen) {
		s.first(requestKey{id: i}, time.Now())
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(b, []byte("\n")); n > 2*maxSeen+1 {
		t.Fatalf("%d lines", n)
	}
}

func TestHandlerPatterns(t *testing.T) {
	var h handlers
	for _, p := range []string{"sip", "data-transfer://", "data-transfer://profile.vcf", "msg:"} {
		h.set(p, Handler{Accept: func(Peer, string) bool { return true }})
	}
	for name, want := range map[string]bool{
		"sip": true, "sip2": false, "sip:": false, "data-transfer://a/b": true, "data-transfer:": false,
		"msg:abc": true, "msgs:abc": false, "": false,
	} {
		if _, ok := h.find(name); ok != want {
			t.Errorf("%q: %v", name, ok)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add(validRequest(5))
	f.Fuzz(func(t *testing.T, b []byte) {
		q, err := parseRequest(b)
		if err != nil {
			return
		}
		icetcp.ParseDescription(q.ice)
		again, err := parseRequest(q.pack())
		if err != nil || again != q {
			t.Fatalf("%+v became %+v, %v", q, again, err)
		}
	})
}

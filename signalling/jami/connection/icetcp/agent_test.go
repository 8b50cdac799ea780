package icetcp

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"rendezvous/signalling/jami/connection/icetcp/icetcptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var loopback = netip.MustParseAddr("127.0.0.1")

func listen(t *testing.T, refused func(string)) *Listener {
	t.Helper()
	l, err := Listen("127.0.0.1:0", refused)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// side is one end of a test negotiation.
type side struct {
	controlling bool
	tieBreaker  uint64 // 0: random
	onlyActive  bool   // cannot be connected to
	l           *Listener
}

func (s side) agent(t *testing.T) *Agent {
	t.Helper()
	cands := Addresses{Host: []netip.Addr{loopback}, Port: s.l.Port()}.Candidates()
	if s.onlyActive {
		cands = cands[1:]
	}
	a, err := New(Config{Listener: s.l, Controlling: s.controlling, Candidates: cands, AllowLoopback: true})
	if err != nil {
		t.Fatal(err)
	}
	if s.tieBreaker != 0 {
		a.tieBreaker = s.tieBreaker
	}
	return a
}

// negotiate connects both and returns the ends, first the asker's.
func negotiate(t *testing.T, asker, answerer side) (*Conn, *Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	a, b := asker.agent(t), answerer.agent(t)
	// As the real text carries it.
	da, err := ParseDescription(a.Local().String())
	if err != nil {
		t.Fatal(err)
	}
	db, err := ParseDescription(b.Local().String())
	if err != nil {
		t.Fatal(err)
	}
	var ca, cb *Conn
	var ea, eb error
	var wg sync.WaitGroup
	wg.Go(func() { ca, ea = a.Connect(ctx, db) })
	wg.Go(func() { cb, eb = b.Connect(ctx, da) })
	wg.Wait()
	if ea != nil || eb != nil {
		t.Fatalf("asker: %v, answerer: %v", ea, eb)
	}
	t.Cleanup(func() { ca.Close(); cb.Close() })
	return ca, cb
}

func TestConnect(t *testing.T) {
	for name, tc := range map[string]struct {
		asker, answerer side
		answererRules   bool // is controlling in the end
	}{
		"both can be reached":      {side{}, side{controlling: true}, true},
		"asker cannot be reached":  {side{onlyActive: true}, side{controlling: true}, true},
		"answerer cannot":          {side{}, side{controlling: true, onlyActive: true}, true},
		"both control, asker wins": {side{controlling: true, tieBreaker: 9}, side{controlling: true, tieBreaker: 3}, false},
		"both control, other wins": {side{controlling: true, tieBreaker: 3}, side{controlling: true, tieBreaker: 9}, true},
		"none controls":            {side{tieBreaker: 9}, side{tieBreaker: 3}, false},
	} {
		t.Run(name, func(t *testing.T) {
			tc.asker.l, tc.answerer.l = listen(t, nil), listen(t, nil)
			a, b := negotiate(t, tc.asker, tc.answerer)
			if a.Controlling() == b.Controlling() || b.Controlling() != tc.answererRules {
				t.Fatalf("controlling: asker %v, answerer %v", a.Controlling(), b.Controlling())
			}
			icetcptest.Exchange(t, a, b)
			icetcptest.Exchange(t, b, a)
		})
	}
}

func TestManyAttemptsOnOnePort(t *testing.T) {
	la, lb := listen(t, nil), listen(t, nil)
	for range 8 {
		a, b := negotiate(t, side{l: la}, side{controlling: true, l: lb})
		icetcptest.Exchange(t, a, b)
	}
}

func TestConnAnswersChecksBetweenData(t *testing.T) {
	a, b := negotiate(t, side{l: listen(t, nil)}, side{controlling: true, l: listen(t, nil)})
	m, err := check{local: b.local, remote: a.local, controlling: true, tieBreaker: 1}.build()
	if err != nil {
		t.Fatal(err)
	}
	if err := writeFrame(b.Conn, m.Raw); err != nil {
		t.Fatal(err)
	}
	ka, _ := buildKeepAlive()
	writeFrame(b.Conn, ka.Raw)
	writeFrame(b.Conn, nil) // an empty frame is nothing
	b.Write([]byte("hello"))
	buf := make([]byte, 64)
	n, err := a.Read(buf)
	if err != nil || string(buf[:n]) != "hello" {
		t.Fatalf("read %q, %v", buf[:n], err)
	}
	// The answer came back on the raw connection.
	f, err := readCheck(b.br)
	if err != nil {
		t.Fatal(err)
	}
	r, err := decode(f)
	if err != nil || r.TransactionID != m.TransactionID {
		t.Fatalf("answer %v, %v", r, err)
	}
	if code, err := verifyResponse(r, a.local); code != 0 || err != nil {
		t.Fatalf("answer %d, %v", code, err)
	}
}

func TestConnectTimesOut(t *testing.T) {
	a := side{l: listen(t, nil)}.agent(t)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err := a.Connect(ctx, Description{Ufrag: "abcd", Password: "0123456789012345678901"})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
}

func TestRefused(t *testing.T) {
	reasons := make(chan string, 8)
	l := listen(t, func(r string) { reasons <- r })
	a, err := New(Config{Listener: l, AllowLoopback: true, Refused: func(r string) { reasons <- r }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	peer := Description{Ufrag: "peer", Password: "0123456789012345678901"}
	go func() { _, err := a.Connect(ctx, peer); done <- err }()
	wrong := a.Local()
	wrong.Password = "not the password at all"
	checkFor := func(d Description) []byte {
		m, err := check{local: peer, remote: d, controlling: true}.build()
		if err != nil {
			t.Fatal(err)
		}
		return m.Raw
	}
	for _, tc := range []struct {
		name   string
		frames [][]byte
		want   string
	}{
		{"not STUN", [][]byte{[]byte("GET / HTTP/1.1\r\n\r\n      ")}, RefusedFirst},
		{"too long", [][]byte{make([]byte, 60000)}, RefusedFirst},
		{"unknown ufrag", [][]byte{checkFor(Description{Ufrag: "none", Password: "x"})}, RefusedUnknown},
		{"wrong password", [][]byte{checkFor(wrong)}, RefusedIntegrity},
		{"data before nomination", [][]byte{checkFor(a.Local()), []byte("\x16\x03\x01 and so on, as TLS does")}, RefusedEarlyData},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := net.Dial("tcp", netip.AddrPortFrom(loopback, l.Port()).String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for _, f := range tc.frames {
				if err := writeFrame(c, f); err != nil {
					t.Fatal(err)
				}
			}
			select {
			case r := <-reasons:
				if r != tc.want {
					t.Fatalf("refused for %q, want %q", r, tc.want)
				}
			case <-time.After(20 * time.Second):
				t.Fatal("not refused")
			}
			// and the connection is closed
			c.SetReadDeadline(time.Now().Add(20 * time.Second))
			if _, err := io.Copy(io.Discard, c); errors.Is(err, context.DeadlineExceeded) {
				t.Fatal("connection stays open")
			}
		})
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

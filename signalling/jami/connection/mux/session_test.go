package mux

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"rendezvous/internal/eventually"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const long = 30 * time.Second // a deadline for what should take milliseconds

// tcpPair is a real connection, with the kernel's buffers.
func tcpPair(t testing.TB) (net.Conn, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// pair makes two sessions; accept serves the channels that a opens at b.
func pair(t testing.TB, cfg Config) (a, b *Session) {
	t.Helper()
	ca, cb := tcpPair(t)
	a = New(ca, Config{TLSClient: true})
	b = New(cb, cfg)
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func acceptAll(serve func(*Channel)) func(string) (func(*Channel), bool) {
	return func(string) (func(*Channel), bool) { return serve, true }
}

func echo(c *Channel) { io.Copy(c, c) }

func open(t testing.TB, s *Session, name string) *Channel {
	t.Helper()
	c, err := s.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

type counts struct {
	mu sync.Mutex
	m  map[string]int
}

func (c *counts) add(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil {
		c.m = map[string]int{}
	}
	c.m[reason]++
}

func (c *counts) get(reason string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.m[reason]
}

func TestChannels(t *testing.T) {
	a, b := pair(t, Config{Accept: func(name string) (func(*Channel), bool) {
		return echo, name == "sip"
	}})
	if _, err := a.Open(t.Context(), "vcard://x"); !errors.Is(err, ErrDeclined) {
		t.Fatalf("unknown name: %v", err)
	}
	c := open(t, a, "sip")
	if c.number != 2 {
		t.Fatalf("number %d, want 2: the TLS client counts from 1", c.number)
	}
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(long))
	buf := make([]byte, 5)
	if _, err := io.ReadFull(c, buf); err != nil || string(buf) != "hello" {
		t.Fatalf("%q, %v", buf, err)
	}
	c.Close()
	if _, err := c.Read(buf); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("read after close: %v", err)
	}
	if _, err := c.Write(buf); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("write after close: %v", err)
	}
	// b has no Accept for a: and numbers from 0x8000
	if _, err := b.Open(t.Context(), "sip"); !errors.Is(err, ErrDeclined) {
		t.Fatalf("%v", err)
	}
	if b.next != 0x8001 {
		t.Fatalf("next %#x", b.next)
	}
	eventually.True(t, "no channels are left", func() bool { return a.Channels() == 0 && b.Channels() == 0 })
}

func TestEndOfChannelIsEOF(t *testing.T) {
	a, _ := pair(t, Config{Accept: acceptAll(func(c *Channel) { c.Write(bytes.Repeat([]byte("x"), 100_000)) })})
	c := open(t, a, "data-transfer://x")
	c.SetDeadline(time.Now().Add(long))
	b, err := io.ReadAll(c)
	if len(b) != 100_000 || err != nil {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Fatalf("write after the peer's end: %v", err)
	}
}

func TestHundredMegabytes(t *testing.T) {
	const size = 100 << 20
	a, _ := pair(t, Config{Accept: acceptAll(func(c *Channel) {
		h := sha256.New()
		io.CopyN(h, c, size)
		c.Write(h.Sum(nil))
	})})
	c := open(t, a, "data-transfer://x")
	c.SetDeadline(time.Now().Add(2 * time.Minute))
	h := sha256.New()
	block := bytes.Repeat([]byte("0123456789abcde\n"), 1<<14)
	for n := 0; n < size; n += len(block) {
		h.Write(block)
		if _, err := c.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	sum := make([]byte, sha256.Size)
	if _, err := io.ReadFull(c, sum); err != nil || !bytes.Equal(sum, h.Sum(nil)) {
		t.Fatalf("%x, %v", sum, err)
	}
}

// A channel that nobody reads is ended; until then and after, the others and
// the beacon go on.
func TestBlockedChannelHoldsUpNobody(t *testing.T) {
	var dropped counts
	stuck := make(chan struct{})
	defer close(stuck)
	a, b := pair(t, Config{
		Dropped: dropped.add,
		Accept: func(name string) (func(*Channel), bool) {
			if name == "stuck" {
				return func(c *Channel) { <-stuck }, true
			}
			return echo, true
		},
	})
	bad := open(t, a, "stuck")
	flooded := make(chan error, 1)
	go func() {
		block := make([]byte, 1<<16)
		for {
			if _, err := bad.Write(block); err != nil {
				flooded <- err
				return
			}
		}
	}()
	good := open(t, a, "sip")
	good.SetDeadline(time.Now().Add(long))
	buf := make([]byte, 3)
	for range 20 {
		start := time.Now()
		if err := a.Ping(t.Context()); err != nil {
			t.Fatalf("beacon: %v", err)
		}
		if _, err := good.Write([]byte("abc")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(good, buf); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d > 3*time.Second {
			t.Fatalf("took %v", d)
		}
	}
	select {
	case err := <-flooded:
		if !errors.Is(err, io.ErrClosedPipe) {
			t.Fatal(err)
		}
	case <-time.After(long):
		t.Fatal("the stuck channel lives on")
	}
	if n := dropped.get(DroppedOverrun); n != 1 {
		t.Fatalf("%d overruns counted", n)
	}
	_ = b
}

// Small messages pass between the pieces of a long write.
func TestWritersTakeTurns(t *testing.T) {
	a, _ := pair(t, Config{Accept: func(name string) (func(*Channel), bool) {
		if name == "bulk" {
			return func(c *Channel) { // reads about 20 MB/s
				buf := make([]byte, 64<<10)
				for {
					if _, err := c.Read(buf); err != nil {
						return
					}
					time.Sleep(time.Millisecond)
				}
			}, true
		}
		return echo, true
	}})
	bulk := open(t, a, "bulk")
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			if _, err := bulk.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	})
	sip := open(t, a, "sip")
	sip.SetDeadline(time.Now().Add(long))
	buf := make([]byte, 3)
	for range 10 {
		if _, err := sip.Write([]byte("abc")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(sip, buf); err != nil {
			t.Fatal(err)
		}
	}
	bulk.Close()
	wg.Wait()
}

func TestDeadlines(t *testing.T) {
	a, _ := pair(t, Config{Accept: acceptAll(echo)})
	c := open(t, a, "sip")
	c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(-time.Second))
	if _, err := c.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	c.SetDeadline(time.Time{})
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(long))
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

// peer speaks the protocol by hand.
func peer(t *testing.T, cfg Config) (net.Conn, *Session) {
	t.Helper()
	ca, cb := tcpPair(t)
	s := New(cb, cfg)
	t.Cleanup(func() { s.Close() })
	ca.SetDeadline(time.Now().Add(long))
	expect(t, ca, "92cdffffc40481a17601") // as jamid's own
	return ca, s
}

func send(t *testing.T, c net.Conn, h string) {
	t.Helper()
	b, err := hex.DecodeString(h)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, c net.Conn, h string) {
	t.Helper()
	buf := make([]byte, len(h)/2)
	if _, err := io.ReadFull(c, buf); err != nil || hex.EncodeToString(buf) != h {
		t.Fatalf("got %x, %v, want %s", buf, err, h)
	}
}

// The bytes two jamids exchange for a channel "sip".
func TestJamidBytes(t *testing.T) {
	c, s := peer(t, Config{Accept: func(name string) (func(*Channel), bool) { return echo, name == "sip" }})
	send(t, c, "92cdffffc40481a17601")
	send(t, c, "9200c409"+"93a3736970cdd30200")
	expect(t, c, "9200c409"+"93a3736970cdd30201")
	send(t, c, "92cdd302c403"+"616263")
	expect(t, c, "92cdd302c403"+"616263")
	send(t, c, "92cdffffc404"+"81a170c3") // beacon
	expect(t, c, "92cdffffc404"+"81a170c2")
	send(t, c, "9200c40b"+"93a56e6f706521cdd30300") // unknown name
	expect(t, c, "9200c40b"+"93a56e6f706521cdd30302")
	send(t, c, "9200c410"+"93a3736970cdd30200"+"93a37369700000") // in use, then 0
	expect(t, c, "9200c409"+"93a3736970cdd30202")
	expect(t, c, "9200c407"+"93a37369700002")
	send(t, c, "92cdd302c400") // end: needs no answer
	eventually.True(t, "no channels are left", func() bool { return s.Channels() == 0 })
}

func TestMalformed(t *testing.T) {
	for name, h := range map[string]string{
		"not an array":     "81a17601",
		"array of three":   "93000000",
		"channel too high": "92ce00010000c400",
		"negative channel": "92d0ffc400",
		"data is a str":    "9205a3616263",
		"data too long":    "9205c600010000",
		"bad control":      "9200c4029300",
		"bad state":        "9200c40793a3736970" + "05" + "09",
		"text as control":  "9200c403a26162",
		"endless nesting":  "92cdffffc40e" + "81a178" + "9191919191919191919191",
	} {
		t.Run(name, func(t *testing.T) {
			var dropped counts
			c, s := peer(t, Config{Dropped: dropped.add, Accept: acceptAll(echo)})
			send(t, c, h)
			select {
			case <-s.Done():
			case <-time.After(long):
				t.Fatal("session lives on")
			}
			if !errors.Is(s.Err(), ErrProtocol) || dropped.get(DroppedMalformed) != 1 {
				t.Fatalf("%v, counted %v", s.Err(), dropped.m)
			}
		})
	}
}

func TestUnknownAndUnexpectedAreDropped(t *testing.T) {
	var dropped counts
	c, s := peer(t, Config{Dropped: dropped.add})
	send(t, c, "9207c40161")                                 // data for no channel
	send(t, c, "9207c400")                                   // its end
	send(t, c, "9200c407"+"93a37369700701")                  // answers to nothing
	send(t, c, "92cdffffc40a"+"82a16b9301c0c3a17605")        // unknown key beside a version
	send(t, c, "9200c404"+"81a170c3"+"92cdffffc40481a170c3") // beacons on both channels
	expect(t, c, "92cdffffc404"+"81a170c2")
	expect(t, c, "92cdffffc404"+"81a170c2")
	if dropped.get(DroppedUnknown) != 1 || s.version.Load() != 5 {
		t.Fatalf("counted %v, version %d", dropped.m, s.version.Load())
	}
}

func TestTooManyChannels(t *testing.T) {
	a, _ := pair(t, Config{MaxChannels: 3, Accept: acceptAll(echo)})
	for range 3 {
		open(t, a, "x:y")
	}
	if _, err := a.Open(t.Context(), "x:y"); !errors.Is(err, ErrDeclined) {
		t.Fatal(err)
	}
}

// Who asks and asks without reading what we answer is cut off.
func TestControlFlood(t *testing.T) {
	var dropped counts
	c, s := peer(t, Config{Dropped: dropped.add, WriteTimeout: time.Hour})
	flood, _ := hex.DecodeString("92cdffffc404" + "81a170c3")
	flood = bytes.Repeat(flood, 5000)
	for {
		if _, err := c.Write(flood); err != nil {
			break
		}
	}
	<-s.Done()
	if dropped.get(DroppedFlood) == 0 {
		t.Fatalf("%v, counted %v", s.Err(), dropped.m)
	}
}

func TestBeaconWithoutAnswerEndsSession(t *testing.T) {
	c, s := peer(t, Config{BeaconWait: 50 * time.Millisecond})
	send(t, c, "92cdffffc40481a17601")
	if err := s.Ping(t.Context()); !errors.Is(err, ErrBeacon) {
		t.Fatal(err)
	}
	<-s.Done()
}

func TestOpenWithoutAnswer(t *testing.T) {
	c, s := peer(t, Config{OpenTimeout: 50 * time.Millisecond})
	if _, err := s.Open(t.Context(), "sip"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	expect(t, c, "9200c409"+"93a3736970cd800000")
	expect(t, c, "92cd8000c400")
	send(t, c, "9200c409"+"93a3736970cd800001") // late
	send(t, c, "92cdffffc40481a170c3")
	expect(t, c, "92cdffffc40481a170c2") // the session lives
}

func TestDeadConnectionEndsEverything(t *testing.T) {
	c, s := peer(t, Config{})
	opened := make(chan error)
	go func() { _, err := s.Open(context.Background(), "sip"); opened <- err }()
	expect(t, c, "9200c409"+"93a3736970cd800000")
	send(t, c, "9200c409"+"93a3736970cd800001")
	if err := <-opened; err != nil {
		t.Fatal(err)
	}
	ch := s.channel(0x8000)
	c.Close()
	if _, err := ch.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	<-s.Done()
	if _, err := s.Open(t.Context(), "sip"); err == nil {
		t.Fatal("opened on a dead session")
	}
}

// writeWatcher is a connection with slow writes that notices a Close during one.
type writeWatcher struct {
	net.Conn
	started     chan struct{}
	writing     atomic.Bool
	interrupted atomic.Bool
}

func (w *writeWatcher) Write(p []byte) (int, error) {
	w.writing.Store(true)
	defer w.writing.Store(false)
	select {
	case w.started <- struct{}{}:
	default:
	}
	time.Sleep(20 * time.Millisecond)
	return w.Conn.Write(p)
}

func (w *writeWatcher) Close() error {
	w.interrupted.Store(w.writing.Load())
	return w.Conn.Close()
}

// crypto/tls leaves out its close_notify when a write is under way, and jamid takes no other goodbye.
func TestAbortLetsAWriteFinish(t *testing.T) {
	near, far := net.Pipe()
	go io.Copy(io.Discard, far)
	defer far.Close()
	w := &writeWatcher{Conn: near, started: make(chan struct{}, 1)}
	s := New(w, Config{})
	<-w.started // the version
	s.Close()
	if w.interrupted.Load() {
		t.Error("the connection was closed during a write")
	}
}

// What answers the peer's question whether we are there is written by who writes next, before their own, though the control goroutine
// does not get round to it: here there is none.
func TestAnswersGoFirst(t *testing.T) {
	near, far := tcpPair(t)
	defer near.Close()
	defer far.Close()
	s := &Session{conn: near, began: time.Now(), turn: make(chan struct{}, 1), controls: make(chan []byte, 1), waiting: make(chan struct{}, 1), done: make(chan struct{})}
	s.cfg.defaults()
	no := false
	answer := appendObject(nil, protocolChannel, protocol{beacon: &no}.append(nil))
	s.queue(answer)
	if err := s.write(7, []byte("later"), nil, nil); err != nil {
		t.Fatal(err)
	}
	want := append(answer, appendObject(nil, 7, []byte("later"))...)
	got := make([]byte, len(want))
	far.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadFull(far, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("% x, %v, want % x", got, err, want)
	}
}

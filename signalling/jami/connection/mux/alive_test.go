package mux

import (
	"errors"
	"io"
	"testing"
	"time"

	"rendezvous/internal/eventually"
)

// A peer that falls silent while we write to it is asked, and given up: what is
// written must not seem sent for as long as the kernel tries.
func TestSilentPeerIsDoubted(t *testing.T) {
	unanswered := make(chan struct{})
	c, s := peer(t, Config{Accept: acceptAll(func(ch *Channel) { io.Copy(io.Discard, ch) }), DoubtAfter: time.Millisecond, DoubtWait: 200 * time.Millisecond,
		Unanswered: func() { close(unanswered) }})
	send(t, c, "92cdffffc40481a17601")
	opened := make(chan *Channel, 1)
	go func() { ch, _ := s.Open(t.Context(), "sip"); opened <- ch }()
	expect(t, c, "9200c409"+"93a3736970cd800000")
	send(t, c, "9200c409"+"93a3736970cd800001")
	ch := <-opened
	time.Sleep(5 * time.Millisecond) // it has been silent
	if _, err := ch.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	// Answered once: it is there.
	expect(t, c, "92cd8000c403"+"616263")
	expect(t, c, "92cdffffc404"+"81a170c3")
	send(t, c, "92cdffffc404"+"81a170c2")
	eventually.True(t, "it is not doubted", func() bool { return !s.doubted.Load() })
	// Not answered, but something else comes: it is busy.
	time.Sleep(5 * time.Millisecond)
	if _, err := ch.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	expect(t, c, "92cd8000c403"+"616263")
	expect(t, c, "92cdffffc404"+"81a170c3")
	send(t, c, "92cd8000c40178")
	eventually.True(t, "it is not doubted", func() bool { return !s.doubted.Load() })
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	// Nothing comes.
	time.Sleep(5 * time.Millisecond)
	if _, err := ch.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	<-unanswered
	<-s.Done()
	if !errors.Is(s.Err(), ErrBeacon) {
		t.Errorf("ended by %v", s.Err())
	}
	if _, err := ch.Write([]byte("abc")); err == nil {
		t.Error("the channel lives")
	}
}

// A peer to whom nobody writes is asked now and then.
func TestIdlePeerIsProbed(t *testing.T) {
	c, s := peer(t, Config{ProbeEvery: 30 * time.Millisecond, DoubtWait: 100 * time.Millisecond})
	send(t, c, "92cdffffc40481a17601")
	expect(t, c, "92cdffffc404"+"81a170c3")
	<-s.Done()
	if !errors.Is(s.Err(), ErrBeacon) {
		t.Errorf("ended by %v", s.Err())
	}
}

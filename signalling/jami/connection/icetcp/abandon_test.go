package icetcp

import (
	"errors"
	"io"
	"os"
	"syscall"
	"testing"
	"time"
)

// A peer whose connection was abandoned is told by a reset: when we learn of a
// way to it, or as soon as it says something.
func TestAbandoned(t *testing.T) {
	for name, end := range map[string]func(ours, theirs *Conn){
		"reset":          func(ours, _ *Conn) { ours.Reset() },
		"a sign of life": func(ours, theirs *Conn) { theirs.Write([]byte("there")); ours.Await(time.Minute) },
		"time is over":   func(ours, _ *Conn) { ours.Await(time.Millisecond) },
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := negotiate(t, side{l: listen(t, nil)}, side{controlling: true, l: listen(t, nil)})
			read := make(chan error, 1)
			go func() { _, err := ours.Read(make([]byte, 1)); read <- err }()
			if !ours.Abandon() {
				t.Fatal("a TCP connection cannot be abandoned")
			}
			if err := ours.Close(); err != nil {
				t.Fatal(err)
			}
			if err := <-read; !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("who reads gets %v", err)
			}
			// The peer has heard nothing of it.
			theirs.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			if _, err := theirs.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the peer reads: %v", err)
			}
			end(ours, theirs)
			theirs.SetReadDeadline(time.Now().Add(10 * time.Second))
			if _, err := io.ReadAll(theirs); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the peer gets %v, want a reset", err)
			}
		})
	}
}

package icetcp

import (
	"errors"
	"io"
	"os"
	"testing"
	"time"
)

// What was written last on an abandoned connection gets to the peer, whatever the
// peer sends meanwhile.
func TestAbandoned(t *testing.T) {
	ours, theirs := negotiate(t, side{l: listen(t, nil)}, side{controlling: true, l: listen(t, nil)})
	read := make(chan error, 1)
	go func() { _, err := ours.Read(make([]byte, 1)); read <- err }()
	if !ours.Abandon(time.Minute) {
		t.Fatal("a TCP connection cannot be abandoned")
	}
	if _, err := ours.Write([]byte("goodbye")); err != nil {
		t.Fatal(err)
	}
	if err := ours.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-read; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("who reads gets %v", err)
	}
	done := make(chan struct{})
	go func() { ours.Await(time.Minute); close(done) }()
	for range 100 {
		if _, err := theirs.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	theirs.SetReadDeadline(time.Now().Add(10 * time.Second))
	if got, err := io.ReadAll(theirs); err != nil || string(got) != "goodbye" {
		t.Errorf("the peer gets %q, %v", got, err)
	}
	theirs.Close()
	<-done
}

// A peer that is never heard of again is given up.
func TestAbandonedForGood(t *testing.T) {
	ours, _ := negotiate(t, side{l: listen(t, nil)}, side{controlling: true, l: listen(t, nil)})
	if !ours.Abandon(time.Minute) {
		t.Fatal("a TCP connection cannot be abandoned")
	}
	if err := ours.Close(); err != nil {
		t.Fatal(err)
	}
	ours.Await(time.Millisecond)
	if _, err := ours.Conn.Write([]byte("x")); err == nil {
		t.Error("the connection is open")
	}
}

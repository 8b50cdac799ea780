package sip

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"
)

// A connection that says nothing is closed, whatever it says nothing with, and so is one that nothing comes from
// any more and no call uses.
func TestPatience(t *testing.T) {
	const options = "OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 0\r\n\r\n"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var used atomic.Bool
	patient := patientListener{l, 100 * time.Millisecond, 50 * time.Millisecond, func(string) bool { return used.Load() }}
	defer patient.Close()
	for _, test := range []struct {
		name, says string
		used       bool
		want       time.Duration // at least and, unless it is used, at most three times as long
	}{
		{"nothing", "", false, 100 * time.Millisecond},
		{"keep-alives", "\r\n\r\n\r\n\r\n", false, 100 * time.Millisecond},
		{"half a message", "OPTIONS sip:a@b SIP/2.0\r\n", true, 100 * time.Millisecond},
		{"a message", options, false, 50 * time.Millisecond},
		{"a message after keep-alives", "\r\n\r\n" + options, false, 50 * time.Millisecond},
		{"a call", options, true, time.Second},
	} {
		used.Store(test.used)
		theirs, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer theirs.Close()
		ours, err := patient.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(theirs, test.says); err != nil {
			t.Fatal(err)
		}
		began, ended := time.Now(), make(chan error, 1)
		go func() {
			_, err := io.Copy(io.Discard, ours)
			ended <- err
		}()
		select {
		case err = <-ended:
		case <-time.After(300 * time.Millisecond):
			err = nil
		}
		took := time.Since(began)
		switch {
		case test.name == "a call":
			if took < 300*time.Millisecond {
				t.Errorf("%s: closed after %v: %v", test.name, took, err)
			}
			ours.Close()
			<-ended
		case !errors.Is(err, os.ErrDeadlineExceeded) || took < test.want-10*time.Millisecond:
			t.Errorf("%s: %v after %v", test.name, err, took)
		}
		ours.Close()
	}
}

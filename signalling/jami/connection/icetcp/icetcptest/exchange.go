// Package icetcptest has what tests of connections share, of those through a relay as well.
package icetcptest

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"
)

// Exchange sends a megabyte, in writes longer than a frame, and compares it.
func Exchange(t testing.TB, from, to net.Conn) {
	t.Helper()
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	go func() {
		for p := data; len(p) > 0; {
			n, err := from.Write(p[:min(len(p), 200_000)])
			if err != nil {
				return // the reader tells
			}
			p = p[n:]
		}
	}()
	got := make([]byte, len(data))
	to.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.ReadFull(to, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, data) {
		t.Fatal("data differs")
	}
}

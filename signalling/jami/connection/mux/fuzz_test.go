package mux

import (
	"bytes"
	"encoding/hex"
	"io"
	"net"
	"testing"
	"time"
)

// FuzzSession feeds a session any bytes: it never crashes and always ends.
func FuzzSession(f *testing.F) {
	for _, h := range []string{
		"92cdffffc40481a17601", "9200c40993a3736970cdd3020092cdd302c403616263",
		"92cdffffc40481a170c3", "92cdd302c400", "dc0002d10005c5000161",
	} {
		b, _ := hex.DecodeString(h)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		here, there := net.Pipe()
		go io.Copy(io.Discard, there)
		s := New(here, Config{
			Accept:   func(name string) (func(*Channel), bool) { return func(c *Channel) { io.Copy(c, c) }, len(name) < 5 },
			Patience: time.Millisecond,
		})
		there.Write(b)
		there.Close()
		select {
		case <-s.Done():
		case <-time.After(10 * time.Second):
			t.Fatal("session does not end")
		}
		s.Close()
	})
}

func FuzzMessages(f *testing.F) {
	f.Add([]byte("\x93\xa3sip\xcd\xd3\x02\x00"))
	f.Add([]byte("\x81\xa1v\x01\x81\xa1p\xc3"))
	f.Fuzz(func(t *testing.T, b []byte) {
		readMessages(b, func(c control) {
			// What is understood can be written and read again.
			err := readMessages(c.append(nil), func(d control) {
				if d != c {
					t.Fatalf("%+v became %+v", c, d)
				}
			}, nil)
			if err != nil {
				t.Fatal(err)
			}
		}, func(protocol) {})
	})
}

func BenchmarkWrite(b *testing.B) {
	s, _ := pair(b, Config{Accept: acceptAll(func(c *Channel) { io.Copy(io.Discard, c) })})
	c, err := s.Open(b.Context(), "x:y")
	if err != nil {
		b.Fatal(err)
	}
	p := bytes.Repeat([]byte{1}, maxWrite)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(p); err != nil {
			b.Fatal(err)
		}
	}
}

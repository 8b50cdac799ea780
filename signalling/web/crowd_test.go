package web_test

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"rendezvous/conference/settings"
	"rendezvous/mixer/leg"
	"rendezvous/signalling/web"
	"rendezvous/signalling/web/webtest"
)

// Who says so is sent long infos packed, others have the same as text.
func TestInfosArePacked(t *testing.T) {
	h := webtest.Open(t, []settings.Room{{ID: "lab"}}, nil)
	for i := range 10 {
		h.Socket(t, fmt.Sprintf(`{"type":"join","room":"lab","name":"Participant %d"}`, i))
	}
	for _, inflate := range []bool{true, false} {
		conn, _ := h.Socket(t, fmt.Sprintf(`{"type":"join","room":"lab","name":"Ann","inflate":%t}`, inflate))
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for seen := false; !seen; {
			kind, b, err := conn.Read(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if kind == websocket.MessageBinary {
				if b, err = io.ReadAll(flate.NewReader(bytes.NewReader(b))); err != nil || !inflate {
					t.Fatalf("a packed message (%v): %s", err, b)
				}
			}
			var m struct {
				Type  string
				Whole bool
				Set   []struct{ ID, Name string }
			}
			if err := json.Unmarshal(b, &m); err != nil {
				t.Fatalf("%s: %v", b, err)
			}
			if seen = m.Type == "info" && m.Whole; seen && (len(m.Set) < 10 || (kind == websocket.MessageBinary) != inflate) {
				t.Errorf("inflate: %t; a message of kind %v: %s", inflate, kind, b)
			}
		}
	}
}

// A page may send its first message before it has been answered, also one that is longer than the WebSocket's buffers.
func TestFirstMessageWithTheRequest(t *testing.T) {
	h := webtest.Open(t, []settings.Room{{ID: "lab"}}, nil)
	for _, padding := range []int{0, 3000} {
		address := strings.TrimPrefix(h.Door.URL(), "http://")
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		fmt.Fprintf(&b, "GET /ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
			"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", address)
		b.Write(frame(fmt.Sprintf(`{"type":"join","room":"lab","name":"Ann","session":"%s"}`, strings.Repeat("x", padding))))
		b.Write(frame(`{"type":"chat","n":7,"text":"Hello"}`))
		if _, err := conn.Write(b.Bytes()); err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		for buf := make([]byte, 1000); !strings.Contains(got.String(), `"type":"result","n":7`); {
			n, err := conn.Read(buf)
			if err != nil {
				t.Fatalf("%s and then %v", &got, err)
			}
			got.Write(buf[:n])
		}
	}
}

// frame is a message below 64 KiB as a client sends it: final, text, masked (RFC 6455 section 5.2) by zeros, which leaves it as it is.
func frame(text string) []byte {
	b := binary.BigEndian.AppendUint16([]byte{0x81, 0x80 | 126}, uint16(len(text)))
	return append(append(b, 0, 0, 0, 0), text...)
}

// What it takes that so many people join by their pages at the pace of 1000 in 22 s: their WebSockets alone, without media, and all
// in this process. The host as a program of its own is measured by "bench crowd".
func BenchmarkCrowdJoins(b *testing.B) {
	for _, n := range []int{100, 300, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				joinCrowd(b, n)
			}
		})
	}
}

func joinCrowd(b *testing.B, n int) {
	h := webtest.Open(b, []settings.Room{{ID: "lab"}}, func(c *web.Config) {
		c.MaxSessionsOfNetwork, c.LegMetrics = n, leg.NewMetrics(nil)
	})
	var received, reads, last atomic.Int64 // last: when something came, ns since began
	var pages sync.WaitGroup
	began := time.Now()
	conns := make([]io.Closer, n)
	for i := range n {
		time.Sleep(time.Until(began.Add(time.Duration(i) * 22 * time.Millisecond)))
		conn := openPage(b, h, fmt.Sprintf("Participant %d", i))
		conns[i] = conn
		pages.Go(func() {
			buf := make([]byte, 16<<10)
			for {
				n, err := conn.Read(buf)
				received.Add(int64(n))
				reads.Add(1)
				last.Store(int64(time.Since(began)))
				if err != nil {
					return
				}
			}
		})
	}
	for time.Since(began)-time.Duration(last.Load()) < 1500*time.Millisecond {
		time.Sleep(10 * time.Millisecond)
	}
	b.ReportMetric(float64(received.Load())/1e6, "MB")
	b.ReportMetric(float64(received.Load())/float64(n*n), "B/pair")
	b.ReportMetric(float64(reads.Load())/float64(n), "reads/page")
	for _, c := range conns {
		c.Close()
	}
	pages.Wait()
}

// openPage opens a WebSocket as a browser does, and joins.
func openPage(b *testing.B, h *webtest.House, name string) io.ReadWriteCloser {
	req, err := http.NewRequest("GET", h.Door.URL()+"/ws", nil)
	if err != nil {
		b.Fatal(err)
	}
	for k, v := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
		"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"} {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		b.Fatal(err)
	}
	conn, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		b.Fatal(resp.Status)
	}
	for _, text := range []string{fmt.Sprintf(`{"type":"join","room":"lab","name":%q,"inflate":true}`, name), `{"type":"media","mic":false}`} {
		if _, err := conn.Write(frame(text)); err != nil {
			b.Fatal(err)
		}
	}
	return conn
}

// Package webtest is what tests of the browsers' door need: a host with the door on loopback, in
// the way of net/http/httptest, and clients of a few lines for its requests and its WebSocket.
package webtest

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"rendezvous/conference"
	"rendezvous/conference/settings"
	"rendezvous/conference/settings/settingstest"
	"rendezvous/signalling/web"
)

// patience is how long a client waits for what takes milliseconds on an idle machine.
const patience = 30 * time.Second

// House is a host with a web door.
type House struct {
	Host *conference.Host
	Door *web.Door
}

// Open starts a host with a web door on free ports of loopback, and ends it when the test is over.
// What the rooms leave out is completed; change, which may be nil, adapts the door.
func Open(t testing.TB, rooms []settings.Room, change func(*web.Config)) *House {
	t.Helper()
	return OpenRecording(t, nil, rooms, change)
}

// OpenRecording is Open with something that makes recordings.
func OpenRecording(t testing.TB, recorder conference.Recorder, rooms []settings.Room, change func(*web.Config)) *House {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
	host, err := conference.NewHost(conference.Config{Log: log, Recorder: recorder, Rooms: settingstest.Rooms(rooms...)})
	if err != nil {
		t.Fatal(err)
	}
	cfg := web.Config{Log: log, Host: host, Listen: "127.0.0.1:0", MediaUDP: "127.0.0.1:0"}
	if change != nil {
		change(&cfg)
	}
	door, err := web.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := door.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		host.Close()
		if err := door.Close(); err != nil {
			t.Errorf("closing the door: %v", err)
		}
	})
	return &House{host, door}
}

// Do makes one request on a connection of its own, follows no redirection, and returns the answer
// with its body. A header "Host" takes the place of the URL's.
func Do(t testing.TB, method, url, body string, header map[string]string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
		if k == "Host" {
			req.Host = v
		}
	}
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		Timeout:       patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(out)
}

// Socket opens a page's WebSocket, which closes with the test, sends its first message, and returns
// the first reply.
func (h *House) Socket(t testing.TB, message string) (*websocket.Conn, map[string]any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, strings.Replace(h.Door.URL(), "http", "ws", 1)+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	if err := conn.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
		t.Fatal(err)
	}
	return conn, Receive(t, conn, "")
}

// Receive reads messages of a page's WebSocket until one is of the wanted type; "" takes any.
func Receive(t testing.TB, conn *websocket.Conn, want string) map[string]any {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		_, b, err := conn.Read(ctx)
		if err != nil {
			t.Fatalf("waiting for %q: %v", want, err)
		}
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		if want == "" || m["type"] == want {
			return m
		}
	}
}

package control

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"rendezvous/conference"
	"rendezvous/internal/eventually"
	"rendezvous/mixer/leg"
	"rendezvous/moderation"
)

// told is one event as a program has it: by the rules of the HTML standard, section 9.2.6.
type told struct{ id, kind, data string }

// follower is curl, which follows events.
type follower struct {
	t      *testing.T
	events chan told
	beats  chan string // ids that came without an event
	ended  chan struct{}
	stop   func()
}

func follow(t *testing.T, url, token, last string) *follower {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	args := []string{"--silent", "--show-error", "--no-buffer", "--fail", "-H", "Authorization: Bearer " + token}
	if last != "" {
		args = append(args, "-H", "Last-Event-ID: "+last)
	}
	curl := exec.CommandContext(ctx, "curl", append(args, url)...)
	out, err := curl.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, curl.Start(), "curl is needed")
	f := &follower{t: t, events: make(chan told, 100), beats: make(chan string, 1000), ended: make(chan struct{})}
	go func() {
		defer close(f.ended)
		var e told
		for lines := bufio.NewScanner(out); lines.Scan(); {
			switch name, value, _ := strings.Cut(lines.Text(), ": "); {
			case lines.Text() == "" && e.data != "":
				select {
				case f.events <- e:
				case <-ctx.Done():
				}
				e = told{}
			case lines.Text() == "":
				select {
				case f.beats <- e.id:
				case <-ctx.Done():
				}
				e = told{}
			case name == "id":
				e.id = value
			case name == "event":
				e.kind = value
			case name == "data":
				e.data = value
			}
		}
		_ = curl.Wait() // it was ended
	}()
	f.stop = func() { cancel(); <-f.ended }
	t.Cleanup(f.stop)
	f.beat() // it is there
	return f
}

// beat returns the id that comes next without an event.
func (f *follower) beat() string {
	f.t.Helper()
	select {
	case id := <-f.beats:
		return id
	case <-time.After(30 * time.Second):
		f.t.Fatal("there is no heartbeat")
		return ""
	}
}

// next returns the next event, whose kind must be as wanted.
func (f *follower) next(want string) told {
	f.t.Helper()
	select {
	case e := <-f.events:
		require.Equal(f.t, want, e.kind, e.data)
		return e
	case <-time.After(30 * time.Second):
		f.t.Fatalf("%s was not told", want)
		return told{}
	}
}

// curl follows what happens, comes back after a break and misses nothing, and is told when it has missed something.
func TestEventsAreFollowed(t *testing.T) {
	s := newSchemas(t)
	var api *API
	server := serve(t, func(a *API) { api = a; a.Events.heartbeat = 50 * time.Millisecond })
	lab, err := api.Host.Room("lab")
	require.NoError(t, err)
	other, err := api.Host.Room("other")
	require.NoError(t, err)
	operator := conference.Operator{Name: "Ben", Role: moderation.Host}
	say := func(room *conference.Room, text string) {
		require.NoError(t, room.Order(operator, moderation.Order{Action: moderation.Chat, Text: text}))
	}

	all := follow(t, server.URL+"/api/v1/events", adminSecret, "")
	one := follow(t, server.URL+"/api/v1/rooms/other/events", adminSecret, "")
	viewer := follow(t, server.URL+"/api/v1/events", viewerSecret, "") // without the scope of orders
	guest := follow(t, server.URL+"/api/v1/events", guestSecret, "")   // of "lab" alone
	l := leg.New(leg.Config{})
	t.Cleanup(l.Close)
	cid, err := other.Join(t.Context(), conference.Caller{Door: "web", Name: "Cid", Identity: "web:cid"}, l, nil)
	require.NoError(t, err)
	for _, f := range []*follower{all, one, viewer} {
		f.next("meeting.began")
		joined := f.next("participant.joined")
		require.Contains(t, joined.data, `"participant":"`+cid.ID()+`"`)
		s.check(t, []byte(joined.data), "components", "schemas", "Event")
	}
	say(other, "first")
	for _, f := range []*follower{all, one} {
		s.check(t, []byte(f.next("chat").data), "components", "schemas", "Event")
		s.check(t, []byte(f.next("order").data), "components", "schemas", "Event")
	}
	viewer.next("chat")
	say(lab, "second\nline")
	require.Contains(t, all.next("chat").data, `second\nline`)
	last := all.next("order")
	require.Contains(t, viewer.next("chat").data, "second") // and no order in between
	require.Contains(t, guest.next("chat").data, "second")  // and nothing of the other room

	// A break: what happened meanwhile is told, once.
	all.stop()
	say(lab, "third")
	back := follow(t, server.URL+"/api/v1/events", adminSecret, last.id)
	require.Contains(t, back.next("chat").data, "third")
	newest := back.next("order")
	// A quiet listener is behind what it was not told, too, by the heartbeat.
	eventually.True(t, "a heartbeat with the newest id", func() bool { return one.beat() == newest.id })
	one.stop()
	say(other, "fourth")
	one = follow(t, server.URL+"/api/v1/rooms/other/events", adminSecret, newest.id)
	require.Contains(t, one.next("chat").data, "fourth")

	for _, f := range []*follower{back, one, viewer, guest} {
		f.stop()
	}
	// What is no longer here, or was before another start, is missed.
	for range feedLength {
		require.NoError(t, api.Events.Add(conference.Event{Kind: conference.EventChat, Room: "lab", Time: time.Now()}))
	}
	for _, id := range []string{last.id, "0123-5", "nonsense", api.Events.life + "-99999999", api.Events.life + "-18446744073709551615"} {
		f := follow(t, server.URL+"/api/v1/events", adminSecret, id)
		f.next("missed")
		say(lab, "fifth")
		require.Contains(t, f.next("chat").data, "fifth")
		f.stop()
	}
}

// The time that a server gives to write an answer is not that of a stream.
func TestStreamsOutliveTheTimeOfAnAnswer(t *testing.T) {
	var api *API
	serve(t, func(a *API) { api = a; a.Events.heartbeat = 50 * time.Millisecond })
	server := httptest.NewUnstartedServer(api.Handler())
	server.Config.WriteTimeout = 200 * time.Millisecond
	server.Start()
	t.Cleanup(server.Close)
	f := follow(t, server.URL+"/api/v1/events", adminSecret, "")
	for began := time.Now(); time.Since(began) < 3*server.Config.WriteTimeout; {
		f.beat()
	}
	require.NoError(t, api.Events.Add(conference.Event{Kind: conference.EventMeetingEnded, Room: "lab", Time: time.Now()}))
	f.next("meeting.ended")
}

// Who listens with a token that is taken away, or allows less, is told nothing more than it is good for.
func TestListenersLoseTheirTokens(t *testing.T) {
	tokens := []Token{
		{Name: "admin", Secret: adminSecret, Scopes: scopes},
		{Name: "viewer", Secret: viewerSecret, Scopes: []Scope{ReadRooms}},
	}
	var now atomic.Pointer[[]Token]
	now.Store(&tokens)
	var api *API
	server := serve(t, func(a *API) { api = a; a.Tokens = func() []Token { return *now.Load() } })
	happens := func(kind conference.EventKind) {
		require.NoError(t, api.Events.Add(conference.Event{Kind: kind, Room: "lab", Time: time.Now()}))
	}
	admin := follow(t, server.URL+"/api/v1/events", adminSecret, "")
	viewer := follow(t, server.URL+"/api/v1/events", viewerSecret, "")
	happens(conference.EventMeetingBegan)
	admin.next("meeting.began")
	viewer.next("meeting.began")
	now.Store(&[]Token{{Name: "admin", Secret: adminSecret, Scopes: []Scope{ReadRooms}}})
	happens(conference.EventOrder)
	happens(conference.EventMeetingEnded)
	admin.next("meeting.ended")
	select {
	case <-viewer.ended:
	case <-time.After(30 * time.Second):
		t.Fatal("who has no token any more listens still")
	}
	require.Empty(t, viewer.events)
}

// A token has so many listeners and no more; one that takes nothing is cut off when its time is over, and counted, and others are told
// all the while.
func TestListenersAreBounded(t *testing.T) {
	var api *API
	server := serve(t, func(a *API) { api = a; a.Events.patience = 100 * time.Millisecond })
	url := server.URL + "/api/v1/events"
	for range feedListeners - 2 {
		require.True(t, api.Events.enter("admin"))
	}
	quick := follow(t, url, adminSecret, "")
	stuck, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { stuck.Close() })
	require.NoError(t, stuck.(*net.TCPConn).SetReadBuffer(4096))
	_, err = fmt.Fprintf(stuck, "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", adminSecret)
	require.NoError(t, err)
	count := func(m prometheus.Metric) float64 {
		var d dto.Metric
		require.NoError(t, m.Write(&d))
		return d.GetGauge().GetValue() + d.GetCounter().GetValue()
	}
	eventually.True(t, "all listen", func() bool { return count(api.Events.listening) == feedListeners })
	out, err := exec.CommandContext(t.Context(), "curl", "--silent", "--include", "-H", "Authorization: Bearer "+adminSecret, url).Output()
	require.NoError(t, err)
	require.Contains(t, string(out), "429 Too Many Requests")
	follow(t, url, viewerSecret, "").stop() // others may
	long := strings.Repeat("x", 4000)
	sent := 0
	eventually.True(t, "who takes nothing is cut off", func() bool {
		for range 100 {
			require.NoError(t, api.Events.Add(conference.Event{
				Kind: conference.EventChat, Room: "lab", Time: time.Now(), Message: &conference.Message{Text: long},
			}))
			sent++
			<-quick.events
		}
		return count(api.Events.dropped) == 1
	})
	eventually.True(t, "the others listen", func() bool { return count(api.Events.listening) == feedListeners-1 })
	t.Logf("cut off after %d events", sent)
}

// taker notes how much it is given to take within one deadline.
type taker struct {
	header     http.Header
	all        bytes.Buffer
	part, most int
	flushed    func()
}

func (w *taker) Header() http.Header             { return w.header }
func (w *taker) WriteHeader(int)                 {}
func (w *taker) FlushError() error               { w.flushed(); return nil }
func (w *taker) SetReadDeadline(time.Time) error { return nil }

func (w *taker) SetWriteDeadline(time.Time) error {
	w.part = 0
	return nil
}

func (w *taker) Write(b []byte) (int, error) {
	w.part += len(b)
	w.most = max(w.most, w.part)
	return w.all.Write(b)
}

// Who comes back after much has happened is told it in parts: each has its time, so that a slow network is no reason to be cut off, and
// a listener costs no more than a part.
func TestMuchIsToldInParts(t *testing.T) {
	f := NewFeed(nil)
	for range feedLength {
		require.NoError(t, f.Add(conference.Event{Kind: conference.EventChat, Room: "lab", Message: &conference.Message{Text: strings.Repeat("<", 4000)}}))
	}
	ctx, cancel := context.WithCancel(t.Context())
	w := &taker{header: http.Header{}}
	w.flushed = func() {
		if strings.Contains(w.all.String(), fmt.Sprintf("\nid: %s\n", f.id(feedLength+1))) {
			cancel()
		}
	}
	s := &stream{feed: f, w: w, ctl: http.NewResponseController(w), token: func() *Token { return &Token{Scopes: []Scope{ReadRooms}} }}
	r := httptest.NewRequestWithContext(ctx, "GET", "/", nil)
	r.Header.Set("Last-Event-ID", f.id(1))
	require.NoError(t, s.run(r))
	require.Equal(t, feedLength, strings.Count(w.all.String(), "\nevent: chat\n"))
	require.Less(t, w.most, 1<<20)
}

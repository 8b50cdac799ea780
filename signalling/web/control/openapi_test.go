package control

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"rendezvous/conference"
	"rendezvous/conference/settings"
	"rendezvous/conference/settings/settingstest"
	"rendezvous/mixer/leg"
	"rendezvous/moderation"
	"rendezvous/signalling/web/links"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	adminSecret = "admin-secret-0123456789"
	guestSecret = "guest-secret-0123456789"

	viewerSecret = "viewer-secret-012345678"
)

// catalogue has one recording, in a file.
type catalogue struct {
	path string
	gone bool
}

func (c *catalogue) List(context.Context, string) ([]Recording, error) {
	return []Recording{{ID: "r1", Room: "lab", Started: time.Unix(1700000000, 0), Duration: 12.5, Size: 10, Type: "video/mp4", State: "complete"}}, nil
}

func (c *catalogue) Open(_ context.Context, _, id string) (*File, error) {
	if id != "r1" || c.gone {
		return nil, fmt.Errorf("recording %s: %w", id, ErrNotFound)
	}
	f, err := os.Open(c.path)
	if err != nil {
		return nil, err
	}
	return &File{ReadSeekCloser: f, Name: "Lab, 14 November.mp4", Type: "video/mp4", Changed: time.Unix(1700000000, 0)}, nil
}

func (c *catalogue) Chapters(_ context.Context, _, id string) ([]Chapter, error) {
	if id != "r1" || c.gone {
		return nil, fmt.Errorf("recording %s: %w", id, ErrNotFound)
	}
	return []Chapter{{Title: "Ann", Participant: "p1", From: 0, To: 12.5}}, nil
}

func (c *catalogue) Delete(_ context.Context, _, id string) error {
	if id != "r1" || c.gone {
		return fmt.Errorf("recording %s: %w", id, ErrNotFound)
	}
	c.gone = true
	return nil
}

// book is what a room's account knows.
type book struct {
	contacts map[string]bool // whether they are banned
	requests []string
}

func (b *book) List(string) (list []Contact, _ error) {
	for _, id := range slices.Sorted(maps.Keys(b.contacts)) {
		list = append(list, Contact{ID: id, Added: time.Unix(1700000000, 0), Banned: b.contacts[id]})
	}
	return list, nil
}

func (b *book) Requests(string) (list []ContactRequest, _ error) {
	for _, id := range b.requests {
		list = append(list, ContactRequest{ID: id, Name: "Ann", Received: time.Unix(1700000000, 0)})
	}
	return list, nil
}

func (b *book) Discard(_, id string) error {
	i := slices.Index(b.requests, id)
	if i < 0 {
		return fmt.Errorf("request of %s: %w", id, ErrNotFound)
	}
	b.requests = slices.Delete(b.requests, i, i+1)
	return nil
}

func (b *book) Accept(room, id string) error {
	if err := b.Discard(room, id); err != nil {
		return err
	}
	return b.Add(room, id)
}

func (b *book) Add(_, id string) error { b.contacts[id] = false; return nil }
func (b *book) Ban(_, id string) error { b.contacts[id] = true; return nil }

func (b *book) Remove(_, id string) error {
	if _, ok := b.contacts[id]; !ok {
		return fmt.Errorf("contact %s: %w", id, ErrNotFound)
	}
	delete(b.contacts, id)
	return nil
}

// jamiID is an account of another network.
func jamiID(digit string) string { return strings.Repeat(digit, 40) }

// fill puts somebody into "lab", and somebody out of it for good.
func fill(t *testing.T, host *conference.Host) {
	t.Helper()
	room, err := host.Room("lab")
	require.NoError(t, err)
	l := leg.New(leg.Config{})
	t.Cleanup(l.Close)
	_, err = room.Join(t.Context(), conference.Caller{Door: "web", Name: "Ann", Identity: "web:ann"}, l, nil)
	require.NoError(t, err)
	ban := moderation.Order{Action: moderation.Ban, Target: "sip:eve@example.org", On: true, Text: "forever"}
	require.NoError(t, room.Order(conference.Operator{Name: "Ben", Role: moderation.Host}, ban))
}

// openLinks has one link into "lab".
func openLinks(t *testing.T) *links.Book {
	t.Helper()
	b, err := links.Open(filepath.Join(t.TempDir(), "links.json"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Make(links.Link{Room: "lab", Role: links.Guest, Name: "Ann", By: "Ben", Expires: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	return b
}

func serve(t *testing.T, change func(*API)) *httptest.Server {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	feed := NewFeed(nil)
	host, err := conference.NewHost(conference.Config{Log: log, Events: func(e conference.Event) {
		if err := feed.Add(e); err != nil {
			t.Error(err)
		}
	}, Rooms: settingstest.Rooms(
		settings.Room{ID: "lab", Title: "Laboratory"}, settings.Room{ID: "other", Title: "Other"},
	)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(host.Close)
	fill(t, host)
	film := filepath.Join(t.TempDir(), "film.mp4")
	if err := os.WriteFile(film, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	api := &API{
		Log: log, Host: host, MaxBody: 4096, Recordings: &catalogue{path: film},
		Contacts: &book{map[string]bool{}, []string{jamiID("a"), jamiID("b")}},
		Tokens: func() []Token {
			return []Token{
				{Name: "admin", Secret: adminSecret, Scopes: scopes},
				{Name: "viewer", Secret: viewerSecret, Scopes: []Scope{ReadRooms}},
				{Name: "guest", Secret: guestSecret, Scopes: []Scope{ReadRooms, WriteRooms}, Rooms: []string{"lab"}},
			}
		},
		Events:    feed,
		Links:     openLinks(t),
		LinkURL:   func(l links.Link) string { return "https://meet.example.org/r/" + l.Room + "#token=x" },
		Addresses: func(room string) []string { return []string{"https://meet.example.org/r/" + room} },
		Pending:   func(string) []string { return []string{"jami"} },
		Allow:     func(*http.Request) bool { return true },
		Failed:    func(*http.Request) {},
	}
	if change != nil {
		change(api)
	}
	s := httptest.NewServer(api.Handler())
	t.Cleanup(s.Close)
	return s
}

type exchange struct {
	name, method, path, body, token string
	header                          map[string]string
	status                          int
}

// Every operation is in the description with its scope, and the other way round; every
// answer has a described status and a described body.
func TestHandlersMatchTheDescription(t *testing.T) {
	s := newSchemas(t)
	described := map[string]string{}
	for path, item := range s.at(map[string]any(s.spec), "paths").(map[string]any) {
		for method, op := range item.(map[string]any) {
			if method == "parameters" {
				continue
			}
			described[strings.ToUpper(method)+" "+path] = fmt.Sprint(s.at(op, "x-scope"))
		}
	}
	handled := map[string]string{}
	for _, r := range (&API{}).routes() {
		handled[r.method+" "+r.path] = string(r.scope)
	}
	if !maps.Equal(described, handled) {
		t.Fatalf("described: %v\nhandled: %v", described, handled)
	}

	big := `{"text":"` + strings.Repeat("x", 5000) + `"}`
	limited := func(a *API) { a.Allow = func(*http.Request) bool { return false } }
	patch := map[string]string{"Content-Type": mergePatch}
	bare := func(a *API) { a.Recordings, a.Contacts, a.Links, a.Events = nil, nil, nil, nil }
	tomorrow := time.Now().Add(24 * time.Hour).Format(time.RFC3339)
	for _, group := range []struct {
		change    func(*API)
		exchanges []exchange
	}{
		{nil, []exchange{
			{name: "rooms", method: "GET", path: "/rooms", status: 200},
			{name: "no token", method: "GET", path: "/rooms", token: "-", status: 401},
			{name: "wrong token", method: "GET", path: "/rooms", token: "nonsense", status: 401},
			{name: "room", method: "GET", path: "/rooms/lab", status: 200},
			{name: "room of another token", method: "GET", path: "/rooms/other", token: guestSecret, status: 403},
			{name: "no room", method: "GET", path: "/rooms/nowhere", status: 404},
			{name: "make", method: "POST", path: "/rooms", body: `{"id":"new-room","title":"New","pin":"12","moderatorPin":"34","layout":"one-big","limit":10,"lobby":true,"recording":"auto"}`, status: 201},
			{name: "make by the settings' names", method: "POST", path: "/rooms", body: `{"id":"newer","moderator_pin":"34","max_participants":10,"recording":"off","jami":{"calls":"contacts"}}`, status: 201},
			{name: "make again", method: "POST", path: "/rooms", body: `{"id":"new-room"}`, status: 409},
			{name: "make badly", method: "POST", path: "/rooms", body: `{"id":"New Room"}`, status: 422},
			{name: "layout unknown", method: "POST", path: "/rooms", body: `{"id":"x","layout":"pile"}`, status: 422},
			{name: "same PINs", method: "POST", path: "/rooms", body: `{"id":"x","pin":"1","moderatorPin":"1"}`, status: 422},
			{name: "PIN that no phone can dial", method: "POST", path: "/rooms", body: `{"id":"x","pin":"secret"}`, status: 422},
			{name: "a file of the host", method: "POST", path: "/rooms", body: `{"id":"x","picture":"/etc/hostname"}`, status: 400},
			{name: "calls out", method: "POST", path: "/rooms", body: `{"id":"x","dial":true}`, status: 422},
			{name: "make elsewhere", method: "POST", path: "/rooms", body: `{"id":"abc"}`, token: guestSecret, status: 403},
			{name: "unknown field", method: "POST", path: "/rooms", body: `{"id":"x","colour":"red"}`, status: 400},
			{name: "no JSON", method: "POST", path: "/rooms", body: `hello`, status: 400},
			{name: "two values", method: "POST", path: "/rooms", body: `{"id":"x"} {"id":"y"}`, status: 400},
			{name: "not said to be JSON", method: "POST", path: "/rooms", body: `{"id":"x"}`, header: map[string]string{"Content-Type": "text/plain"}, status: 415},
			{name: "too large", method: "POST", path: "/rooms", body: `{"id":"x","title":"` + strings.Repeat("x", 5000) + `"}`, status: 413},
			{name: "change", method: "PATCH", path: "/rooms/newer", body: `{"pin":"271828","number":"4711","from":"2026-12-24T18:00:00Z","roles":{"moderator":["web:ann"]}}`, header: patch, status: 200},
			{name: "change as JSON", method: "PATCH", path: "/rooms/newer", body: `{"pin":null,"from":null,"limit":7}`, status: 200},
			{name: "settings", method: "GET", path: "/rooms/newer/settings", status: 200},
			{name: "settings with times", method: "PATCH", path: "/rooms/newer", body: `{"until":"2030-12-24T18:00:00Z"}`, header: patch, status: 200},
			{name: "all settings", method: "GET", path: "/rooms/newer/settings", status: 200},
			{name: "settings without scope", method: "GET", path: "/rooms/lab/settings", token: viewerSecret, status: 403},
			{name: "settings nowhere", method: "GET", path: "/rooms/nowhere/settings", status: 404},
			{name: "change nothing", method: "PATCH", path: "/rooms/newer", body: `{}`, header: patch, status: 200},
			{name: "change what another has changed", method: "PATCH", path: "/rooms/newer", body: `{}`, header: map[string]string{"If-Match": `"0"`}, status: 412},
			{name: "change what there is not", method: "PATCH", path: "/rooms/newer", body: `{"colour":null}`, header: patch, status: 400},
			{name: "change by a list", method: "PATCH", path: "/rooms/newer", body: `[]`, header: patch, status: 400},
			{name: "change badly", method: "PATCH", path: "/rooms/newer", body: `{"pin":"secret"}`, header: patch, status: 422},
			{name: "number of another", method: "PATCH", path: "/rooms/new-room", body: `{"number":"4711"}`, header: patch, status: 409},
			{name: "make with the number of another", method: "POST", path: "/rooms", body: `{"id":"newest","number":"4711"}`, status: 409},
			{name: "change a declared room", method: "PATCH", path: "/rooms/lab", body: `{"pin":"1"}`, header: patch, status: 409},
			{name: "change nowhere", method: "PATCH", path: "/rooms/nowhere", body: `{}`, header: patch, status: 404},
			{name: "change without scope", method: "PATCH", path: "/rooms/lab", body: `{}`, token: viewerSecret, header: patch, status: 403},
			{name: "change by form", method: "PATCH", path: "/rooms/newer", body: `a=b`, header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, status: 415},
			{name: "change too much", method: "PATCH", path: "/rooms/newer", body: big, header: patch, status: 413},
			{name: "remove", method: "DELETE", path: "/rooms/new-room", status: 204},
			{name: "remove again", method: "DELETE", path: "/rooms/new-room", status: 404},
			{name: "remove a declared room", method: "DELETE", path: "/rooms/lab", status: 409},
			{name: "events nowhere", method: "GET", path: "/rooms/nowhere/events", status: 404},
			{name: "participants", method: "GET", path: "/rooms/lab/participants", status: 200},
			{name: "participants nowhere", method: "GET", path: "/rooms/nowhere/participants", status: 404},
			{name: "order", method: "POST", path: "/rooms/lab/orders", body: `{"action":"lock","on":true}`, status: 204},
			{name: "order without scope", method: "POST", path: "/rooms/lab/orders", body: `{"action":"lock","on":true}`, token: guestSecret, status: 403},
			{name: "order nobody knows", method: "POST", path: "/rooms/lab/orders", body: `{"action":"dance"}`, status: 422},
			{name: "order about nobody", method: "POST", path: "/rooms/lab/orders", body: `{"action":"remove","target":"p1"}`, status: 409},
			{name: "order nowhere", method: "POST", path: "/rooms/nowhere/orders", body: `{"action":"lock"}`, status: 404},
			{name: "order too large", method: "POST", path: "/rooms/lab/orders", body: big, status: 413},
			{name: "order no JSON", method: "POST", path: "/rooms/lab/orders", body: `{`, status: 400},
			{name: "order as form", method: "POST", path: "/rooms/lab/orders", body: `a=b`, header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, status: 415},
			{name: "audit", method: "GET", path: "/rooms/lab/audit", status: 200},
			{name: "audit without scope", method: "GET", path: "/rooms/lab/audit", token: guestSecret, status: 403},
			{name: "bans", method: "GET", path: "/rooms/lab/bans", status: 200},
			{name: "bans without scope", method: "GET", path: "/rooms/lab/bans", token: guestSecret, status: 403},
			{name: "bans nowhere", method: "GET", path: "/rooms/nowhere/bans", status: 404},
			{name: "lift", method: "DELETE", path: "/rooms/lab/bans/sip:eve@example.org", status: 204},
			{name: "lift again", method: "DELETE", path: "/rooms/lab/bans/sip:eve@example.org", status: 404},
			{name: "lift nowhere", method: "DELETE", path: "/rooms/nowhere/bans/web:x", status: 404},
			{name: "write", method: "POST", path: "/rooms/lab/chat", body: `{"text":"The lift is broken."}`, status: 204},
			{name: "write nothing", method: "POST", path: "/rooms/lab/chat", body: `{"text":""}`, status: 422},
			{name: "write too much", method: "POST", path: "/rooms/lab/chat", body: big, status: 413},
			{name: "read", method: "GET", path: "/rooms/lab/chat", status: 200},
			{name: "recordings", method: "GET", path: "/rooms/lab/recordings", status: 200},
			{name: "recordings nowhere", method: "GET", path: "/rooms/nowhere/recordings", status: 404},
			{name: "download", method: "GET", path: "/rooms/lab/recordings/r1", status: 200},
			{name: "download a part", method: "GET", path: "/rooms/lab/recordings/r1", header: map[string]string{"Range": "bytes=2-4"}, status: 206},
			{name: "download no part", method: "GET", path: "/rooms/lab/recordings/r1", header: map[string]string{"Range": "bytes=20-"}, status: 416},
			{name: "download nothing", method: "GET", path: "/rooms/lab/recordings/r2", status: 404},
			{name: "chapters", method: "GET", path: "/rooms/lab/recordings/r1/chapters", status: 200},
			{name: "chapters of nothing", method: "GET", path: "/rooms/lab/recordings/r2/chapters", status: 404},
			{name: "drop", method: "DELETE", path: "/rooms/lab/recordings/r1", status: 204},
			{name: "drop again", method: "DELETE", path: "/rooms/lab/recordings/r1", status: 404},
			{name: "contact requests", method: "GET", path: "/rooms/lab/contact-requests", status: 200},
			{name: "contact requests without scope", method: "GET", path: "/rooms/lab/contact-requests", token: guestSecret, status: 403},
			{name: "contact requests nowhere", method: "GET", path: "/rooms/nowhere/contact-requests", status: 404},
			{name: "accept", method: "POST", path: "/rooms/lab/contact-requests/" + jamiID("a") + "/accept", status: 204},
			{name: "accept again", method: "POST", path: "/rooms/lab/contact-requests/" + jamiID("a") + "/accept", status: 404},
			{name: "accept without scope", method: "POST", path: "/rooms/lab/contact-requests/" + jamiID("b") + "/accept", token: guestSecret, status: 403},
			{name: "discard", method: "DELETE", path: "/rooms/lab/contact-requests/" + jamiID("b"), status: 204},
			{name: "discard again", method: "DELETE", path: "/rooms/lab/contact-requests/" + jamiID("b"), status: 404},
			{name: "discard no id", method: "DELETE", path: "/rooms/lab/contact-requests/ann", status: 404},
			{name: "add a contact", method: "POST", path: "/rooms/lab/contacts", body: `{"id":"` + jamiID("c") + `"}`, status: 204},
			{name: "ban", method: "POST", path: "/rooms/lab/contacts", body: `{"id":"` + jamiID("d") + `","banned":true}`, status: 204},
			{name: "add nobody", method: "POST", path: "/rooms/lab/contacts", body: `{"id":"ann"}`, status: 422},
			{name: "add nowhere", method: "POST", path: "/rooms/nowhere/contacts", body: `{"id":"` + jamiID("c") + `"}`, status: 404},
			{name: "add no JSON", method: "POST", path: "/rooms/lab/contacts", body: `ann`, status: 400},
			{name: "add as text", method: "POST", path: "/rooms/lab/contacts", body: `{}`, header: map[string]string{"Content-Type": "text/plain"}, status: 415},
			{name: "add too much", method: "POST", path: "/rooms/lab/contacts", body: big, status: 413},
			{name: "contacts", method: "GET", path: "/rooms/lab/contacts", status: 200},
			{name: "remove a contact", method: "DELETE", path: "/rooms/lab/contacts/" + jamiID("d"), status: 204},
			{name: "links", method: "GET", path: "/rooms/lab/links", status: 200},
			{name: "links without scope", method: "GET", path: "/rooms/lab/links", token: viewerSecret, status: 403},
			{name: "links nowhere", method: "GET", path: "/rooms/nowhere/links", status: 404},
			{name: "make a link", method: "POST", path: "/rooms/lab/links", body: `{"role":"guest","expires":"` + tomorrow + `"}`, status: 201},
			{name: "make a link for somebody", method: "POST", path: "/rooms/lab/links", body: `{"role":"moderator","expires":"` + tomorrow + `","name":"Cid"}`, status: 201},
			{name: "link for a king", method: "POST", path: "/rooms/lab/links", body: `{"role":"king","expires":"` + tomorrow + `"}`, status: 422},
			{name: "link for ever", method: "POST", path: "/rooms/lab/links", body: `{"role":"guest"}`, status: 422},
			{name: "link until some time", method: "POST", path: "/rooms/lab/links", body: `{"role":"guest","expires":"tomorrow"}`, status: 400},
			{name: "link with more", method: "POST", path: "/rooms/lab/links", body: `{"role":"guest","expires":"` + tomorrow + `","colour":"red"}`, status: 400},
			{name: "link as text", method: "POST", path: "/rooms/lab/links", body: `{}`, header: map[string]string{"Content-Type": "text/plain"}, status: 415},
			{name: "link too much", method: "POST", path: "/rooms/lab/links", body: big, status: 413},
			{name: "link nowhere", method: "POST", path: "/rooms/nowhere/links", body: `{}`, status: 404},
			{name: "revoke nothing", method: "DELETE", path: "/rooms/lab/links/x", status: 404},
			{name: "remove a contact again", method: "DELETE", path: "/rooms/lab/contacts/" + jamiID("d"), status: 404},
		}},
		{limited, []exchange{{name: "guessed too often", method: "GET", path: "/rooms", status: 429}}},
		{bare, []exchange{
			{name: "no catalogue", method: "GET", path: "/rooms/lab/recordings", status: 501},
			{name: "nothing to download", method: "GET", path: "/rooms/lab/recordings/r1", status: 501},
			{name: "nothing to drop", method: "DELETE", path: "/rooms/lab/recordings/r1", status: 501},
			{name: "no chapters", method: "GET", path: "/rooms/lab/recordings/r1/chapters", status: 501},
			{name: "no events", method: "GET", path: "/events", status: 501},
			{name: "no events of a room", method: "GET", path: "/rooms/lab/events", status: 501},
			{name: "no Jami door", method: "GET", path: "/rooms/lab/contacts", status: 501},
			{name: "nobody asks", method: "GET", path: "/rooms/lab/contact-requests", status: 501},
			{name: "no links", method: "GET", path: "/rooms/lab/links", status: 501},
			{name: "no link to make", method: "POST", path: "/rooms/lab/links", body: `{}`, status: 501},
			{name: "no link to revoke", method: "DELETE", path: "/rooms/lab/links/x", status: 501},
			{name: "nobody to accept", method: "POST", path: "/rooms/lab/contact-requests/" + jamiID("a") + "/accept", status: 501},
		}},
	} {
		server := serve(t, group.change)
		for _, x := range group.exchanges {
			t.Run(x.name, func(t *testing.T) { x.run(t, s, server.URL) })
		}
	}
}

func (x exchange) run(t *testing.T, s schemas, base string) {
	req, err := http.NewRequest(x.method, base+"/api/v1"+x.path, strings.NewReader(x.body))
	if err != nil {
		t.Fatal(err)
	}
	switch x.token {
	case "":
		req.Header.Set("Authorization", "Bearer "+adminSecret)
	case "-":
	default:
		req.Header.Set("Authorization", "Bearer "+x.token)
	}
	if x.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for k, v := range x.header {
		req.Header.Set(k, v)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != x.status {
		t.Fatalf("status %d, want %d: %s", resp.StatusCode, x.status, body)
	}
	// Find the operation's description.
	template := x.path
	for _, r := range (&API{}).routes() {
		a, b := strings.Split(r.path, "/"), strings.Split(x.path, "/")
		if r.method == x.method && len(a) == len(b) && slices.EqualFunc(a, b, func(p, q string) bool { return p == q || strings.HasPrefix(p, "{") }) {
			template = r.path
		}
	}
	at := []string{"paths", template, strings.ToLower(x.method)}
	answer := append(at, "responses", fmt.Sprint(x.status))
	_, described := s.locate(answer...)
	if described == nil {
		t.Fatalf("%s %s: status %d is not described", x.method, template, x.status)
	}
	if x.body != "" && x.status < 300 { // what is taken is described, too
		s.check(t, []byte(x.body), append(at, "requestBody", "content", req.Header.Get("Content-Type"), "schema")...)
	}
	content, _ := s.at(described, "content").(map[string]any)
	kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	if content == nil {
		if len(body) > 0 {
			t.Fatalf("there is a body, of type %q, and none is described", kind)
		}
		return
	}
	if _, ok := content[kind]; !ok {
		t.Fatalf("a body of type %q is not described", kind)
	}
	if strings.HasSuffix(kind, "json") {
		s.check(t, body, append(answer, "content", kind, "schema")...)
	}
}

// Who changes what another has changed meanwhile is told, if they say what they know.
func TestChangesAreToldApart(t *testing.T) {
	server := serve(t, nil)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ask := func(method, path, body, match string) (status int, etag string) {
		t.Helper()
		req, err := http.NewRequest(method, server.URL+"/api/v1"+path, strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+adminSecret)
		req.Header.Set("Content-Type", "application/json")
		if match != "" {
			req.Header.Set("If-Match", match)
		}
		resp, err := client.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		return resp.StatusCode, resp.Header.Get("ETag")
	}
	status, _ := ask("POST", "/rooms", `{"id":"made"}`, "")
	require.Equal(t, 201, status)
	_, first := ask("GET", "/rooms/made/settings", "", "")
	require.NotEmpty(t, first)
	status, second := ask("PATCH", "/rooms/made", `{"title":"A"}`, first)
	require.Equal(t, 200, status)
	status, _ = ask("PATCH", "/rooms/made", `{"title":"B"}`, first)
	require.Equal(t, 412, status)
	_, now := ask("GET", "/rooms/made/settings", "", "")
	require.Equal(t, second, now)
	status, _ = ask("PATCH", "/rooms/made", `{"title":"B"}`, now)
	require.Equal(t, 200, status)
	status, _ = ask("PATCH", "/rooms/made", `{"title":"C"}`, "*")
	require.Equal(t, 200, status)
}

// meanwhile calls then when something is logged for the first time.
type meanwhile struct {
	slog.Handler
	about string
	then  func()
	once  sync.Once
}

func (m *meanwhile) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == m.about {
		m.once.Do(m.then)
	}
	return m.Handler.Handle(ctx, r)
}

// The ETag that a change is answered with is that of this change, also if another one has come by then: else who goes by it would
// undo what they have not seen.
func TestAnotherChangeMeanwhile(t *testing.T) {
	server := serve(t, func(a *API) {
		_, err := a.Host.Create(settingstest.Room(settings.Room{ID: "made"}))
		require.NoError(t, err)
		a.Log = slog.New(&meanwhile{Handler: a.Log.Handler(), about: "room changed", then: func() {
			if _, err := a.Host.Change("made", func(s settings.Room) (settings.Room, error) { s.PIN = "271828"; return s, nil }); err != nil {
				t.Error(err)
			}
		}})
	})
	patch := func(body, match string) *http.Response {
		req, err := http.NewRequest("PATCH", server.URL+"/api/v1/rooms/made", strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+adminSecret)
		req.Header.Set("Content-Type", mergePatch)
		req.Header.Set("If-Match", match)
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp
	}
	first := patch(`{"title":"A"}`, "*")
	require.Equal(t, 200, first.StatusCode)
	require.Equal(t, 412, patch(`{"pin":""}`, first.Header.Get("ETag")).StatusCode)
}

// Links into a room do not lead into a later one of its name, whatever became of them when it ended; a room is not made while they would.
func TestANewRoomHasNoLinks(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.Mkdir(dir, 0o700))
	book, err := links.Open(filepath.Join(dir, "links.json"))
	require.NoError(t, err)
	old, err := book.Make(links.Link{Room: "made", Role: "host", Expires: time.Now().Add(time.Hour)})
	require.NoError(t, err)
	var api *API
	server := serve(t, func(a *API) { a.Links = book; api = a })
	create := func(id string) int {
		req, err := http.NewRequest("POST", server.URL+"/api/v1/rooms", strings.NewReader(`{"id":"`+id+`"}`))
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+adminSecret)
		req.Header.Set("Content-Type", "application/json")
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode
	}
	require.NoError(t, os.RemoveAll(dir))
	require.Equal(t, 500, create("made"))
	_, err = api.Host.Room("made")
	require.Error(t, err)

	require.NoError(t, os.Mkdir(dir, 0o700))
	require.Equal(t, 201, create("made"))
	require.False(t, book.Good("made", old.ID))
	good, err := book.Make(links.Link{Room: "made", Role: links.Guest, Expires: time.Now().Add(time.Hour)})
	require.NoError(t, err)
	require.Equal(t, 409, create("made"))
	require.True(t, book.Good("made", good.ID), "of a room that is there")
}

// A download has a name and may not be taken for a page.
func TestDownloadHeaders(t *testing.T) {
	server := serve(t, nil)
	req, _ := http.NewRequest("GET", server.URL+"/api/v1/rooms/lab/recordings/r1", nil)
	req.Header.Set("Authorization", "Bearer "+adminSecret)
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, want := resp.Header.Get("Content-Disposition"), `attachment; filename="Lab, 14 November.mp4"`; got != want {
		t.Errorf("Content-Disposition %s, want %s", got, want)
	}
}

// What an attacker puts into a body ends in an error or in a value, never worse.
func FuzzBodies(f *testing.F) {
	for _, s := range []string{`{"id":"x"}`, `{"action":"mute","targets":["a"],"on":true}`, `[]`, `{"text":"` + strings.Repeat("\\u0000", 50) + `"}`, "{", "null"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if room, err := readRoom([]byte(body)); err == nil && room.Check() != nil {
			t.Errorf("%q makes a room that the host refuses: %v", body, room.Check())
		}
		if room, err := patchRoom(settings.Room{ID: "x"}, []byte(body)); err == nil && room.Check() != nil {
			t.Errorf("%q makes of a room what the host refuses: %v", body, room.Check())
		}
		var o moderation.Order
		if err := decodeJSON(strings.NewReader(body), &o); err == nil {
			_ = o.Check()
		}
	})
}

package control

import (
	"context"
	_ "embed" // the API's description
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"rendezvous/conference"
	"rendezvous/moderation"
	"rendezvous/signalling/web/links"
)

// OpenAPI is the API's description.
//
//go:embed openapi.yaml
var OpenAPI []byte

// API answers requests below /api/v1.
type API struct {
	Log        *slog.Logger
	Host       *conference.Host
	Tokens     func() []Token             // that are good now
	MaxBody    int64                      // bytes of a request's body
	Addresses  func(room string) []string // where people meet, by all doors
	Pending    func(room string) []string // doors that will have an address before long; may be nil
	Allow      func(r *http.Request) bool // whether the caller's address may still guess tokens
	Failed     func(r *http.Request)      // told of each wrong token
	Recordings Recordings                 // may be nil
	Contacts   Contacts                   // may be nil
	Links      *links.Book                // may be nil
	LinkURL    func(links.Link) string    // what is followed; "": the door takes none
	Events     *Feed                      // may be nil
}

// requestTime bounds all but downloads and streams of events.
const requestTime = 15 * time.Second

// route is one operation of the API.
type route struct {
	method, path string
	scope        Scope
	do           func(w http.ResponseWriter, r *http.Request, t *Token) error
}

// endless reports whether the answer lasts as long as the caller wishes.
func (rt route) endless() bool { return strings.HasSuffix(rt.path, "/events") }

func (a *API) routes() []route {
	return []route{
		{"GET", "/rooms", ReadRooms, a.listRooms},
		{"POST", "/rooms", WriteRooms, a.createRoom},
		{"GET", "/rooms/{room}", ReadRooms, a.getRoom},
		{"PATCH", "/rooms/{room}", WriteRooms, a.changeRoom},
		{"DELETE", "/rooms/{room}", WriteRooms, a.deleteRoom},
		{"GET", "/rooms/{room}/settings", WriteRooms, a.settings},
		{"GET", "/rooms/{room}/participants", ReadRooms, a.participants},
		{"POST", "/rooms/{room}/orders", GiveOrders, a.order},
		{"GET", "/rooms/{room}/chat", ReadRooms, a.history},
		{"POST", "/rooms/{room}/chat", WriteChat, a.chat},
		{"GET", "/rooms/{room}/audit", GiveOrders, a.audit},
		{"GET", "/rooms/{room}/bans", GiveOrders, a.listBans},
		{"DELETE", "/rooms/{room}/bans/{identity}", GiveOrders, a.liftBan},
		{"GET", "/rooms/{room}/recordings", ReadRecordings, a.listRecordings},
		{"GET", "/rooms/{room}/recordings/{id}", ReadRecordings, a.download},
		{"DELETE", "/rooms/{room}/recordings/{id}", DropRecordings, a.deleteRecording},
		{"GET", "/rooms/{room}/recordings/{id}/chapters", ReadRecordings, a.chapters},
		{"GET", "/events", ReadRooms, a.events},
		{"GET", "/rooms/{room}/events", ReadRooms, a.events},
		{"GET", "/rooms/{room}/links", WriteRooms, a.listLinks},
		{"POST", "/rooms/{room}/links", WriteRooms, a.makeLink},
		{"DELETE", "/rooms/{room}/links/{id}", WriteRooms, a.revokeLink},
		{"GET", "/rooms/{room}/contacts", ReadContacts, a.listContacts},
		{"POST", "/rooms/{room}/contacts", WriteContacts, a.addContact},
		{"DELETE", "/rooms/{room}/contacts/{id}", WriteContacts, a.aboutContact(Contacts.Remove)},
		{"GET", "/rooms/{room}/contact-requests", ReadContacts, a.listRequests},
		{"POST", "/rooms/{room}/contact-requests/{id}/accept", WriteContacts, a.aboutContact(Contacts.Accept)},
		{"DELETE", "/rooms/{room}/contact-requests/{id}", WriteContacts, a.aboutContact(Contacts.Discard)},
	}
}

// Handler serves the API; paths begin with /api/v1.
func (a *API) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, rt := range a.routes() {
		mux.Handle(rt.method+" /api/v1"+rt.path, a.guard(rt))
	}
	mux.HandleFunc("GET /api/v1/openapi.yaml", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/yaml")
		_, _ = w.Write(OpenAPI)
	})
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		a.fail(w, r, &problem{Status: http.StatusNotFound, Detail: "there is nothing at this path"})
	})
	return mux
}

// guard checks the token, bounds the body and the time, and turns errors into answers.
func (a *API) guard(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if !a.Allow(r) {
			w.Header().Set("Retry-After", "60")
			a.fail(w, r, &problem{Status: http.StatusTooManyRequests, Detail: "too many wrong tokens from this address"})
			return
		}
		secret, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		var t *Token
		if ok {
			if t = find(a.Tokens(), secret); t == nil {
				a.Failed(r)
			}
		}
		if t == nil {
			w.Header().Set("WWW-Authenticate", `Bearer realm="control"`)
			a.fail(w, r, &problem{Status: http.StatusUnauthorized, Detail: "a valid bearer token is needed"})
			return
		}
		if !t.allows(rt.scope, r.PathValue("room")) {
			a.fail(w, r, &problem{Status: http.StatusForbidden, Detail: fmt.Sprintf("the token lacks the scope %q for this room", rt.scope)})
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, a.MaxBody)
		ctx := r.Context()
		if !rt.endless() {
			var cancel func()
			ctx, cancel = context.WithTimeout(ctx, requestTime)
			defer cancel()
		}
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(requestTime))
		if err := rt.do(w, r.WithContext(ctx), t); err != nil {
			a.fail(w, r, err)
		}
	})
}

// problem is an error as its receiver gets it (RFC 9457).
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

func (p *problem) Error() string { return p.Detail }

func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	var p *problem
	var tooBig *http.MaxBytesError
	var refused *moderation.Refusal
	var noRoom *conference.Refusal
	switch {
	case errors.As(err, &p):
	case errors.As(err, &tooBig):
		p = &problem{Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf("the body is larger than %d bytes", tooBig.Limit)}
	case errors.Is(err, errInvalid), errors.Is(err, links.ErrInvalid):
		p = &problem{Status: http.StatusUnprocessableEntity, Detail: err.Error()}
	case errors.As(err, &refused):
		p = &problem{Status: http.StatusConflict, Detail: refused.Reason}
	case errors.As(err, &noRoom):
		p = &problem{Status: http.StatusNotFound, Detail: noRoom.Text}
	case errors.Is(err, ErrNotFound), errors.Is(err, links.ErrNotFound):
		p = &problem{Status: http.StatusNotFound, Detail: err.Error()}
	case errors.Is(err, ErrConflict), errors.Is(err, conference.ErrRoomExists), errors.Is(err, conference.ErrRoomDeclared),
		errors.Is(err, conference.ErrNumberTaken), errors.Is(err, links.ErrTooMany):
		p = &problem{Status: http.StatusConflict, Detail: err.Error()}
	default:
		a.Log.Error("control API", "method", r.Method, "path", r.URL.Path, "error", err)
		p = &problem{Status: http.StatusInternalServerError, Detail: "the request failed; the host's log says why"}
	}
	p.Title = http.StatusText(p.Status)
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}

func reply(w http.ResponseWriter, status int, v any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	return ignoreWrite(json.NewEncoder(w).Encode(v))
}

// ignoreWrite drops an error of writing to a client that has gone: nobody is there to be told.
func ignoreWrite(error) error { return nil }

// decode reads a JSON body strictly: one value, no unknown fields.
func decode(r *http.Request, v any) error {
	return decodeAs(r, v, "application/json")
}

// decodeAs is decode for a body of one of these media types.
func decodeAs(r *http.Request, v any, types ...string) error {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || !slices.Contains(types, t) {
		return &problem{Status: http.StatusUnsupportedMediaType, Detail: "the body must be " + strings.Join(types, " or ")}
	}
	return decodeJSON(r.Body, v)
}

func decodeJSON(body io.Reader, v any) error {
	d := json.NewDecoder(body)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return err
		}
		return unexpected(err)
	}
	if d.More() {
		return &problem{Status: http.StatusBadRequest, Detail: "there is more than one value in the body"}
	}
	return nil
}

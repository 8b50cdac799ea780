package web

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"rendezvous/conference"
	"rendezvous/signalling/web/rtc"
)

const (
	typeSDP      = "application/sdp"
	typeFragment = "application/trickle-ice-sdpfrag"
)

// whip is where programs publish into a room (RFC 9725): POST /whip/ROOM with an offer.
func (d *Door) whip() http.Handler { return d.resources("whip", "Publisher") }

// whep is where programs and pages watch a room: the same exchange, the media the other way
// (draft-ietf-wish-whep).
func (d *Door) whep() http.Handler { return d.resources("whep", "Viewer") }

func (d *Door) resources(kind, defaultName string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /"+kind+"/{room}", func(w http.ResponseWriter, r *http.Request) { d.postOffer(w, r, kind, defaultName) })
	mux.HandleFunc("PATCH /"+kind+"/{room}/{id}", func(w http.ResponseWriter, r *http.Request) { d.patchICE(w, r, kind) })
	mux.HandleFunc("DELETE /"+kind+"/{room}/{id}", func(w http.ResponseWriter, r *http.Request) {
		s := d.resource(w, r, kind)
		if s == nil {
			return
		}
		s.leave(conference.EndLeft)
		<-s.done
		w.WriteHeader(http.StatusOK)
	})
	return d.cors(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r)
	}), "POST, PATCH, DELETE")
}

// resource finds the session that a URL names. The last part of it is the secret.
func (d *Door) resource(w http.ResponseWriter, r *http.Request, kind string) *session {
	s := d.sessions.find(r.PathValue("id"))
	if s == nil || s.kind != kind || s.room.ID() != r.PathValue("room") {
		http.Error(w, "there is no such session", http.StatusNotFound)
		return nil
	}
	return s
}

func (d *Door) postOffer(w http.ResponseWriter, r *http.Request, kind, defaultName string) {
	offer, ok := d.readBody(w, r, typeSDP)
	if !ok {
		return
	}
	if !strings.HasPrefix(offer, "v=0") {
		http.Error(w, "the body is not a session description", http.StatusBadRequest)
		return
	}
	j := joinRequest{room: r.PathValue("room"), name: queryName(r.URL, defaultName), watch: kind == "whep"}
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		// A join token has two dots; a PIN is digits.
		if strings.Count(bearer, ".") == 2 {
			j.token = bearer
		} else {
			j.pin = bearer
		}
	}
	s, err := d.join(r.Context(), r, kind, j)
	if err != nil {
		status, text := statusOf(err)
		if status == http.StatusInternalServerError {
			d.log.Error("letting a caller in", "kind", kind, "error", err)
		}
		d.metrics.refused.WithLabelValues(string(refusalMessage(err).Code)).Inc()
		switch status {
		case http.StatusUnauthorized:
			w.Header().Set("WWW-Authenticate", `Bearer realm="room"`)
		case http.StatusServiceUnavailable, http.StatusTooManyRequests:
			w.Header().Set("Retry-After", "60")
		}
		http.Error(w, text, status)
		return
	}
	answer, err := s.answer(r.Context(), offer)
	if err != nil {
		s.leave(conference.EndLeft)
		<-s.done
		if errors.Is(err, rtc.ErrOffer) {
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
			return
		}
		s.log.Error("answering an offer", "error", err)
		http.Error(w, "the offer could not be answered", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	d.linkICE(h)
	h.Set("Content-Type", typeSDP)
	h.Set("Location", fmt.Sprintf("/%s/%s/%s", kind, s.room.ID(), s.secret))
	h.Set("ETag", etag(s.peer))
	h.Set("Accept-Patch", typeFragment)
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, answer)
}

// etag names the ICE session in force (RFC 9725 section 4.3.1).
func etag(p *rtc.Peer) string {
	ufrag, _ := p.Credentials()
	return `"` + ufrag + `"`
}

// patchICE takes trickled candidates, or restarts ICE where the credentials are new.
func (d *Door) patchICE(w http.ResponseWriter, r *http.Request, kind string) {
	s := d.resource(w, r, kind)
	if s == nil {
		return
	}
	body, ok := d.readBody(w, r, typeFragment)
	if !ok {
		return
	}
	f, err := parseFragment(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	match := r.Header.Get("If-Match")
	ufrag, pwd := s.peer.Credentials()
	restart := f.ufrag != "" && (f.ufrag != ufrag || f.pwd != pwd)
	switch {
	case match == "":
		http.Error(w, "If-Match is needed", http.StatusPreconditionRequired)
		return
	case match != "*" && match != etag(s.peer), match == "*" && !restart:
		http.Error(w, "the ICE session is another one now", http.StatusPreconditionFailed)
		return
	}
	var answer string
	if restart {
		if answer, err = s.peer.Answer(r.Context(), restartOffer(s.peer.RemoteOffer(), f.ufrag, f.pwd)); err != nil {
			s.log.Warn("restarting ICE", "error", err)
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
			return
		}
	}
	for _, c := range f.candidates {
		if err := s.peer.AddCandidate(c); err != nil {
			s.log.Debug("a candidate was not taken", "error", err)
		}
	}
	w.Header().Set("ETag", etag(s.peer))
	if !restart {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", typeFragment)
	w.WriteHeader(http.StatusOK)
	_, _ = io.WriteString(w, answerFragment(answer))
}

// readBody reads a bounded body of the wanted type, or answers why not.
func (d *Door) readBody(w http.ResponseWriter, r *http.Request, want string) (string, bool) {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != want {
		w.Header().Set("Accept-Post", typeSDP)
		http.Error(w, "the body must be "+want, http.StatusUnsupportedMediaType)
		return "", false
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, d.cfg.MaxBody))
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &tooBig):
		http.Error(w, fmt.Sprintf("the body is larger than %d bytes", tooBig.Limit), http.StatusRequestEntityTooLarge)
		return "", false
	case err != nil:
		http.Error(w, "the body could not be read", http.StatusBadRequest)
		return "", false
	}
	return string(b), true
}

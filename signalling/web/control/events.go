package control

import (
	"bytes"
	"fmt"
	"net/http"
	"time"

	"rendezvous/conference"
)

// retryPause is how long a listener that has lost its connection is asked to wait before the next.
const retryPause = 2 * time.Second

// events follows the rooms, or the one of the path, as Server-Sent Events (HTML standard section 9.2), until the caller goes or
// takes nothing any more.
func (a *API) events(w http.ResponseWriter, r *http.Request, t *Token) error {
	if a.Events == nil {
		return &problem{Status: http.StatusNotImplemented, Detail: "this host tells no events"}
	}
	room := r.PathValue("room")
	if room != "" {
		if _, err := a.Host.Room(room); err != nil {
			return err
		}
	}
	if !a.Events.enter(t.Name) {
		w.Header().Set("Retry-After", "60")
		return &problem{Status: http.StatusTooManyRequests, Detail: fmt.Sprintf("the token has %d listeners already", feedListeners)}
	}
	defer a.Events.leave(t.Name)
	s := &stream{feed: a.Events, w: w, ctl: http.NewResponseController(w), room: room,
		token: func() *Token { return find(a.Tokens(), t.Secret) }}
	if err := s.run(r); err != nil {
		a.Log.Info("a listener of events was cut off", "token", t.Name, "room", room, "error", err)
		a.Events.dropped.Inc()
	}
	return nil
}

// stream is what one listener is sent.
type stream struct {
	feed  *Feed
	w     http.ResponseWriter
	ctl   *http.ResponseController
	room  string        // "": all
	token func() *Token // the listener's, as it is now; nil: it opens nothing any more
}

// wants reports whether an event is the listener's to be told.
func (s *stream) wants(e fed, t *Token) bool {
	return (s.room == "" || s.room == e.room) && t.allows(ReadRooms, e.room) && (e.kind != conference.EventOrder || t.allows(GiveOrders, e.room))
}

// run returns an error if the listener was too slow.
func (s *stream) run(r *http.Request) error {
	_ = s.ctl.SetReadDeadline(time.Time{}) // the request has been read, and its connection stays
	h := s.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	number, missed := s.feed.resume(r.Header.Get("Last-Event-ID"))
	var out bytes.Buffer
	fmt.Fprintf(&out, "retry: %d\nid: %s\n\n", retryPause.Milliseconds(), s.feed.id(number))
	if missed {
		out.WriteString("event: missed\ndata: {\"kind\":\"missed\"}\n\n")
	}
	beat := time.NewTicker(s.feed.heartbeat)
	defer beat.Stop()
	for {
		list, more, ok := s.feed.since(number)
		if !ok {
			return fmt.Errorf("it is more than %d events behind", feedLength)
		}
		token := s.token()
		if token == nil {
			return nil // it was taken away meanwhile
		}
		for _, e := range list {
			if number = e.number + 1; s.wants(e, token) {
				fmt.Fprintf(&out, "id: %s\nevent: %s\ndata: %s\n\n", s.feed.id(number), e.kind, e.text)
			}
		}
		if there, err := s.send(&out); !there {
			return err
		}
		if len(list) == feedPart {
			continue // there may be more already
		}
		select {
		case <-more:
		case <-beat.C:
			// What the listener was not to be told is behind it, too.
			fmt.Fprintf(&out, ":\nid: %s\n\n", s.feed.id(number))
		case <-r.Context().Done():
			return nil
		}
	}
}

// send writes what there is, and gives the listener a time to take it. there says whether there still is a listener, the error that
// it has not taken it in time.
func (s *stream) send(out *bytes.Buffer) (there bool, err error) {
	if out.Len() == 0 {
		return true, nil
	}
	began := time.Now()
	_ = s.ctl.SetWriteDeadline(began.Add(s.feed.patience))
	if _, err = out.WriteTo(s.w); err == nil {
		err = s.ctl.Flush()
	}
	// How it fails is another thing in each version of HTTP, and the request's context has ended by then in any case.
	if err != nil && time.Since(began) >= s.feed.patience {
		return false, fmt.Errorf("it takes nothing: %w", err)
	}
	_ = s.ctl.SetWriteDeadline(time.Time{}) // a connection may be silent
	return err == nil, nil
}

package web

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/coder/websocket"

	"rendezvous/conference"
)

// readTimeout is how long a page may be silent; it pings every ten seconds.
const readTimeout = 40 * time.Second

// socketBuffer is the size of a WebSocket's buffers, in bytes, one each way. HTTP's are four times that, which pays for none of the
// messages of a page that stays for hours: nearly all are shorter, and the long ones pass by them.
const socketBuffer = 1 << 10

// slimmed gives a connection that HTTP lets go of buffers of that size.
type slimmed struct{ http.ResponseWriter }

// Hijack is http.Hijacker's. What has come already is buffered.
func (w slimmed) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, former, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	came, err := former.Peek(former.Reader.Buffered())
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	r := bufio.NewReaderSize(io.MultiReader(bytes.NewReader(came), conn), max(socketBuffer, len(came)))
	if _, err := r.Peek(len(came)); err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	return conn, bufio.NewReadWriter(r, bufio.NewWriterSize(conn, socketBuffer)), nil
}

// socket is a page's signalling connection: it joins or resumes, then its messages go
// to the session until one of the two ends.
func (d *Door) socket(w http.ResponseWriter, r *http.Request) {
	if !d.origins.allows(r) {
		http.Error(w, "pages of this origin may not use this host", http.StatusForbidden)
		return
	}
	// The place is theirs until they have joined, which is when this returns, or have been told that they may not.
	leave, ok := d.limits.unjoined.Enter(d.clientIP(r))
	if !ok {
		w.Header().Set("Retry-After", strconv.Itoa(int(joinTimeout.Seconds())))
		http.Error(w, "there are as many newcomers as the host can take at once", http.StatusServiceUnavailable)
		return
	}
	defer leave()
	d.sockets.Add(1)
	defer d.sockets.Done()
	if d.ctx.Err() != nil {
		http.Error(w, "the host is stopping", http.StatusServiceUnavailable)
		return
	}
	conn, err := websocket.Accept(slimmed{w}, r, &websocket.AcceptOptions{
		OriginPatterns: d.originPatterns(),
	})
	if err != nil {
		return // Accept has answered
	}
	conn.SetReadLimit(d.cfg.MaxMessage)

	s, inflates, err := d.opening(r, conn)
	if err != nil {
		ctx, cancel := context.WithTimeout(d.ctx, writeTimeout)
		defer cancel()
		refusal := refusalMessage(err)
		d.metrics.refused.WithLabelValues(string(refusal.Code)).Inc()
		d.log.Info("a page was not let in", "code", refusal.Code, "error", err)
		_ = conn.Write(ctx, websocket.MessageText, mustJSON(refusal))
		_ = conn.Close(websocket.StatusNormalClosure, "refused")
		_ = conn.CloseNow()
		return
	}
	// The page may stay for hours, and what its request took, up to a deep stack, is let go meanwhile.
	d.sockets.Go(func() {
		defer conn.CloseNow()
		if !s.take(pageConn{conn, inflates}) {
			return
		}
		d.relay(conn, s)
		select {
		case s.lost <- conn:
		case <-s.done:
		}
	})
}

func (d *Door) originPatterns() []string {
	var patterns []string
	for o := range d.origins {
		patterns = append(patterns, o)
	}
	return patterns
}

// opening reads the first message, which says who comes and where to, and whether they take packed messages.
func (d *Door) opening(r *http.Request, conn *websocket.Conn) (s *session, inflates bool, err error) {
	ctx, cancel := context.WithTimeout(d.ctx, joinTimeout)
	defer cancel()
	_, b, err := conn.Read(ctx)
	if err != nil {
		return nil, false, err
	}
	m, err := parseMessage(b)
	if err != nil {
		return nil, false, &conference.Refusal{Code: refusedMalformed, Text: err.Error()}
	}
	switch m.Type {
	case msgResume:
		if s := d.sessions.find(m.Session); s != nil && s.kind == "page" {
			d.metrics.resumed.Inc()
			return s, m.Inflate, nil
		}
		return nil, false, &conference.Refusal{Code: refusedSession, Text: "The call is over; join again."}
	case msgJoin:
		s, err = d.join(ctx, r, "page", joinRequest{room: m.Room, name: m.Name, pin: m.PIN, token: m.Token, session: m.Session, watch: m.Watch})
		return s, m.Inflate, err
	}
	return nil, false, &conference.Refusal{Code: refusedMalformed, Text: "the first message must be join or resume"}
}

// joinRequest is what somebody says who wants to come in, whichever protocol they say it in.
type joinRequest struct {
	room, name, pin, token string
	session                string // the secret of one that they have lost
	watch                  bool
}

// join lets a caller in or returns a *conference.Refusal.
func (d *Door) join(ctx context.Context, r *http.Request, kind string, j joinRequest) (*session, error) {
	ip := d.clientIP(r)
	if !d.guesses.allow(ip) {
		return nil, &conference.Refusal{Code: refusedTooMany, Text: "Too many wrong PINs. Please wait a minute and try again."}
	}
	room, err := d.cfg.Host.Room(j.room)
	if err != nil {
		return nil, err
	}
	c := d.callerOf(r)
	c.Name, c.PIN, c.Observer, c.SeesReactions = j.name, j.pin, j.watch, kind == "page"
	if j.token != "" {
		if err := d.useToken(&c, j.token, room); err != nil {
			if errors.Is(err, errSpent) {
				return nil, err
			}
			d.guesses.failed(ip)
			return nil, &conference.Refusal{Code: refusedToken, Text: err.Error()}
		}
	}
	if old := d.sessions.find(j.session); old != nil && old.kind == kind {
		c.Session = old.call // the room lets them take their own place
	}
	s, err := d.enter(ctx, kind, deviceOf(r), room, c)
	var refused *conference.Refusal
	if errors.As(err, &refused) && refused.Code == conference.RefusedPIN && j.pin != "" {
		d.guesses.failed(ip)
	}
	return s, err
}

// relay hands a page's messages to its session until either ends. A page that sends what
// cannot be understood is told so; one that does it often is cut off.
func (d *Door) relay(conn *websocket.Conn, s *session) {
	const patience = 20
	for bad := 0; bad < patience; {
		ctx, cancel := context.WithTimeout(d.ctx, readTimeout)
		_, b, err := conn.Read(ctx)
		cancel()
		if err != nil {
			return
		}
		m, err := parseMessage(b)
		if err != nil {
			bad++
			ctx, cancel := context.WithTimeout(d.ctx, writeTimeout)
			_ = conn.Write(ctx, websocket.MessageText, mustJSON(errorMessage{"error", err.Error()}))
			cancel()
			continue
		}
		if s.asks.WaitN(d.ctx, m.cost()) != nil {
			return // the host stops
		}
		select {
		case s.in <- inbound{conn, m}:
		case <-s.done:
			return
		}
	}
}

// queryName is the display name in a URL, for callers without a page.
func queryName(u *url.URL, def string) string {
	if name := trimName(u.Query().Get("name")); name != "" {
		return name
	}
	return def
}

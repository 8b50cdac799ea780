package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"rendezvous/conference"
	"rendezvous/internal/sourcenet"
	"rendezvous/internal/tracing"
	"rendezvous/mixer/leg"
	"rendezvous/moderation"
	"rendezvous/signalling/web/rtc"
)

// session is one caller in one room: a page, a WHIP publisher or a WHEP viewer. Its
// goroutine owns everything below "run's own"; a page's WebSockets come and go above it.
type session struct {
	door    *Door
	log     *slog.Logger
	kind    string           // "page", "whip", "whep"
	secret  string           // names the session towards its caller
	network netip.Prefix     // that the caller is in
	call    string           // names it towards the room; kept when the caller has to come in anew
	room    *conference.Room // the one joined; a moderator may have moved the member since
	leg     *leg.Leg
	peer    *rtc.Peer
	setup   *tracing.Setup
	device  string // the browser's secret, "" if it has none
	pin     string // that was given; "": none
	member  *conference.Member
	states  chan rtc.State // in: the newest state of the media's connection

	asks  *rate.Limiter        // of what a page asks, whichever connection it has
	conns chan pageConn        // in: a WebSocket to talk to the page by
	lost  chan *websocket.Conn // in: a WebSocket that has ended
	in    chan inbound         // in: what a page sends
	quit  chan conference.EndReason
	done  chan struct{} // closed when the session is over

	participant atomic.Pointer[string]         // the member's id, once there is a member; set before that is asked for
	present     atomic.Pointer[websocket.Conn] // what run writes to; nil: nothing

	// run's own
	conn     *websocket.Conn
	inflates bool   // the page at conn does
	told     uint64 // the version of the roster that the page has; 0: none
	admitted bool
	mic      bool             // what the page has said of its microphone last, or not yet: it is on
	info     *conference.Info // not told yet
	state    rtc.State
}

// pageConn is a page's WebSocket, and what it has said of itself there.
type pageConn struct {
	conn     *websocket.Conn
	inflates bool // packed messages
}

type inbound struct {
	conn *websocket.Conn
	msg  clientMessage
}

const (
	writeTimeout = 10 * time.Second // for a message to a page
	takeWithin   = 100 * time.Millisecond
	endTimeout   = 5 * time.Second // for the room to confirm that a caller has left
	// resumeDraining is how long a page may be away when the host is about to stop.
	resumeDraining = 2 * time.Second
)

// What a page may ask: simple things a second, and at once. What is read from the disk, or negotiated, counts for several.
// More waits, and the page's connection with it.
const (
	askRate  = 20
	askBurst = 100
	askDear  = 5
)

// cost is what a message counts for.
func (m *clientMessage) cost() int {
	switch m.Type {
	case msgOffer, msgRecordings, msgAudit, msgInvite, msgContacts, msgLinks, msgMakeLink, msgRevokeLink, msgName:
		return askDear
	}
	return 1
}

// enter makes a session in a room for a caller, or says why not.
func (d *Door) enter(ctx context.Context, kind, device string, room *conference.Room, c conference.Caller) (*session, error) {
	if err := d.admit(); err != nil {
		return nil, err
	}
	s := &session{
		door: d, kind: kind, device: device, pin: c.PIN, secret: secret(), room: room, states: make(chan rtc.State, 1),
		conns: make(chan pageConn), lost: make(chan *websocket.Conn), in: make(chan inbound),
		quit: make(chan conference.EndReason, 1), done: make(chan struct{}),
		asks: rate.NewLimiter(askRate, askBurst), mic: true,
	}
	if c.Session == "" {
		c.Session = s.secret[:8]
	}
	s.call = c.Session
	s.log = d.log.With("room", room.ID(), "session", c.Session, "kind", kind)
	s.setup = d.cfg.Tracer.Begin(d.Name(), kind, room.ID(), "join")
	s.log = s.setup.Log(s.log)
	s.leg = leg.New(leg.Config{Log: s.log, Metrics: d.cfg.LegMetrics, OnFirst: func(k leg.Kind) { s.setup.Packet(k.String()) }})
	remote, err := netip.ParseAddr(c.Source)
	if err != nil {
		remote = netip.Addr{} // not known
	}
	s.network = sourcenet.Of(remote)
	if s.peer, err = d.engine.NewPeer(rtc.PeerConfig{Log: s.log, Leg: s.leg, Remote: remote, OnState: s.connection, OnICE: func() { s.setup.Step("dtls") }}); err != nil {
		s.leg.Close()
		s.setup.End(err)
		return nil, err
	}
	if err = d.sessions.add(s); err == nil {
		if s.member, err = room.Join(ctx, c, s.leg, nil); err != nil {
			d.forget(s)
		}
	}
	if err != nil {
		s.peer.Close()
		s.leg.Close()
		s.setup.End(err)
		return nil, err
	}
	id := s.member.ID()
	s.participant.Store(&id)
	d.metrics.sessions.WithLabelValues(kind).Inc()
	s.log.Info("caller in", "participant", s.member.ID(), "name", c.Name)
	d.callers.Go(s.run)
	return s, nil
}

func (d *Door) forget(s *session) {
	if d.sessions.remove(s) {
		d.rosters.forget(s.room.ID())
	}
}

// leave asks the session to end.
func (s *session) leave(reason conference.EndReason) {
	select {
	case s.quit <- reason:
	default: // it has been asked already
	}
}

func (s *session) run() {
	defer s.finish()
	// A page must bring its WebSocket, and everybody their media, in good time.
	resumeWithin := s.door.cfg.ResumeWithin
	away := time.NewTimer(resumeWithin)
	defer away.Stop()
	if s.kind != "page" {
		away.Stop()
	}
	dead := time.NewTimer(s.door.cfg.MediaWithin) // the media is not there
	defer dead.Stop()
	drained := s.door.drained
	stop := s.door.ctx.Done()
	var confirm <-chan time.Time
	leave := func(reason conference.EndReason) {
		s.member.Leave(reason)
		if confirm == nil {
			confirm = time.After(endTimeout)
		}
	}
	fetch := func() (over bool) {
		m := s.member.Fetch()
		if m.Info != nil {
			s.info = m.Info
		}
		s.pass(m.News) // who is admitted sees the room at once
		s.tell()
		if m.Ended != "" {
			s.send(endedMessage{"ended", m.Ended})
			s.log.Info("caller out", "participant", s.member.ID(), "reason", m.Ended)
		}
		return m.Ended != ""
	}
	for {
		select {
		case c := <-s.conns:
			if s.conn != nil {
				s.drop(websocket.StatusPolicyViolation, "the page has another connection now")
			}
			s.conn, s.inflates = c.conn, c.inflates
			s.present.Store(c.conn)
			away.Stop()
			s.welcome()
			if fetch() {
				return
			}
		case c := <-s.lost:
			if c == s.conn {
				s.conn = nil
				away.Reset(resumeWithin)
			}
		case in := <-s.in:
			if in.conn != s.conn {
				continue
			}
			if in.msg.Type == msgLeave {
				leave(conference.EndLeft)
				continue
			}
			s.handle(in.msg)
		case <-s.member.Wake():
			if fetch() {
				return
			}
		case s.state = <-s.states:
			switch s.state {
			case rtc.Connected:
				dead.Stop()
			case rtc.Disconnected, rtc.Failed:
				dead.Reset(s.door.cfg.MediaWithin)
			case rtc.Connecting, rtc.Closed:
			}
			if s.kind == "page" {
				// A page whose packets are lost on the way here sees nothing of that.
				s.send(pongOf(s.peer, s.leg, s.state))
			}
		case <-away.C:
			s.log.Info("the page did not come back")
			leave(conference.EndTimeout)
		case <-dead.C:
			s.log.Info("no media", "state", s.state.String())
			leave(conference.EndTimeout)
		case <-drained:
			drained = nil
			resumeWithin = min(resumeWithin, resumeDraining)
			if s.kind == "page" && s.conn == nil {
				away.Reset(resumeWithin)
			}
		case reason := <-s.quit:
			leave(reason)
		case <-stop:
			stop = nil
			leave(conference.EndShutdown)
		case <-confirm:
			s.log.Error("the room did not confirm that the caller has left")
			return
		}
	}
}

// take hands run a page's new WebSocket, and reports whether the session still was there for it. A page has a new one
// because the former takes nothing any more: a write to that may be what run is waiting for.
func (s *session) take(c pageConn) bool {
	stuck := time.NewTimer(takeWithin)
	defer stuck.Stop()
	for {
		select {
		case s.conns <- c:
			return true
		case <-s.done:
			return false
		case <-stuck.C:
			if old := s.present.Load(); old != nil {
				_ = old.CloseNow() // it is of no use any more
			}
		}
	}
}

// finish closes the media first, then the leg that reads it.
func (s *session) finish() {
	close(s.done)
	s.door.forget(s)
	s.door.metrics.sessions.WithLabelValues(s.kind).Dec()
	if s.conn != nil {
		s.drop(websocket.StatusNormalClosure, "the call has ended")
	}
	s.peer.Close()
	s.leg.Close()
	s.setup.End(nil)
}

// answer answers an offer of the caller's.
func (s *session) answer(ctx context.Context, offer string) (string, error) {
	s.setup.Step("offer")
	answer, err := s.peer.Answer(ctx, offer)
	if err == nil {
		s.setup.Step("ice")
	}
	return answer, err
}

func (s *session) drop(code websocket.StatusCode, why string) {
	c := s.conn
	s.conn = nil
	// The closing handshake waits for the page's answer; nobody here should.
	s.door.sockets.Go(func() { _ = c.Close(code, why) })
}

// welcome greets a page on a new WebSocket with all it needs to know.
func (s *session) welcome() {
	room := s.member.Room()
	s.send(welcomeMessage{
		Type: "welcome", Session: s.secret, ID: s.member.ID(), Room: room.ID(), Title: room.Title(),
		ICE: s.door.iceServers(time.Now()), Resumed: s.told != 0, Recordings: s.door.cfg.Recordings != nil, Contacts: s.door.cfg.Contacts != nil,
	})
	s.told = 0
	info, chat := s.member.View()
	s.info = info
	if s.admitted {
		s.send(plainMessage{"admitted"})
		// What was written to the lost WebSocket may not have arrived. The page knows a
		// line that it has by its id.
		s.past(chat, false)
	}
}

// connection takes the newest state of the media's connection, and never blocks: it is rtc's call.
func (s *session) connection(state rtc.State) {
	if state == rtc.Connected {
		s.setup.Ready()
		if s.kind == "whep" { // who watches sends nothing
			s.setup.Done()
		}
	}
	for {
		select {
		case s.states <- state:
			return
		default:
		}
		select {
		case <-s.states: // an older one
		default:
		}
	}
}

// pass hands the room's news on to the page, as far as it can be reached; the rest waits in the room.
func (s *session) pass(news []conference.News) {
	for i, n := range news {
		sent := true
		switch n := n.(type) {
		case conference.Admitted:
			s.admitted = true
			s.send(plainMessage{"admitted"})
			info, chat := s.member.View()
			if info != nil {
				s.info = info
			}
			s.past(chat, true)
		case conference.Message:
			sent = s.kind != "page" || s.send(chatMessage{Type: "chat", Message: n})
		case conference.Notice:
			if n.Kind == conference.NoticeLobby { // a newcomer, or moved into another room's lobby
				s.admitted = false
			}
			sent = s.kind != "page" || s.send(noticeMessage{"notice", n})
		case conference.Reaction:
			s.send(reactionMessage{Type: "reaction", From: n.From, Name: n.Name, Text: n.Text}) // a page that is away misses it
		}
		if !sent {
			s.member.PutBack(news[i:])
			return
		}
	}
}

// past tells a page what was said before it came, or while it was away.
func (s *session) past(chat []conference.Message, before bool) {
	for _, m := range chat {
		s.send(chatMessage{Type: "chat", Message: m, Past: before})
	}
}

// tell sends what has changed in the room, which sees to it that this is not too often: while a page is slow to take it, changes
// gather there. Who waits in the lobby is told nothing.
func (s *session) tell() {
	if s.conn == nil || s.info == nil || !s.admitted {
		return
	}
	var msg *encoding
	_, role, _ := s.member.Role()
	msg, s.told = s.door.rosters.update(s.told, s.info, role >= moderation.Moderator)
	s.info = nil
	if msg == nil {
		return
	}
	if s.inflates {
		if packed := s.door.rosters.pack(msg); packed != nil {
			s.write(websocket.MessageBinary, packed)
			return
		}
	}
	s.write(websocket.MessageText, msg.text)
}

func (s *session) send(v any) bool {
	if s.conn == nil {
		return false
	}
	return s.write(websocket.MessageText, mustJSON(v))
}

func (s *session) write(as websocket.MessageType, b []byte) bool {
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	// A failed write closes the connection, and its reader reports it lost.
	return s.conn.Write(ctx, as, b) == nil
}

// handle does what a page asks.
func (s *session) handle(m clientMessage) {
	switch m.Type {
	case msgOffer:
		ctx, cancel := context.WithTimeout(s.door.ctx, writeTimeout)
		defer cancel()
		answer, err := s.answer(ctx, m.SDP)
		if err != nil {
			s.log.Warn("answering an offer", "error", err)
			s.send(errorMessage{"error", "The media connection could not be set up: " + err.Error()})
			return
		}
		s.send(answerMessage{"answer", answer})
	case msgCandidate:
		if err := s.peer.AddCandidate(*m.Candidate); err != nil {
			s.log.Debug("a candidate was not taken", "error", err)
		}
	case msgMedia:
		if err := s.peer.SetMedia(rtc.Media{Camera: m.Camera, Screen: m.Screen}); err != nil {
			s.log.Warn("changing media", "error", err)
		}
		// Only a switch is the wish to be heard: who starts their camera, or is back from another network, does not lift a moderator's mute.
		var err error
		if m.Mic != s.mic {
			s.mic = m.Mic
			err = s.member.SetSelfMuted(!m.Mic)
		}
		s.result(m.N, err)
	case msgOrder:
		s.result(m.N, s.member.Order(*m.Order))
	case msgChat:
		s.result(m.N, s.member.Order(moderation.Order{Action: moderation.Chat, Text: m.Text}))
	case msgRecordings:
		s.send(s.recordings())
	case msgAudit:
		s.send(s.audit())
	case msgInvite:
		s.send(s.invite(m))
	case msgLinks:
		s.send(s.links(""))
	case msgMakeLink:
		made, err := s.makeLink(m.Role, m.Name, m.Hours)
		if err == nil {
			s.send(s.links(made))
		}
		s.result(m.N, err)
	case msgRevokeLink:
		err := s.revokeLink(m.Link)
		s.send(s.links(""))
		s.result(m.N, err)
	case msgName:
		s.result(m.N, s.nameRecording(m.Recording, m.Text))
	case msgContacts:
		s.send(s.contacts())
	case msgContact:
		s.result(m.N, s.decideContact(m.Contact, m.Text))
	case msgPing:
		s.send(pongOf(s.peer, s.leg, s.state))
	}
}

// result answers an order. Who asked for no answer is told of failures only.
func (s *session) result(n int, err error) {
	r := resultMessage{Type: "result", N: n, OK: err == nil}
	var refused *moderation.Refusal
	switch {
	case err == nil:
	case errors.As(err, &refused):
		r.Text = refused.Reason
	default:
		s.log.Warn("an order failed", "error", err)
		r.Text = "That did not work: " + err.Error()
	}
	if n != 0 || err != nil {
		s.send(r)
	}
}

// callerOf is what every kind of request tells of its caller.
func (d *Door) callerOf(r *http.Request) conference.Caller {
	identity, proven := d.identityOf(r)
	return conference.Caller{
		Door: d.Name(), Address: "web", Identity: identity, Proven: proven, Source: d.clientIP(r).String(),
		Connection: "WebRTC", Agent: clip(r.UserAgent(), 200), Disposable: true, SeesRoster: true,
	}
}

func clip(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

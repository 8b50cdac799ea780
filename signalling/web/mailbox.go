package web

import (
	"sync"

	"rendezvous/conference"
	"rendezvous/signalling/web/rtc"
)

// maxMail is how many chat lines and notices wait for a page that has lost its WebSocket.
const maxMail = 300

// mailbox is where the room and the connection leave what a session has to pass on. It
// never blocks them. It is the session's conference.Listener.
type mailbox struct {
	wake    chan struct{} // has one element when there is something to fetch
	metrics *metrics

	mu   sync.Mutex
	mail mail // guarded by mu
}

// mail is what has come since the last fetch.
type mail struct {
	admitted bool
	lobby    bool             // sent there, before admitted
	info     *conference.Info // the newest
	queue    []any            // messages to the page, oldest first
	state    *rtc.State
	ended    *conference.EndReason
}

func newMailbox(m *metrics) *mailbox { return &mailbox{wake: make(chan struct{}, 1), metrics: m} }

func (b *mailbox) put(f func(m *mail)) {
	b.mu.Lock()
	f(&b.mail)
	if over := len(b.mail.queue) - maxMail; over > 0 {
		b.mail.queue = b.mail.queue[over:]
		b.metrics.dropped.Add(float64(over))
	}
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// fetch empties the box.
func (b *mailbox) fetch() mail {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := b.mail
	b.mail = mail{}
	return m
}

// Admitted, Info, Chat, Notice and Ended are the room's calls.
func (b *mailbox) Admitted()                  { b.put(func(m *mail) { m.admitted = true }) }
func (b *mailbox) Info(info *conference.Info) { b.put(func(m *mail) { m.info = info }) }
func (b *mailbox) Chat(c conference.Message) {
	b.put(func(m *mail) { m.queue = append(m.queue, chatMessage{Type: "chat", Message: c}) })
}
func (b *mailbox) Notice(n conference.Notice) {
	b.put(func(m *mail) {
		if n.Kind == conference.NoticeLobby { // a newcomer, or moved into another room's lobby
			m.lobby, m.admitted = true, false
		}
		m.queue = append(m.queue, noticeMessage{"notice", n})
	})
}
func (b *mailbox) Ended(reason conference.EndReason) { b.put(func(m *mail) { m.ended = &reason }) }

func (b *mailbox) state(s rtc.State) { b.put(func(m *mail) { m.state = &s }) }

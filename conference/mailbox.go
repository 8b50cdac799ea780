package conference

import (
	"slices"
	"sync"
)

// mailboxLength is how many chat lines and notices may wait for a slow door.
const mailboxLength = 256

// News is something a room tells a member, besides its state: a Message, a Notice, a Reaction or Admitted.
type News interface{ news() }

// Admitted says that the member has come from the lobby into the room: at once if there is no lobby, and again in a room they are
// moved to.
type Admitted struct{}

func (Admitted) news() {}
func (Message) news()  {}
func (Notice) news()   {}

// Mail is what a room has told a member since the last Fetch.
type Mail struct {
	News  []News    // the oldest first
	Info  *Info     // the newest, nil if the room has not changed; shared, must not be written
	Ended EndReason // why the member is out, else ""; nothing comes after it
}

// mailbox keeps what a room tells one member until their door fetches it. Posting never blocks: of Infos
// only the newest is kept, of the rest the oldest is dropped when too much waits.
type mailbox struct {
	metrics *Metrics
	wake    chan struct{} // one token: there is something to fetch

	mu    sync.Mutex // guards what follows
	mail  Mail
	ended bool // no more posts
}

func newMailbox(m *Metrics) *mailbox { return &mailbox{metrics: m, wake: make(chan struct{}, 1)} }

func (b *mailbox) post(n News) {
	b.mu.Lock()
	if !b.ended {
		b.mail.News = append(b.mail.News, n)
		b.dropOldest()
	}
	b.mu.Unlock()
	b.signal()
}

// dropOldest keeps to the bound, but never forgets that the caller was admitted, nor a line for the sake of a reaction; mu is held.
func (b *mailbox) dropOldest() {
	for len(b.mail.News) > mailboxLength {
		i := max(0, slices.IndexFunc(b.mail.News, passing))
		if _, keep := b.mail.News[i].(Admitted); keep {
			i = 1
		}
		b.mail.News = append(b.mail.News[:i], b.mail.News[i+1:]...)
		b.metrics.dropped.Inc()
	}
}

// postInfo replaces the Info that waits, if any.
func (b *mailbox) postInfo(info *Info) {
	b.mu.Lock()
	if !b.ended {
		b.mail.Info = info
	}
	b.mu.Unlock()
	b.signal()
}

// end is the last that is told.
func (b *mailbox) end(reason EndReason) {
	b.mu.Lock()
	if !b.ended {
		b.ended, b.mail.Ended, b.mail.Info = true, reason, nil
	}
	b.mu.Unlock()
	b.signal()
}

func (b *mailbox) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *mailbox) fetch() Mail {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := b.mail
	b.mail = Mail{}
	if m.Info != nil {
		b.metrics.infos.Inc()
	}
	return m
}

// passing reports what is over in a moment.
func passing(n News) bool {
	_, ok := n.(Reaction)
	return ok
}

// putBack has news be the next again that are fetched, except what is over by then; nobody is woken for them.
func (b *mailbox) putBack(news []News) {
	b.mu.Lock()
	defer b.mu.Unlock()
	news = slices.DeleteFunc(slices.Clone(news), passing)
	b.mail.News = append(news, b.mail.News...)
	b.dropOldest()
}

// deliver calls ln with what comes, until Ended.
func (b *mailbox) deliver(ln Listener) {
	for range b.wake {
		m := b.fetch()
		for _, n := range m.News {
			switch n := n.(type) {
			case Admitted:
				ln.Admitted()
			case Message:
				ln.Chat(n)
			case Notice:
				ln.Notice(n)
			}
		}
		if m.Info != nil {
			ln.Info(m.Info)
		}
		if m.Ended != "" {
			ln.Ended(m.Ended)
			return
		}
	}
}

// Wake has an element when there is something to Fetch.
func (m *Member) Wake() <-chan struct{} { return m.box.wake }

// Fetch takes what the room has told the member since the last time. It is for a door that gave Join no Listener.
func (m *Member) Fetch() Mail { return m.box.fetch() }

// PutBack returns news that could not be passed on now, for the next Fetch; Wake does not tell of them. Reactions are not kept. Of more than 256 that wait the
// oldest are dropped.
func (m *Member) PutBack(news []News) { m.box.putBack(news) }

package conference

import "sync"

// mailboxLength is how many chat lines and notices may wait for a slow door.
const mailboxLength = 256

// mailbox carries what a room says to one Listener, from a goroutine of its
// own. Posting never blocks: of Infos only the newest is kept, of the rest the oldest is
// dropped when too much waits.
type mailbox struct {
	ln      Listener
	metrics *Metrics
	wake    chan struct{} // one token: there is something to deliver

	mu    sync.Mutex // guards what follows
	items []any      // Message, Notice or admitted, in order
	info  *Info
	ended EndReason // no more posts once set
}

// admitted in the queue stands for Listener.Admitted.
type admitted struct{}

func newMailbox(ln Listener, m *Metrics) *mailbox {
	return &mailbox{ln: ln, metrics: m, wake: make(chan struct{}, 1)}
}

// post queues a Message, a Notice or admitted.
func (b *mailbox) post(item any) {
	b.mu.Lock()
	if b.ended == "" {
		if len(b.items) >= mailboxLength {
			b.dropOldest()
		}
		b.items = append(b.items, item)
	}
	b.mu.Unlock()
	b.signal()
}

// dropOldest makes room for one, but never forgets that the caller was admitted.
func (b *mailbox) dropOldest() {
	i := 0
	if _, keep := b.items[0].(admitted); keep {
		i = 1
	}
	b.items = append(b.items[:i], b.items[i+1:]...)
	b.metrics.dropped.Inc()
}

// postInfo replaces the Info that waits, if any.
func (b *mailbox) postInfo(info *Info) {
	b.mu.Lock()
	if b.ended == "" {
		b.info = info
	}
	b.mu.Unlock()
	b.signal()
}

// end has Ended delivered after what is queued; it is the last.
func (b *mailbox) end(reason EndReason) {
	b.mu.Lock()
	if b.ended == "" {
		b.ended = reason
		b.info = nil
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

// run delivers until Ended.
func (b *mailbox) run() {
	for range b.wake {
		for {
			b.mu.Lock()
			items, info, ended := b.items, b.info, b.ended
			b.items, b.info = nil, nil
			b.mu.Unlock()
			for _, item := range items {
				switch item := item.(type) {
				case admitted:
					b.ln.Admitted()
				case Message:
					b.ln.Chat(item)
				case Notice:
					b.ln.Notice(item)
				}
			}
			if info != nil {
				b.ln.Info(info)
				b.metrics.infos.Inc()
			}
			if ended != "" {
				b.ln.Ended(ended)
				return
			}
			if len(items) == 0 && info == nil {
				break
			}
		}
	}
}

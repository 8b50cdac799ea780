package conversation

import (
	"errors"
	"regexp"
	"time"

	"rendezvous/dht/msgpack"
	"rendezvous/dht/value"
	"rendezvous/signalling/jami/account"
)

// The messages of "sync://" channels are arrays of maps: what the account knows of its devices and
// contacts, its conversations, requests to join one, and what newer daemons add.

// Bounds of these messages.
const (
	// maxSync is for one that we read, in bytes. Daemons put all contacts into one.
	maxSync = 4 << 20
	// maxSyncSent is for one that we write, in bytes: daemons of 2023 take what comes in one
	// piece for one message, and a piece has 16 KiB.
	maxSyncSent      = 12 << 10
	maxSyncContacts  = 64   // in one that we write: each has some 130 bytes
	maxSyncMembers   = 64   // named with a conversation: any will do to fetch from
	maxConversations = 4096 // in one that we read
	maxSyncText      = 1000 // bytes of a title or description that we write
)

// syncMsg is one message. Its parts may be empty.
type syncMsg struct {
	contacts      []account.Contact
	conversations []syncConversation
	requests      []syncRequest
}

// syncConversation is a conversation that a device has, or had.
type syncConversation struct {
	id               string // 40 hex digits
	created, removed int64  // Unix seconds; removed is 0 if the account is in it
	members          []string
}

// syncRequest is an invitation to a conversation.
type syncRequest struct {
	id, from           string // 40 hex digits
	title, description string
	received, declined int64 // Unix seconds; declined is 0 if it waits
}

var (
	errSync = errors.New("conversation: malformed message of another device")
	hexID   = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

// parseSync reads one message off the front of b. It is msgpack.ErrTruncated that more must come.
func parseSync(b []byte) (m syncMsg, used int, err error) {
	r := msgpack.NewReader(b)
	for i, n := 0, r.Array(); i < n && r.Err() == nil; i++ {
		switch {
		case i == 0:
			m.contacts = account.ReadDeviceSync(r).Contacts
		case i == 1 && r.Kind() == msgpack.Map:
			for k := r.Map(); k > 0 && r.Err() == nil; k-- {
				key := r.Key()
				if c := readConversation(r); c.id == key && hexID.MatchString(key) && len(m.conversations) < maxConversations {
					m.conversations = append(m.conversations, c)
				}
			}
		case i == 2 && r.Kind() == msgpack.Map:
			for k := r.Map(); k > 0 && r.Err() == nil; k-- {
				key := r.Key()
				if q := readRequest(r); q.id == key && hexID.MatchString(key) && len(m.requests) < maxConversations {
					m.requests = append(m.requests, q)
				}
			}
		default: // preferences, who has read what
			r.Skip()
		}
	}
	return m, r.Offset(), r.Err()
}

func readConversation(r *msgpack.Reader) (c syncConversation) {
	for n := r.Map(); n > 0 && r.Err() == nil; n-- {
		switch r.Key() {
		case "id":
			c.id = r.Str()
		case "created":
			c.created = r.Int()
		case "removed":
			c.removed = r.Int()
		default:
			r.Skip()
		}
	}
	return c
}

func readRequest(r *msgpack.Reader) (q syncRequest) {
	for n := r.Map(); n > 0 && r.Err() == nil; n-- {
		switch key := r.Key(); {
		case key == "conversationId":
			q.id = r.Str()
		case key == "from":
			if k, err := value.ParseKey(r.Str()); err == nil {
				q.from = k.String()
			}
		case key == "received":
			q.received = r.Int()
		case key == "declined":
			q.declined = r.Int()
		case key == "metadatas" && r.Kind() == msgpack.Map:
			for k := r.Map(); k > 0 && r.Err() == nil; k-- {
				name := r.Key()
				if r.Kind() != msgpack.Str {
					r.Skip()
					continue
				}
				switch text := r.Str(); name {
				case "title":
					q.title = text
				case "description":
					q.description = text
				}
			}
		default:
			r.Skip()
		}
	}
	return q
}

// pack writes the message, as several if one would be too large for a daemon.
func (m syncMsg) pack() [][]byte {
	var out [][]byte
	for first := true; first || len(m.contacts) > 0; first = false {
		n := min(len(m.contacts), maxSyncContacts)
		b := msgpack.AppendArray(nil, 4)
		b = account.DeviceSync{Contacts: m.contacts[:n]}.AppendTo(b)
		for range 3 {
			b = msgpack.AppendMap(b, 0)
		}
		out = append(out, b)
		m.contacts = m.contacts[n:]
	}
	out = append(out, packParts(len(m.conversations), 1, func(b []byte, i int) []byte { return m.conversations[i].appendTo(b) })...)
	return append(out, packParts(len(m.requests), 2, func(b []byte, i int) []byte { return m.requests[i].appendTo(b) })...)
}

// packParts writes messages with only the given place filled, with a map of n entries.
func packParts(n, place int, entry func(b []byte, i int) []byte) (out [][]byte) {
	var body []byte
	count := 0
	flush := func() {
		if count == 0 {
			return
		}
		b := msgpack.AppendArray(nil, 4)
		b = account.DeviceSync{}.AppendTo(b)
		for i := 1; i < 4; i++ {
			if i == place {
				b = append(msgpack.AppendMap(b, count), body...)
			} else {
				b = msgpack.AppendMap(b, 0)
			}
		}
		out = append(out, b)
		body, count = nil, 0
	}
	for i := range n {
		if e := entry(nil, i); count > 0 && len(body)+len(e) > maxSyncSent-256 {
			flush()
			body, count = e, 1
		} else {
			body, count = append(body, e...), count+1
		}
	}
	flush()
	return out
}

func (c syncConversation) appendTo(b []byte) []byte {
	b = msgpack.AppendMap(msgpack.AppendString(b, c.id), 6)
	b = msgpack.AppendString(msgpack.AppendString(b, "id"), c.id)
	b = msgpack.AppendInt(msgpack.AppendString(b, "created"), c.created)
	b = msgpack.AppendInt(msgpack.AppendString(b, "removed"), c.removed)
	b = msgpack.AppendInt(msgpack.AppendString(b, "erased"), 0)
	members := c.members[:min(len(c.members), maxSyncMembers)]
	b = msgpack.AppendArray(msgpack.AppendString(b, "members"), len(members))
	for _, id := range members {
		b = msgpack.AppendString(b, id)
	}
	return msgpack.AppendString(msgpack.AppendString(b, "lastDisplayed"), "")
}

func (q syncRequest) appendTo(b []byte) []byte {
	b = msgpack.AppendMap(msgpack.AppendString(b, q.id), 5)
	b = msgpack.AppendString(msgpack.AppendString(b, "from"), q.from)
	b = msgpack.AppendString(msgpack.AppendString(b, "conversationId"), q.id)
	b = msgpack.AppendMap(msgpack.AppendString(b, "metadatas"), 2)
	b = msgpack.AppendString(msgpack.AppendString(b, "title"), q.title)
	b = msgpack.AppendString(msgpack.AppendString(b, "description"), q.description)
	b = msgpack.AppendInt(msgpack.AppendString(b, "received"), q.received)
	return msgpack.AppendInt(msgpack.AppendString(b, "declined"), q.declined)
}

func unix(t time.Time) int64 { return max(0, t.Unix()) }

package roomlog

import (
	"encoding/json"
	"strings"
	"time"

	"rendezvous/conference/audit"
	"rendezvous/moderation"
	"rendezvous/swarm/commit"
)

// TypeOrders is the type of messages that hold orders: a JSON array of Record in the
// field "orders". Clients that do not know it show nothing.
const TypeOrders = "application/vnd.rendezvous.orders+json"

// Orders are written together: a commit has a signature and is told to everybody.
const (
	ordersEvery = 5 * time.Second
	ordersMost  = 64
	ordersBytes = 64 << 10
)

// Record is an order and what became of it, as members of the conversation may know it:
// of identities only those of Jami, no numbers that were dialled and nothing of what was
// said in the chat.
type Record struct {
	Time           time.Time        `json:"time"`
	Actor          string           `json:"actor,omitempty"` // participant id; "" if from outside of the room
	Name           string           `json:"name"`
	Identity       string           `json:"identity,omitempty"`
	Door           string           `json:"door"`
	Role           string           `json:"role"`
	Target         string           `json:"target,omitempty"` // participant id
	TargetName     string           `json:"targetName,omitempty"`
	TargetIdentity string           `json:"targetIdentity,omitempty"`
	Order          moderation.Order `json:"order"`
	Result         audit.Result     `json:"result"`
	Reason         string           `json:"reason,omitempty"`
}

// recordOf is an entry of the audit for the members.
func recordOf(e *audit.Entry) Record {
	r := Record{
		Time: e.Time.UTC(), Actor: e.Actor, Name: e.Name, Identity: public(e.Identity), Door: e.Door, Role: e.Role,
		Target: public(e.Target), TargetName: e.TargetName, TargetIdentity: public(e.TargetIdentity),
		Order: e.Order, Result: e.Result, Reason: e.Reason,
	}
	r.Order.Target, r.Order.Targets = public(e.Order.Target), nil
	if e.Order.Action == moderation.Dial {
		r.Order.Text = ""
		r.Reason = ""
	}
	return r
}

// public leaves out identities other than Jami's, which the members see anyway: phone numbers and
// what browsers are known by. Ids of participants have no scheme.
func public(identity string) string {
	if strings.ContainsRune(identity, ':') && !strings.HasPrefix(identity, "jami:") {
		return ""
	}
	return identity
}

// batch collects orders.
type batch struct {
	records []record
	bytes   int
	since   time.Time
}

// record is an order as it is written, and its event.
type record struct {
	text json.RawMessage
	id   uint64
}

// mostOrders bounds the orders that wait for a conversation that takes nothing.
const mostOrders = 4096

// order takes an order in, for the next batch.
func (m *Log) order(e spooled) {
	text := recordText(e.Order)
	if text == nil {
		m.spool.done(e.id)
		return
	}
	b := &m.orders
	if len(b.records) == 0 {
		b.since = time.Now()
	}
	if len(b.records) >= mostOrders {
		b.bytes -= len(b.records[0].text)
		m.spool.done(b.records[0].id)
		b.records = b.records[1:]
		m.cfg.Metrics.drop("order")
	}
	b.records = append(b.records, record{text, e.id})
	b.bytes += len(text)
	if b.full() && m.failed.until.IsZero() {
		m.flush()
	}
}

// recordText is an order as members are told of it; nil: they are not, as chat is in the conversation itself.
func recordText(e *audit.Entry) json.RawMessage {
	if e == nil || e.Order.Action == moderation.Chat && e.Result == audit.Done {
		return nil
	}
	text, err := json.Marshal(recordOf(e))
	if err != nil {
		return nil // it has been written to the audit in the same form
	}
	return text
}

func (b *batch) full() bool { return len(b.records) >= ordersMost || b.bytes >= ordersBytes }

// due is how long until the batch is to be written: 0 is now, negative never.
func (b *batch) due(now time.Time) time.Duration {
	switch {
	case len(b.records) == 0:
		return -1
	case b.full():
		return 0
	}
	return max(0, b.since.Add(ordersEvery).Sub(now))
}

// flush writes the orders into the conversation, as many to a message as go into one, and reports whether they are there.
func (m *Log) flush() bool {
	b := &m.orders
	for len(b.records) > 0 {
		var texts []json.RawMessage
		var ids []uint64
		bytes := 0
		for _, r := range b.records {
			if len(texts) == ordersMost || bytes > 0 && bytes+len(r.text) > ordersBytes {
				break
			}
			texts, ids = append(texts, r.text), append(ids, r.id)
			bytes += len(r.text)
		}
		text, err := json.Marshal(texts)
		if err == nil {
			if _, ok := m.say(commit.Message{Type: TypeOrders, Fields: map[string]string{"orders": string(text)}}); !ok {
				return false
			}
		}
		m.spool.done(ids...)
		b.records, b.bytes = b.records[len(ids):], b.bytes-bytes
	}
	return true
}

package minutes

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
	records []json.RawMessage
	bytes   int
	since   time.Time
}

// add takes an order in and reports whether the batch is full.
func (b *batch) add(e *audit.Entry, now time.Time) (full bool) {
	if e == nil || e.Order.Action == moderation.Chat && e.Result == audit.Done { // that is in the conversation itself
		return false
	}
	text, err := json.Marshal(recordOf(e))
	if err != nil {
		return false // it has been written to the audit in the same form
	}
	if len(b.records) == 0 {
		b.since = now
	}
	b.records = append(b.records, text)
	b.bytes += len(text)
	return len(b.records) >= ordersMost || b.bytes >= ordersBytes
}

// due is how long until the batch is to be written: 0 is now, negative never.
func (b *batch) due(now time.Time) time.Duration {
	if len(b.records) == 0 {
		return -1
	}
	return max(0, b.since.Add(ordersEvery).Sub(now))
}

// flush writes the orders into the conversation.
func (m *Minutes) flush() {
	if len(m.orders.records) == 0 {
		return
	}
	text, err := json.Marshal(m.orders.records)
	m.orders = batch{}
	if err == nil {
		m.say(commit.Message{Type: TypeOrders, Fields: map[string]string{"orders": string(text)}})
	}
}

package account

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"rendezvous/conference/settings"
	"rendezvous/dht"
	"rendezvous/dht/msgpack"
	"rendezvous/dht/value"
	"rendezvous/signalling/jami/connection"
	"rendezvous/signalling/jami/vcard"
)

// service marks Jami's own among the trust requests.
const service = "cx.ring"

// maxPayload bounds a vCard that comes with a request: what a value of the DHT can hold.
const maxPayload = 64 << 10

// TrustRequest is an account that wants to be a contact.
type TrustRequest struct {
	Account value.Key `json:"account"`
	// Device is the one that asked.
	Device value.LongID `json:"-"`
	// Conversation is the one-to-one conversation the asker made for the two
	// of us: 40 hex digits, or empty.
	Conversation string    `json:"conversation,omitempty"`
	Received     time.Time `json:"received"`
	// Payload is the asker's vCard, or empty.
	Payload []byte `json:"payload,omitempty"`
}

// Name is what the asker's vCard calls them, any text, or empty.
func (r TrustRequest) Name() string {
	card, err := vcard.Parse(r.Payload)
	if err != nil {
		return ""
	}
	return card.Name
}

// trustMessage is a request on the wire, or with confirm an acceptance.
type trustMessage struct {
	conversation string
	payload      []byte
	confirm      bool
}

func (m trustMessage) pack() []byte {
	b := msgpack.AppendMap(nil, 4)
	b = msgpack.AppendString(msgpack.AppendString(b, "service"), service)
	b = msgpack.AppendString(msgpack.AppendString(b, "conversationId"), m.conversation)
	b = msgpack.AppendBytes(msgpack.AppendString(b, "payload"), m.payload)
	return msgpack.AppendBool(msgpack.AppendString(b, "confirm"), m.confirm)
}

var errTrustMessage = errors.New("account: malformed contact request")

func parseTrustMessage(data []byte) (trustMessage, error) {
	var m trustMessage
	var svc string
	r := msgpack.NewReader(data)
	for n := r.Map(); n > 0 && r.Err() == nil; n-- {
		switch r.Key() {
		case "service":
			svc = r.Str()
		case "conversationId":
			m.conversation = r.Str()
		case "payload":
			m.payload = append([]byte(nil), r.Blob()...)
		case "confirm":
			m.confirm = r.Bool()
		default: // invitedMs of newer daemons, and what may come
			r.Skip()
		}
	}
	if err := r.Err(); err != nil {
		return trustMessage{}, fmt.Errorf("%w: %w", errTrustMessage, err)
	}
	if svc != service || len(m.payload) > maxPayload {
		return trustMessage{}, errTrustMessage
	}
	if m.conversation != "" {
		k, err := value.ParseKey(m.conversation)
		if err != nil || k.String() != strings.ToLower(m.conversation) {
			return trustMessage{}, errTrustMessage
		}
		m.conversation = k.String()
	}
	return m, nil
}

// OnTrustRequest registers who is told of contact requests that wait for a
// decision. It is called from one goroutine, and must not block.
func (a *Account) OnTrustRequest(f func(TrustRequest)) {
	a.mu.Lock()
	a.onRequest = f
	a.mu.Unlock()
}

// OnContact registers who is told of accounts that became contacts, because a
// request of theirs was accepted or they accepted ours. It must not block.
func (a *Account) OnContact(f func(Contact)) {
	a.mu.Lock()
	a.onContact = f
	a.mu.Unlock()
}

// TrustRequests lists the requests that wait, oldest first.
func (a *Account) TrustRequests() []TrustRequest {
	a.book.mu.RLock()
	defer a.book.mu.RUnlock()
	return a.book.waitingLocked()
}

// ErrNoRequest says that the account did not ask to be a contact.
var ErrNoRequest = errors.New("account: no such contact request")

// AcceptTrustRequest makes the asker a contact. Its devices are told in the background; one
// that is not online asks again when it is, and is told then. The error wraps ErrNoRequest, or
// is the disk's.
func (a *Account) AcceptTrustRequest(account value.Key) error {
	a.book.mu.RLock()
	r, ok := a.book.requests[account]
	a.book.mu.RUnlock()
	if !ok {
		return fmt.Errorf("%w: %s", ErrNoRequest, account)
	}
	return a.accept(r)
}

// DiscardTrustRequest forgets the request; the asker is told nothing. The error wraps
// ErrNoRequest, or is the disk's; the request waits on then.
func (a *Account) DiscardTrustRequest(account value.Key) error {
	a.book.mu.Lock()
	defer a.book.mu.Unlock()
	r, ok := a.book.requests[account]
	if !ok {
		return fmt.Errorf("%w: %s", ErrNoRequest, account)
	}
	delete(a.book.requests, account)
	if err := a.book.saveLocked(); err != nil {
		a.book.requests[account] = r
		return err
	}
	return nil
}

// maxCard is how large a vCard goes along with a request of ours, in bytes: a value of the DHT
// holds 64 KiB, encrypted and signed. A larger one goes without its picture.
const maxCard = 48 << 10

// SendTrustRequest asks an account to be a contact. conversation is the one-to-one conversation
// that invites it, which must exist already, or empty. It fails if the contact cannot be saved,
// and if no device takes the request: ErrOffline if none is online.
func (a *Account) SendTrustRequest(ctx context.Context, account value.Key, conversation string) error {
	if _, err := a.book.update(account, func(c *Contact) {
		c.add(a.cfg.Now())
		c.Conversation = conversation
	}); err != nil {
		return err
	}
	return a.sendTrust(ctx, account, trustMessage{conversation: conversation, payload: a.card()})
}

// card is the vCard that goes along with a request of ours.
func (a *Account) card() []byte {
	if card := a.VCard(); len(card) <= maxCard {
		return card
	}
	return vcard.Card{Name: a.DisplayName()}.Marshal()
}

func (a *Account) accept(r TrustRequest) error {
	c, err := a.book.update(r.Account, func(c *Contact) {
		c.add(a.cfg.Now())
		c.Confirmed = true
		if r.Conversation != "" {
			c.Conversation = r.Conversation
		}
	})
	if err != nil {
		return err
	}
	a.stopAsking(r.Account)
	a.background(func() {
		ctx, cancel := context.WithTimeout(a.ctx, lookup)
		defer cancel()
		if err := a.sendTrust(ctx, r.Account, trustMessage{conversation: c.Conversation, confirm: true}); err != nil && a.ctx.Err() == nil {
			a.log.Info("account: telling an accepted contact", "account", r.Account, "error", err)
		}
	})
	a.mu.Lock()
	f := a.onContact
	a.mu.Unlock()
	if f != nil {
		f(c)
	}
	return nil
}

// sendTrust puts a message at the inbox of every device of an account. It
// succeeds if one device got it.
func (a *Account) sendTrust(ctx context.Context, account value.Key, m trustMessage) error {
	data := m.pack()
	var errs []error
	sent := 0
	for p, err := range a.Devices(ctx, account) {
		if err == nil {
			v := &dht.Value{ID: value.RandomID(), Type: value.TrustRequest, Data: data}
			err = a.cfg.Node.PutEncrypted(ctx, a.keys.Device, p.Chain.Leaf().PublicKey, inboxKey(p.Device.Short), v)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		sent++
	}
	switch {
	case sent > 0:
		return nil
	case len(errs) == 0:
		return fmt.Errorf("%w: %s", ErrOffline, account)
	default:
		return fmt.Errorf("account: contact request to %s: %w", account, errors.Join(errs...))
	}
}

// onTrust handles a message of a proven sender.
func (a *Account) onTrust(from connection.Peer, m trustMessage) {
	a.book.mu.Lock()
	c, known := a.book.lookupLocked(from.Account)
	policy := a.book.policy
	a.book.mu.Unlock()
	r := TrustRequest{
		Account:      from.Account,
		Device:       from.Device.Long,
		Conversation: m.conversation,
		Received:     a.cfg.Now(),
		Payload:      m.payload,
	}
	switch {
	case known && c.Banned, from.Account == a.ID():
	case m.confirm && known:
		c, err := a.book.update(from.Account, func(c *Contact) {
			c.Confirmed = true
			if m.conversation != "" {
				c.Conversation = m.conversation
			}
		})
		if err != nil {
			a.log.Error("account: saving a contact", "error", err)
		}
		a.stopAsking(from.Account)
		a.mu.Lock()
		f := a.onContact
		a.mu.Unlock()
		if f != nil {
			f(c)
		}
	case m.confirm: // to a request that we did not make
	case known, policy.Requests == settings.RequestsAutomatic:
		if err := a.accept(r); err != nil {
			a.log.Error("account: accepting a contact request", "from", r.Account, "error", err)
		}
	case policy.Requests == settings.RequestsRefused:
		a.log.Info("account: contact request refused", "from", from.Account)
	default:
		a.keepRequest(r)
	}
}

// keepRequest has a request wait, and tells of it: once, and again when it has got a name.
// Daemons of 2026 ask as soon as somebody is made a contact, and once more when their client
// asks with the vCard.
func (a *Account) keepRequest(r TrustRequest) {
	a.book.mu.Lock()
	before, again := a.book.requests[r.Account]
	if len(r.Payload) == 0 {
		r.Payload = before.Payload
	}
	if !again && len(a.book.requests) >= maxRequests {
		a.book.mu.Unlock()
		a.log.Warn("account: too many contact requests wait; one dropped", "from", r.Account)
		return
	}
	a.book.requests[r.Account] = r
	err := a.book.saveLocked()
	a.book.mu.Unlock()
	if err != nil {
		a.log.Error("account: saving a contact request", "error", err)
	}
	a.log.Info("account: contact request waits for a decision", "from", r.Account)
	a.mu.Lock()
	f := a.onRequest
	a.mu.Unlock()
	if f != nil && (!again || before.Name() == "" && r.Name() != "") {
		f(r)
	}
}

// inboxKey is where a device receives what is not a connection request.
func inboxKey(short value.Key) dht.Key { return dht.KeyOfText("inbox:" + short.String()) }

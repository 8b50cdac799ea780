package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rendezvous/dht"
	"rendezvous/dht/identity"
	"rendezvous/dht/msgpack"
	"rendezvous/dht/value"
	"rendezvous/signalling/jami/connection"
)

// Bounds of the inbox.
const (
	maxInbox     = 4096 // values remembered as handled
	inboxWorkers = 8    // certificates being looked up at a time
	lookup       = 15 * time.Second
	maxMessage   = 64 << 10
)

// Message is a text message that came over the DHT (ImMessage), as daemons
// of 2023 send them when there is no channel.
type Message struct {
	ID uint64
	// Bodies holds the text by MIME type.
	Bodies map[string]string
}

// OnMessage registers who is told of messages that come over the DHT. It must
// not block.
func (a *Account) OnMessage(f func(from connection.Peer, m Message)) {
	a.mu.Lock()
	a.onMessage = f
	a.mu.Unlock()
}

// listenInbox receives contact requests and messages.
func (a *Account) listenInbox() error {
	events, err := a.cfg.Node.Listen(a.ctx, inboxKey(a.Device().Short), dht.DecryptWith(a.keys.Device))
	if err != nil {
		return fmt.Errorf("account: listening to the inbox: %w", err)
	}
	a.wg.Go(func() { a.readInbox(events) })
	return nil
}

// readInbox handles each value once: the DHT delivers them again and again.
func (a *Account) readInbox(events <-chan dht.Event) {
	handled := make(map[uint64]struct{})
	slots := make(chan struct{}, inboxWorkers)
	for ev := range events {
		v := ev.Value
		if ev.Expired || v == nil || !v.IsSigned() || v.To != a.Device().Short {
			continue
		}
		if _, again := handled[v.ID]; again {
			continue
		}
		if len(handled) >= maxInbox {
			clear(handled)
		}
		handled[v.ID] = struct{}{}
		select {
		case slots <- struct{}{}:
		case <-a.ctx.Done():
			return
		}
		a.wg.Go(func() {
			defer func() { <-slots }()
			if err := a.onInbox(v); err != nil {
				a.log.Info("account: inbox", "from", v.Owner.ID(), "error", err)
			}
		})
	}
}

func (a *Account) onInbox(v *dht.Value) error {
	if v.Type != value.TrustRequest && v.Type != value.InstantText && v.Type != value.UserData {
		return nil
	}
	from, err := a.peerOf(v.Owner)
	if err != nil {
		return err
	}
	if v.Type == value.UserData {
		return a.onDeviceSync(from, v.Data)
	}
	if v.Type == value.TrustRequest {
		m, err := parseTrustMessage(v.Data)
		if err != nil {
			return err
		}
		a.onTrust(from, m)
		return nil
	}
	m, err := parseMessage(v.Data)
	if err != nil {
		return err
	}
	if len(m.Bodies) == 0 || !a.Admits(from.Account) {
		return nil // a confirmation, or somebody not welcome
	}
	a.mu.Lock()
	f := a.onMessage
	a.mu.Unlock()
	if f != nil {
		f(from, m)
	}
	// Confirmed at our own inbox key, readable by the sender alone.
	ctx, cancel := context.WithTimeout(a.ctx, lookup)
	defer cancel()
	confirm := &dht.Value{ID: value.RandomID(), Type: value.InstantText, Data: packMessage(m.ID, "", a.cfg.Now())}
	return a.cfg.Node.PutEncrypted(ctx, a.keys.Device, v.Owner, inboxKey(a.Device().Short), confirm)
}

// peerOf finds out whose device a key is.
func (a *Account) peerOf(owner *value.PublicKey) (connection.Peer, error) {
	ctx, cancel := context.WithTimeout(a.ctx, lookup)
	defer cancel()
	ids := identity.IDsOf(owner)
	chain, err := a.certs.FindCertificate(ctx, ids)
	if err == nil && !ids.Match(chain.Leaf()) {
		err = identity.ErrChain
	}
	if err == nil {
		err = chain.Verify(a.cfg.Now())
	}
	if err != nil {
		return connection.Peer{}, fmt.Errorf("account: certificate of %s: %w", ids, err)
	}
	account, err := chain.AccountID()
	return connection.Peer{Account: account, Device: ids, Chain: chain}, err
}

// packMessage writes an ImMessage.
func packMessage(id uint64, text string, date time.Time) []byte {
	b := msgpack.AppendMap(nil, 6)
	b = msgpack.AppendUint(msgpack.AppendString(b, "id"), id)
	b = msgpack.AppendString(msgpack.AppendString(b, "msg"), text)
	b = msgpack.AppendInt(msgpack.AppendString(b, "date"), date.Unix())
	b = msgpack.AppendUint(msgpack.AppendString(b, "status"), 0)
	b = msgpack.AppendString(msgpack.AppendString(b, "datatype"), "text/plain")
	return msgpack.AppendMap(msgpack.AppendString(b, "metadatas"), 0)
}

var errMessage = errors.New("account: malformed message")

func parseMessage(data []byte) (Message, error) {
	if len(data) > maxMessage {
		return Message{}, errMessage
	}
	var m Message
	var text, mime string
	meta := map[string]string{}
	r := msgpack.NewReader(data)
	for n := r.Map(); n > 0 && r.Err() == nil; n-- {
		switch key := r.Key(); {
		case key == "id":
			m.ID = r.Uint()
		case key == "msg" && r.Kind() == msgpack.Str:
			text = r.Str()
		case key == "datatype" && r.Kind() == msgpack.Str:
			mime = r.Str()
		case key == "metadatas" && r.Kind() == msgpack.Map:
			for k := r.Map(); k > 0 && r.Err() == nil; k-- {
				mk := r.Key()
				if r.Kind() == msgpack.Str {
					meta[mk] = r.Str()
				} else {
					r.Skip()
				}
			}
		default:
			r.Skip()
		}
	}
	if err := r.Err(); err != nil {
		return Message{}, fmt.Errorf("%w: %w", errMessage, err)
	}
	if text != "" {
		if mime == "" {
			mime = "text/plain"
		}
		m.Bodies = map[string]string{mime: text}
	}
	return m, nil
}

package account

import (
	"errors"
	"fmt"

	"rendezvous/dht/msgpack"
	"rendezvous/dht/value"
	"rendezvous/signalling/jami/connection"
)

// DeviceSync is what one device of an account tells another of the account. Daemons write it on
// "sync://" channels and, when a contact has changed, put it on the DHT.
type DeviceSync struct {
	Contacts []Contact
}

// maxDeviceSync bounds one on the DHT, in bytes.
const maxDeviceSync = 64 << 10

var errDeviceSync = errors.New("account: malformed device sync")

// AppendTo writes it as daemons of 2023 and of today read it.
func (d DeviceSync) AppendTo(b []byte) []byte {
	b = msgpack.AppendMap(b, 6)
	b = msgpack.AppendUint(msgpack.AppendString(b, "date"), 0) // counts on the DHT only
	b = msgpack.AppendString(msgpack.AppendString(b, "device_name"), "")
	b = msgpack.AppendMap(msgpack.AppendString(b, "devices_known"), 0)
	b = msgpack.AppendMap(msgpack.AppendString(b, "devices"), 0) // they find us by our announcement
	b = msgpack.AppendMap(msgpack.AppendString(b, "peers"), len(d.Contacts))
	for _, c := range d.Contacts {
		b = msgpack.AppendBytes(b, c.Account[:])
		b = msgpack.AppendMap(b, 5)
		b = msgpack.AppendInt(msgpack.AppendString(b, "added"), seconds(c.Added))
		b = msgpack.AppendInt(msgpack.AppendString(b, "removed"), seconds(c.Removed))
		b = msgpack.AppendBool(msgpack.AppendString(b, "confirmed"), c.Confirmed)
		b = msgpack.AppendBool(msgpack.AppendString(b, "banned"), c.Banned)
		b = msgpack.AppendString(msgpack.AppendString(b, "conversationId"), c.Conversation)
	}
	// Requests come to every device by themselves.
	return msgpack.AppendMap(msgpack.AppendString(b, "trust_requests"), 0)
}

// ReadDeviceSync reads the next object, which may be nil or have parts that we do not know. The
// reader has the error.
func ReadDeviceSync(r *msgpack.Reader) DeviceSync {
	var d DeviceSync
	if r.Kind() != msgpack.Map {
		r.Skip()
		return d
	}
	for n := r.Map(); n > 0 && r.Err() == nil; n-- {
		if r.Key() != "peers" || r.Kind() != msgpack.Map {
			r.Skip()
			continue
		}
		for k := r.Map(); k > 0 && r.Err() == nil; k-- {
			id := r.Bytes()
			c := readContact(r)
			if r.Err() == nil && len(id) != len(c.Account) {
				r.Fail(errDeviceSync)
			}
			if r.Err() == nil && len(d.Contacts) < maxContacts {
				copy(c.Account[:], id)
				d.Contacts = append(d.Contacts, c)
			}
		}
	}
	return d
}

func readContact(r *msgpack.Reader) Contact {
	var c Contact
	for n := r.Map(); n > 0 && r.Err() == nil; n-- {
		switch r.Key() {
		case "added":
			c.Added = moment(r.Int())
		case "removed":
			c.Removed = moment(r.Int())
		case "confirmed":
			c.Confirmed = r.Bool()
		case "banned":
			c.Banned = r.Bool()
		case "conversationId":
			if k, err := value.ParseKey(r.Str()); err == nil {
				c.Conversation = k.String()
			}
		default:
			r.Skip()
		}
	}
	if c.active() {
		c.Banned = false
	}
	return c
}

// onDeviceSync handles one that came over the DHT.
func (a *Account) onDeviceSync(from connection.Peer, data []byte) error {
	if from.Account != a.ID() || from.Device.Long == a.Device().Long {
		return nil
	}
	if a.revoked.has(from.Device.Long) || len(data) > maxDeviceSync {
		return errDeviceSync
	}
	r := msgpack.NewReader(data)
	d := ReadDeviceSync(r)
	if err := r.Err(); err != nil {
		return fmt.Errorf("%w: %w", errDeviceSync, err)
	}
	return a.MergeContacts(d.Contacts)
}

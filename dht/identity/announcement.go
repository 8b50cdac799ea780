package identity

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"crypto"
	"crypto/rsa"
	"crypto/sha512"

	"rendezvous/dht/msgpack"
	"rendezvous/dht/value"
)

// ErrAnnouncement says that a value is no valid announcement of a device of the account.
var ErrAnnouncement = errors.New("bad device announcement")

// Announcement says that a device belongs to an account. It is found at the account id.
type Announcement struct {
	// Device is the short id of the device.
	Device value.Key
	// PublicKey is the device's key; nil in announcements of old daemons.
	PublicKey *value.PublicKey
}

// announce makes the announcement value of device, signed by master. It has a random id, to be kept.
func announce(master, device *Identity) (*value.Value, error) {
	pub := device.PublicKey()
	data := msgpack.AppendMap(nil, 2)
	data = value.AppendKey(msgpack.AppendString(data, "dev"), pub.ID())
	data = msgpack.AppendBytes(msgpack.AppendString(data, "pk"), pub.DER())
	v := &value.Value{ID: value.RandomID(), Type: value.UserData, Data: data}
	if err := master.Sign(v); err != nil {
		return nil, fmt.Errorf("announce device: %w", err)
	}
	return v, nil
}

// ParseAnnouncement reads a value found at an account id and checks that the account's key signed it. That the device's
// certificate was issued by the account is still to be checked, with the certificate. The error wraps ErrAnnouncement:
// another signature, or a content that names no device, or one with another's key.
func ParseAnnouncement(v *value.Value, account value.Key) (*Announcement, error) {
	if !v.IsSigned() || v.Owner.ID() != account {
		return nil, fmt.Errorf("%w: not signed by account %s", ErrAnnouncement, account)
	}
	if err := v.Check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnnouncement, err)
	}
	a := &Announcement{}
	r := msgpack.NewReader(v.Data)
	for n := r.Map(); n > 0 && r.Err() == nil; n-- {
		switch r.Key() {
		case "dev":
			a.Device = value.ReadKey(r)
		case "pk":
			der := r.Blob()
			if r.Err() != nil {
				break
			}
			pub, err := value.ParsePublicKey(der)
			if err != nil {
				r.Fail(err)
			}
			a.PublicKey = pub
		default:
			r.Skip()
		}
	}
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnnouncement, err)
	}
	if a.Device.IsZero() {
		return nil, fmt.Errorf("%w: no device", ErrAnnouncement)
	}
	if a.PublicKey != nil && a.PublicKey.ID() != a.Device {
		return nil, fmt.Errorf("%w: device %s with the key of %s", ErrAnnouncement, a.Device, a.PublicKey.ID())
	}
	return a, nil
}

// CertificateValue returns the value under which a chain is published: plain, id 1, the PEM texts wrapped in a
// MessagePack bin.
func CertificateValue(chain Chain) *value.Value {
	return &value.Value{ID: 1, Type: value.Certificate, Data: msgpack.AppendBytes(nil, chain.PEM())}
}

// ParseCertificateValue reads a chain out of such a value, also in the older forms: bare PEM or DER. It verifies nothing.
// The error wraps ErrCertificate, also for values of another type and encrypted ones.
func ParseCertificateValue(v *value.Value) (Chain, error) {
	if v.Type != value.Certificate || v.IsEncrypted() {
		return nil, fmt.Errorf("%w: value of type %d", ErrCertificate, v.Type)
	}
	if r := msgpack.NewReader(v.Data); r.Kind() == msgpack.Bin {
		if inner := r.Bytes(); r.Err() == nil {
			return ParseChain(inner)
		}
	}
	return ParseChain(v.Data)
}

// ParseRevocationValue reads a revocation list out of the value in which an account publishes it: DER in a MessagePack
// bin. It fails for anything else, such as the announcements beside it, and verifies nothing.
func ParseRevocationValue(v *value.Value) (*RevocationList, error) {
	r := msgpack.NewReader(v.Data)
	der := r.Blob()
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("parse revocation list: %w", err)
	}
	return parseRevocationList(der)
}

// Receipt is the signed statement a Jami daemon keeps beside an account: which device it is and how it announces it.
type Receipt struct {
	// Text is JSON: id, dev, eth, announce.
	Text []byte
	// Signature over Text, RSASSA-PKCS1-v1_5 with SHA-512, by the account key.
	Signature []byte
}

type receiptJSON struct {
	ID       value.Key `json:"id"`
	Device   value.Key `json:"dev"`
	Eth      string    `json:"eth"`
	Announce string    `json:"announce"`
}

func newReceipt(a *Account, eth string) (Receipt, error) {
	announcement := *a.Announcement
	announcement.ID = 0 // the signature does not cover the id, and a receipt has none
	text, err := json.Marshal(receiptJSON{a.ID(), a.DeviceID(), eth, base64.StdEncoding.EncodeToString(announcement.Pack())})
	if err != nil {
		return Receipt{}, fmt.Errorf("make receipt: %w", err)
	}
	digest := sha512.Sum512(text)
	sig, err := rsa.SignPKCS1v15(nil, a.Master.Key, crypto.SHA512, digest[:])
	if err != nil {
		return Receipt{}, fmt.Errorf("make receipt: %w", err)
	}
	return Receipt{Text: text, Signature: sig}, nil
}

// Check verifies that the account certificate's key signed the receipt and that it announces a device of that account.
// The error wraps ErrAnnouncement if it names another account or device, value.ErrKey for an account whose key is not
// RSA, or that of the signature.
func (r Receipt) Check(account *Certificate) (*Announcement, error) {
	if account.PublicKey == nil {
		return nil, fmt.Errorf("check receipt: %w", value.ErrKey)
	}
	digest := sha512.Sum512(r.Text)
	if err := rsa.VerifyPKCS1v15(account.PublicKey.RSA(), crypto.SHA512, digest[:], r.Signature); err != nil {
		return nil, fmt.Errorf("check receipt: %w", err)
	}
	var fields receiptJSON
	if err := json.Unmarshal(r.Text, &fields); err != nil {
		return nil, fmt.Errorf("check receipt: %w", err)
	}
	packed, err := base64.StdEncoding.DecodeString(fields.Announce)
	if err != nil {
		return nil, fmt.Errorf("check receipt: %w", err)
	}
	v, err := value.Unpack(packed)
	if err != nil {
		return nil, fmt.Errorf("check receipt: %w", err)
	}
	a, err := ParseAnnouncement(v, account.ID())
	if err != nil {
		return nil, fmt.Errorf("check receipt: %w", err)
	}
	if fields.ID != account.ID() || fields.Device != a.Device {
		return nil, fmt.Errorf("check receipt: %w: it names account %s, device %s", ErrAnnouncement, fields.ID, fields.Device)
	}
	return a, nil
}

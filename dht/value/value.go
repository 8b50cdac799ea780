// Package value holds what the DHT stores: values, the keys they live at, and the cryptography that signs and encrypts
// them, byte-compatible with OpenDHT 2.4 and later.
package value

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"rendezvous/dht/msgpack"
)

// Type says what a value is and so how long it lives and who may replace it.
type Type uint16

// The types OpenDHT and Jami know. Every other number is treated like UserData.
const (
	UserData      Type = 0 // anything, also every encrypted value as long as it is encrypted
	Message       Type = 1 // a message to a named service
	IPService     Type = 2 // an announcement of an address; storing nodes rewrite the address
	InstantText   Type = 3 // Jami's ImMessage
	TrustRequest  Type = 4 // Jami's contact requests
	ICECandidates Type = 5
	Certificate   Type = 8 // a PEM chain at the id of its key
)

// Lifetime returns how long a storing node keeps a value of this type after it was created.
func (t Type) Lifetime() time.Duration {
	switch t {
	case Message, InstantText:
		return 5 * time.Minute
	case IPService:
		return 15 * time.Minute
	case TrustRequest, Certificate:
		return 7 * 24 * time.Hour
	case ICECandidates:
		return time.Minute
	default:
		return 10 * time.Minute
	}
}

// MaxSize bounds cipher, data, signature and user type of a value together, in bytes.
const MaxSize = 64 << 10

// MaxPacked bounds a packed value: MaxSize and the largest owner key, recipient and field names around it.
const MaxPacked = MaxSize + 4096

// Errors of packing, unpacking and checking.
var (
	ErrMalformed = errors.New("malformed value")
	ErrTooLarge  = errors.New("value too large")
	ErrSignature = errors.New("bad signature on value")
	ErrDecrypt   = errors.New("cannot decrypt value")
)

// Value is one value of the DHT: plain, signed or encrypted. An encrypted one has only ID, Priority and Cipher.
type Value struct {
	// ID tells values at one key apart: same id, same slot. Zero is not valid on the wire; Put fills it in.
	ID uint64
	// Type decides life and edit policy. Readers of an encrypted value see it only after decryption.
	Type Type
	// Data is the content.
	Data []byte
	// UserType is a free text such as a MIME type or Jami's "peer_request".
	UserType string
	// Priority is for push notifications only: 0 high, 1 normal.
	Priority uint
	// Seq counts versions of a signed value.
	Seq uint16
	// Owner is the key that signed; nil when not signed.
	Owner *PublicKey
	// To is the short id of the recipient's key in a value that was, or will be, encrypted; else zero.
	To Key
	// Signature covers type, data, user type, owner, seq and recipient.
	Signature []byte
	// Cipher is the whole encrypted value.
	Cipher []byte
}

// RandomID returns a random value id that is not zero.
func RandomID() uint64 {
	var b [8]byte
	for {
		rand.Read(b[:]) // never fails (crypto/rand)
		if id := binary.BigEndian.Uint64(b[:]); id != 0 {
			return id
		}
	}
}

// IsEncrypted reports whether the content is hidden.
func (v *Value) IsEncrypted() bool { return len(v.Cipher) > 0 }

// IsSigned reports whether the value carries a signature. Check proves it.
func (v *Value) IsSigned() bool { return v.Owner != nil && len(v.Signature) > 0 }

// Size is what counts against [MaxSize].
func (v *Value) Size() int {
	return len(v.Cipher) + len(v.Data) + len(v.Signature) + len(v.UserType)
}

// Equal reports whether both are the same value with the same id and content. Priority does not count.
func (v *Value) Equal(o *Value) bool {
	return v.ID == o.ID && bytes.Equal(v.Cipher, o.Cipher) &&
		(v.IsEncrypted() || v.Type == o.Type && v.UserType == o.UserType && v.Seq == o.Seq && v.To == o.To &&
			v.Owner.Equal(o.Owner) && bytes.Equal(v.Data, o.Data) && bytes.Equal(v.Signature, o.Signature))
}

// Clone returns a copy that shares nothing with v but the owner's key.
func (v *Value) Clone() *Value {
	c := *v
	c.Data = slices.Clone(v.Data)
	c.Signature = slices.Clone(v.Signature)
	c.Cipher = slices.Clone(v.Cipher)
	return &c
}

// appendPacked appends the value as it goes over the wire.
func (v *Value) appendPacked(b []byte) []byte {
	n := 2
	if v.Priority != 0 {
		n = 3
	}
	b = msgpack.AppendMap(b, n)
	b = msgpack.AppendUint(msgpack.AppendString(b, "id"), v.ID)
	b = msgpack.AppendString(b, "dat")
	if v.IsEncrypted() {
		b = msgpack.AppendBytes(b, v.Cipher)
	} else {
		b = v.appendSigned(b)
	}
	if v.Priority != 0 {
		b = msgpack.AppendUint(msgpack.AppendString(b, "p"), uint64(v.Priority))
	}
	return b
}

// Pack returns the value as it goes over the wire.
func (v *Value) Pack() []byte { return v.appendPacked(make([]byte, 0, v.packedCap())) }

// packedCap is a bound of the packed size: the names, the numbers and the headers take less than 100 bytes.
func (v *Value) packedCap() int {
	n := v.Size() + 100
	if v.Owner != nil {
		n += len(v.Owner.der)
	}
	return n
}

// appendSigned appends the map of body and signature: what is sent in clear, and what is encrypted.
func (v *Value) appendSigned(b []byte) []byte {
	if v.Owner == nil || len(v.Signature) == 0 {
		b = msgpack.AppendString(msgpack.AppendMap(b, 1), "body")
		return v.appendBody(b)
	}
	b = msgpack.AppendString(msgpack.AppendMap(b, 2), "body")
	b = v.appendBody(b)
	return msgpack.AppendBytes(msgpack.AppendString(b, "sig"), v.Signature)
}

// appendBody appends the map that a signature covers. The order of the fields is part of the protocol.
func (v *Value) appendBody(b []byte) []byte {
	n := 2
	if v.Owner != nil {
		n += 2
		if !v.To.IsZero() {
			n++
		}
	}
	if v.UserType != "" {
		n++
	}
	b = msgpack.AppendMap(b, n)
	if v.Owner != nil {
		b = msgpack.AppendUint(msgpack.AppendString(b, "seq"), uint64(v.Seq))
		b = msgpack.AppendBytes(msgpack.AppendString(b, "owner"), v.Owner.der)
		if !v.To.IsZero() {
			b = msgpack.AppendBytes(msgpack.AppendString(b, "to"), v.To[:])
		}
	}
	b = msgpack.AppendUint(msgpack.AppendString(b, "type"), uint64(v.Type))
	b = msgpack.AppendBytes(msgpack.AppendString(b, "data"), v.Data)
	if v.UserType != "" {
		b = msgpack.AppendString(msgpack.AppendString(b, "utype"), v.UserType)
	}
	return b
}

// Unpack reads one packed value that fills b. Slices in the result are copies. The error wraps ErrMalformed.
// No signature is checked.
func Unpack(b []byte) (*Value, error) {
	r := msgpack.NewReader(b)
	v := read(r)
	if r.Err() == nil && r.Len() > 0 {
		r.Fail(fmt.Errorf("%d bytes too many", r.Len()))
	}
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return v, nil
}

// read reads one packed value; the error, if any, is the reader's.
func read(r *msgpack.Reader) *Value {
	v := &Value{}
	var hasID, hasContent bool
	for n := r.Map(); n > 0 && r.Err() == nil; n-- {
		switch r.Key() {
		case "id":
			v.ID, hasID = r.Uint(), true
		case "dat":
			hasContent = true
			if r.Kind() == msgpack.Map {
				v.readSigned(r)
			} else if v.Cipher = slices.Clone(r.Blob()); len(v.Cipher) == 0 {
				r.Fail(errors.New("empty content"))
			}
		case "p":
			v.Priority = uint(r.UintMax(math.MaxUint32))
		default:
			r.Skip()
		}
	}
	if !hasID || !hasContent {
		r.Fail(errors.New("value without id or content"))
	}
	if v.Size() > MaxSize {
		r.Fail(ErrTooLarge)
	}
	return v
}

// readSigned reads the map of body and signature.
func (v *Value) readSigned(r *msgpack.Reader) {
	var hasBody bool
	for n := r.Map(); n > 0 && r.Err() == nil; n-- {
		switch r.Key() {
		case "body":
			hasBody = true
			v.readBody(r)
		case "sig":
			v.Signature = slices.Clone(r.Blob())
		default:
			r.Skip()
		}
	}
	switch {
	case !hasBody:
		r.Fail(errors.New("value without body"))
	case v.Owner != nil && len(v.Signature) == 0:
		r.Fail(errors.New("value with an owner but no signature"))
	case v.Owner == nil:
		v.Signature, v.To, v.Seq = nil, Key{}, 0 // meaningless without an owner
	}
}

func (v *Value) readBody(r *msgpack.Reader) {
	var hasType, hasData, hasSeq bool
	for n := r.Map(); n > 0 && r.Err() == nil; n-- {
		switch r.Key() {
		case "seq":
			v.Seq, hasSeq = uint16(r.UintMax(math.MaxUint16)), true
		case "owner":
			der := r.Blob()
			if r.Err() != nil {
				return
			}
			owner, err := ParsePublicKey(der)
			if err != nil {
				r.Fail(err)
			}
			v.Owner = owner
		case "to":
			v.To = ReadKey(r)
		case "type":
			v.Type, hasType = Type(r.UintMax(math.MaxUint16)), true
		case "data":
			v.Data, hasData = slices.Clone(r.Blob()), true
		case "utype":
			v.UserType = string(r.Blob())
		default:
			r.Skip()
		}
	}
	switch {
	case !hasType || !hasData:
		r.Fail(errors.New("body without type or data"))
	case v.Owner != nil && !hasSeq:
		r.Fail(errors.New("body with an owner but no seq"))
	}
}

// ReadKey reads a key: a bin of exactly 20 bytes.
func ReadKey(r *msgpack.Reader) Key {
	var k Key
	p := r.Bytes()
	if r.Err() == nil && len(p) != KeyLen {
		r.Fail(fmt.Errorf("key of %d bytes", len(p)))
		return k
	}
	copy(k[:], p)
	return k
}

// AppendKey appends a key as a bin of 20 bytes.
func AppendKey(b []byte, k Key) []byte { return msgpack.AppendBytes(b, k[:]) }

package value

import (
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
)

// LongIDLen is the length of a [LongID] in bytes.
const LongIDLen = sha256.Size

// LongID names a cryptographic key by the SHA-256 of its DER SubjectPublicKeyInfo (OpenDHT's PkId, Jami's "DeviceId").
type LongID [LongIDLen]byte

// ParseLongID reads 64 hex digits, in either case; anything else is an error, which quotes it.
func ParseLongID(text string) (LongID, error) {
	var id LongID
	if len(text) != 2*LongIDLen {
		return id, fmt.Errorf("parse long id %.70q: want %d hex digits", text, 2*LongIDLen)
	}
	if _, err := hex.Decode(id[:], []byte(text)); err != nil {
		return LongID{}, fmt.Errorf("parse long id %q: %w", text, err)
	}
	return id, nil
}

// String returns 64 lower-case hex digits.
func (id LongID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText makes long ids hex digits in JSON. It never fails.
func (id LongID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// IsZero reports whether the id is unset.
func (id LongID) IsZero() bool { return id == LongID{} }

// Key returns where newer OpenDHT (3.5 and up) looks for what belongs to the long id: the SHA-1 of its 32 bytes.
func (id LongID) Key() Key { return KeyOf(id[:]) }

// Bounds on the RSA moduli we compute with, in bits. Jami's are 4096; the upper bound keeps a stranger's key from
// costing more than a few times that.
const (
	minKeyBits = 1024
	maxKeyBits = 8192
)

// ErrKey says that a public key cannot be used: not RSA, or of a size nobody should use.
var ErrKey = errors.New("unusable public key")

// PublicKey is an RSA public key together with its encoding and the two ids made from that.
type PublicKey struct {
	rsa  *rsa.PublicKey
	der  []byte
	id   Key
	long LongID
}

// ParsePublicKey reads a DER SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7). It keeps a copy of der. The error
// wraps ErrKey for what is none, for another kind than RSA, and for less than minKeyBits or more than maxKeyBits.
func ParsePublicKey(der []byte) (*PublicKey, error) {
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	pub, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%w: %T instead of RSA", ErrKey, parsed)
	}
	if n := pub.N.BitLen(); n < minKeyBits || n > maxKeyBits {
		return nil, fmt.Errorf("%w: RSA modulus of %d bits", ErrKey, n)
	}
	return newPublicKey(pub, append([]byte(nil), der...)), nil
}

// NewPublicKey takes a key of ours; what others send is ParsePublicKey's, which bounds its size. The error wraps
// ErrKey: it cannot be encoded.
func NewPublicKey(pub *rsa.PublicKey) (*PublicKey, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return newPublicKey(pub, der), nil
}

func newPublicKey(pub *rsa.PublicKey, der []byte) *PublicKey {
	return &PublicKey{rsa: pub, der: der, id: sha1.Sum(der), long: sha256.Sum256(der)}
}

// RSA returns the key for crypto/rsa; it must not be changed.
func (p *PublicKey) RSA() *rsa.PublicKey { return p.rsa }

// DER returns the SubjectPublicKeyInfo. Callers must not change it.
func (p *PublicKey) DER() []byte { return p.der }

// ID returns the short id: the SHA-1 of the DER.
func (p *PublicKey) ID() Key { return p.id }

// LongID returns the long id: the SHA-256 of the DER.
func (p *PublicKey) LongID() LongID { return p.long }

// Equal reports whether both are the same key in the same encoding. Either may be nil.
func (p *PublicKey) Equal(other *PublicKey) bool {
	if p == nil || other == nil {
		return p == other
	}
	return p.long == other.long
}

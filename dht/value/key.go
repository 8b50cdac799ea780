package value

import (
	"bytes"
	"crypto/rand"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"math/bits"
	"strings"
)

// KeyLen is the length of a [Key] in bytes.
const KeyLen = sha1.Size

// Key is a place in the DHT (OpenDHT's InfoHash): 20 bytes, usually the SHA-1 of something. Values live at keys; node ids
// and the short ids of cryptographic keys have the same form.
type Key [KeyLen]byte

// KeyOf returns the SHA-1 of data, which is where OpenDHT puts what is named by data.
func KeyOf(data []byte) Key { return sha1.Sum(data) }

// KeyOfText returns the SHA-1 of the text.
func KeyOfText(text string) Key { return sha1.Sum([]byte(text)) }

// ParseKey reads 40 hex digits, in either case; anything else is an error, which quotes
// it.
func ParseKey(text string) (Key, error) {
	var k Key
	if len(text) != 2*KeyLen {
		return k, fmt.Errorf("parse key %.50q: want %d hex digits", text, 2*KeyLen)
	}
	if _, err := hex.Decode(k[:], []byte(text)); err != nil {
		return Key{}, fmt.Errorf("parse key %q: %w", text, err)
	}
	return k, nil
}

// ParseAccountURI reads an account id with or without a "jami:" or "ring:" prefix. The
// error is that of ParseKey.
func ParseAccountURI(uri string) (Key, error) {
	low := strings.ToLower(strings.TrimSpace(uri))
	for _, prefix := range []string{"jami:", "ring:"} {
		if rest, ok := strings.CutPrefix(low, prefix); ok {
			return ParseKey(strings.TrimPrefix(rest, "//"))
		}
	}
	return ParseKey(low)
}

// RandomKey returns a random key that is not zero.
func RandomKey() Key {
	var k Key
	for k.IsZero() {
		rand.Read(k[:]) // never fails (crypto/rand)
	}
	return k
}

// String returns the key as 40 lower-case hex digits.
func (k Key) String() string { return hex.EncodeToString(k[:]) }

// MarshalText makes keys hex digits in JSON. It never fails.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads 40 hex digits. The error is that of ParseKey; the key stays as it
// was then.
func (k *Key) UnmarshalText(text []byte) error {
	parsed, err := ParseKey(string(text))
	if err == nil {
		*k = parsed
	}
	return err
}

// IsZero reports whether the key is all zero, which no node, value or certificate has.
func (k Key) IsZero() bool { return k == Key{} }

// Compare orders keys as big-endian numbers.
func (k Key) Compare(other Key) int { return bytes.Compare(k[:], other[:]) }

// Xor returns the distance between two keys.
func (k Key) Xor(other Key) Key {
	for i := range k {
		k[i] ^= other[i]
	}
	return k
}

// CompareDistance reports which of a and b is nearer to k: negative when a is.
func (k Key) CompareDistance(a, b Key) int {
	for i := range k {
		if x, y := a[i]^k[i], b[i]^k[i]; x != y {
			return int(x) - int(y)
		}
	}
	return 0
}

// CommonBits returns how many leading bits the two keys share: 0 to 160.
func (k Key) CommonBits(other Key) int {
	for i := range k {
		if x := k[i] ^ other[i]; x != 0 {
			return 8*i + bits.LeadingZeros8(x)
		}
	}
	return 8 * KeyLen
}

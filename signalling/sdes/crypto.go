package sdes

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Crypto is one a=crypto line: a suite, and the key that its sender encrypts with. The zero
// Crypto is none.
type Crypto struct {
	Tag   int
	Suite Suite
	key   string // master key, then master salt; of the suite's length
}

// New makes a line with a fresh random key. The suite is one of this package's.
func New(tag int, suite Suite) Crypto {
	n := sizes[suite]
	key := make([]byte, n.key+n.salt)
	rand.Read(key) // never fails (crypto/rand)
	return Crypto{Tag: tag, Suite: suite, key: string(key)}
}

// Present reports whether there is a key at all.
func (c Crypto) Present() bool { return c.key != "" }

// Same reports whether two lines have the same key for the same suite, whatever their tags.
func (c Crypto) Same(other Crypto) bool { return c.Suite == other.Suite && c.key == other.key }

// Master returns master key and master salt.
func (c Crypto) Master() (key, salt []byte) {
	n := min(sizes[c.Suite].key, len(c.key))
	return []byte(c.key[:n]), []byte(c.key[n:])
}

// Value is the attribute's value for a description, with the key.
func (c Crypto) Value() string {
	return c.String() + " inline:" + base64.StdEncoding.EncodeToString([]byte(c.key))
}

// String is the line without its key.
func (c Crypto) String() string { return strconv.Itoa(c.Tag) + " " + string(c.Suite) }

// Format writes String, whatever the verb.
func (c Crypto) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) } // fmt's writers do not fail

// What is wrong with a line. None of it quotes the line: the key may stand anywhere in one that is malformed.
var (
	errShort     = errors.New("crypto attribute: too few fields")
	errTag       = errors.New("crypto attribute: the tag is no number")
	errSuite     = errors.New("crypto attribute: unknown suite")
	errParameter = errors.New("crypto attribute: unsupported session parameter")
	errInline    = errors.New("crypto attribute: not one inline key")
	errMKI       = errors.New("crypto attribute: key with an identifier (MKI)")
	errKey       = errors.New("crypto attribute: not a key of the suite's length")
)

// Parse reads an attribute's value (RFC 4568 §9.1). Lines that ask for what is not done here are errors, so that
// another line is taken, or none: RFC 4568 has them unusable, and packets by them would not be understood.
func Parse(value string) (Crypto, error) {
	f := strings.Fields(value)
	if len(f) < 3 {
		return Crypto{}, errShort
	}
	tag, err := strconv.ParseUint(f[0], 10, 30) // nine digits at most
	if err != nil {
		return Crypto{}, errTag
	}
	suite := Suite(f[1])
	n, known := sizes[suite]
	if !known {
		return Crypto{}, errSuite
	}
	for _, p := range f[3:] {
		// WSH is a hint, and what begins with a dash may be ignored (§6.3.7); the rest changes what is on the wire, to
		// packets without encryption or authentication among others.
		if !strings.HasPrefix(p, "WSH=") && !strings.HasPrefix(p, "-") {
			return Crypto{}, errParameter
		}
	}
	// Several keys are told apart by identifiers in the packets (§6.1).
	inline, ok := strings.CutPrefix(f[2], "inline:")
	if !ok || strings.Contains(inline, ";") {
		return Crypto{}, errInline
	}
	// Then come a lifetime, which is longer than any call, and an identifier, which would be in each packet.
	encoded, more, _ := strings.Cut(inline, "|")
	if strings.Contains(more, ":") {
		return Crypto{}, errMKI
	}
	// Some telephones leave the padding out.
	key, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(encoded, "="))
	if err != nil || len(key) != n.key+n.salt {
		return Crypto{}, errKey
	}
	return Crypto{Tag: int(tag), Suite: suite, key: string(key)}, nil
}

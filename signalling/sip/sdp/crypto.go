package sdp

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// Suite is an SRTP crypto suite as a=crypto names it.
type Suite string

// The suites (RFC 4568 §6.2, RFC 7714 §14.2), strongest common ones first.
const (
	AES128GCM  Suite = "AEAD_AES_128_GCM"
	AES256GCM  Suite = "AEAD_AES_256_GCM"
	AES128CM80 Suite = "AES_CM_128_HMAC_SHA1_80"
	AES128CM32 Suite = "AES_CM_128_HMAC_SHA1_32"
)

// keyLength is master key plus master salt in bytes.
var keyLength = map[Suite][2]int{
	AES128GCM:  {16, 12},
	AES256GCM:  {32, 12},
	AES128CM80: {16, 14},
	AES128CM32: {16, 14},
}

// offeredSuites are those of our own offers, in order.
var offeredSuites = []Suite{AES128CM80, AES128CM32, AES128GCM}

// Crypto is one a=crypto line: a suite and the key its sender encrypts with.
type Crypto struct {
	Tag   int
	Suite Suite
	Key   []byte // master key, then master salt
}

// Split returns master key and master salt.
func (c Crypto) Split() (key, salt []byte) {
	n := keyLength[c.Suite][0]
	return c.Key[:n], c.Key[n:]
}

// Present reports whether there is a key at all.
func (c Crypto) Present() bool { return len(c.Key) > 0 }

func (c Crypto) String() string {
	return strconv.Itoa(c.Tag) + " " + string(c.Suite) + " inline:" + base64.StdEncoding.EncodeToString(c.Key)
}

// NewCrypto makes a line with a fresh random key.
func NewCrypto(tag int, suite Suite) Crypto {
	n := keyLength[suite]
	key := make([]byte, n[0]+n[1])
	rand.Read(key)
	return Crypto{Tag: tag, Suite: suite, Key: key}
}

// parseCrypto reads an a=crypto value (RFC 4568 §9.1). Lines that ask for what is
// not done here (unencrypted streams, key identifiers, several keys) are errors.
func parseCrypto(v string) (Crypto, error) {
	f := strings.Fields(v)
	if len(f) < 3 {
		return Crypto{}, fmt.Errorf("short crypto line")
	}
	tag, err := strconv.ParseUint(f[0], 10, 30)
	if err != nil {
		return Crypto{}, fmt.Errorf("bad crypto tag %q", clip(f[0]))
	}
	suite := Suite(f[1])
	n, known := keyLength[suite]
	if !known {
		return Crypto{}, fmt.Errorf("unknown crypto suite %q", clip(f[1]))
	}
	for _, p := range f[3:] {
		// WSH is a hint; the rest changes what is on the wire (RFC 4568 §6.3).
		if !strings.HasPrefix(p, "WSH=") {
			return Crypto{}, fmt.Errorf("crypto parameter %q not supported", clip(p))
		}
	}
	inline, ok := strings.CutPrefix(f[2], "inline:")
	if !ok || strings.Contains(inline, ";") {
		return Crypto{}, fmt.Errorf("crypto line without one inline key")
	}
	parts := strings.Split(inline, "|")
	for _, p := range parts[1:] {
		if strings.Contains(p, ":") {
			return Crypto{}, fmt.Errorf("crypto line with a key identifier")
		}
	}
	// Some phones leave the padding out.
	key, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(parts[0], "="))
	if err != nil || len(key) != n[0]+n[1] {
		return Crypto{}, fmt.Errorf("bad key in crypto line")
	}
	return Crypto{Tag: int(tag), Suite: suite, Key: key}, nil
}

// Cryptos returns the usable crypto lines of the section in order.
func (m *Media) Cryptos() []Crypto {
	var out []Crypto
	for _, a := range m.Attributes {
		if a.Key == "crypto" && len(out) < 16 {
			if c, err := parseCrypto(a.Value); err == nil {
				out = append(out, c)
			}
		}
	}
	return out
}

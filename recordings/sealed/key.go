package sealed

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// KeySize is the length of a key in bytes.
const KeySize = 32

// Key is a secret that seals files. It does not print itself.
type Key struct{ secret [KeySize]byte }

// NewKey makes a key of KeySize random bytes, which it copies. Another length, and zeros
// alone, are errors; they do not quote it.
func NewKey(secret []byte) (Key, error) {
	var k Key
	if len(secret) != KeySize {
		return Key{}, fmt.Errorf("a key has %d bytes, not %d", KeySize, len(secret))
	}
	copy(k.secret[:], secret)
	if k == (Key{}) {
		return Key{}, errors.New("a key of zeros is none")
	}
	return k, nil
}

// String keeps the secret out of logs.
func (k Key) String() string { return "key " + hex.EncodeToString(k.id()) }

// GoString keeps the secret out of logs.
func (k Key) GoString() string { return k.String() }

// id names the key in files without telling it.
func (k Key) id() []byte { return k.derive(nil, "rendezvous sealed key id", idSize) }

func (k Key) derive(salt []byte, info string, n int) []byte {
	out, err := hkdf.Key(sha256.New, k.secret[:], salt, info, n)
	if err != nil {
		panic(err) // only for lengths that no caller here asks for
	}
	return out
}

// Keyring holds keys: the first seals, and each opens what it sealed. Empty: files are
// written in the clear.
type Keyring []Key

// maxKeyFile bounds a key file, bytes.
const maxKeyFile = 64 << 10

// LoadKeys reads a key file: a key on each line, in hex or base64; empty lines and
// those that begin with # say nothing. A file that others than its owner and group can
// read, or anybody but the owner can change, is refused.
func LoadKeys(path string) (Keyring, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file", path)
	}
	if mode := info.Mode().Perm(); mode&0o027 != 0 {
		return nil, fmt.Errorf("%s can be read by everybody or changed by others (mode %04o); make it 0600", path, mode)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	keys, err := ParseKeys(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return keys, nil
}

// ParseKeys reads the text of a key file. Errors do not quote it.
func ParseKeys(text string) (Keyring, error) {
	var keys Keyring
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		secret, err := hex.DecodeString(line)
		if err != nil {
			secret, err = base64.StdEncoding.DecodeString(line)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: a key is written in hex or base64", i+1)
		}
		k, err := NewKey(secret)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errors.New("no key in it")
	}
	return keys, nil
}

package dht

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"net/netip"
)

// tokens proves that who sends from an address also receives there: a token is given with every answer about a key, and
// wanted with what makes us store or send. It is bound to address and port, and good for one to two rotations.
type tokens struct{ current, previous [16]byte }

func newTokens() *tokens {
	t := &tokens{}
	t.rotate()
	t.rotate()
	return t
}

// rotate makes a new secret.
func (t *tokens) rotate() {
	t.previous = t.current
	rand.Read(t.current[:]) // never fails (crypto/rand)
}

func makeToken(secret [16]byte, addr netip.AddrPort) []byte {
	ip := addr.Addr().As16()
	b := make([]byte, 0, len(secret)+len(ip)+2)
	b = append(append(b, secret[:]...), ip[:]...)
	sum := sha256.Sum256(binary.BigEndian.AppendUint16(b, addr.Port()))
	return sum[:]
}

// issue returns the token of an address.
func (t *tokens) issue(addr netip.AddrPort) []byte { return makeToken(t.current, addr) }

// valid reports whether the token was issued to the address lately.
func (t *tokens) valid(token []byte, addr netip.AddrPort) bool {
	return subtle.ConstantTimeCompare(token, makeToken(t.current, addr)) == 1 ||
		subtle.ConstantTimeCompare(token, makeToken(t.previous, addr)) == 1
}

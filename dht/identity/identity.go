// Package identity holds the keys and certificates of Jami accounts: it makes, saves and loads them, reads and verifies
// other people's, and builds the two values by which an account is found: the certificate and the device announcement.
//
// An account is three RSA keys with a chain of certificates device → account → CA. The account id is the short id (SHA-1)
// of the account key; a device has a short id and a long one (SHA-256), both of its own key. docs/jami/identity.md has the rest.
package identity

import (
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"rendezvous/dht/value"
)

// Identity is a private key and the chain of certificates that vouches for it, its own first. The chain may be empty:
// values need only the key.
type Identity struct {
	Key   *rsa.PrivateKey
	Chain Chain
}

// PublicKey returns the key that others know the identity by, out of its certificate.
func (id *Identity) PublicKey() *value.PublicKey {
	if leaf := id.Chain.Leaf(); leaf != nil && leaf.PublicKey != nil {
		return leaf.PublicKey
	}
	pub, err := value.NewPublicKey(&id.Key.PublicKey)
	if err != nil {
		panic("identity: an RSA key that cannot be encoded: " + err.Error()) // not possible with a key that exists
	}
	return pub
}

// ID returns the short id of the key.
func (id *Identity) ID() value.Key { return id.PublicKey().ID() }

// LongID returns the id that newer Jami devices are known by: the SHA-256 of the key.
func (id *Identity) LongID() value.LongID { return id.PublicKey().LongID() }

// Sign makes the identity the owner of v and signs it in place. It fails only as crypto/rsa does.
func (id *Identity) Sign(v *value.Value) error { return v.Sign(id.Key) }

// Encrypt returns v signed by this identity and encrypted to the owner of to; v is not changed. It fails only as
// crypto/rsa does.
func (id *Identity) Encrypt(v *value.Value, to *value.PublicKey) (*value.Value, error) {
	return v.Encrypt(id.Key, to)
}

// Decrypt returns the value inside v, which must be encrypted to this identity; its sender's signature is checked. The
// errors are those of value.Value.Decrypt.
func (id *Identity) Decrypt(v *value.Value) (*value.Value, error) { return v.Decrypt(id.Key) }

// TLSCertificate returns key and chain as crypto/tls wants them.
func (id *Identity) TLSCertificate() tls.Certificate {
	return tls.Certificate{Certificate: id.Chain.Raw(), PrivateKey: id.Key}
}

// check reports whether the chain's first certificate is the key's.
func (id *Identity) check() error {
	pub, err := value.NewPublicKey(&id.Key.PublicKey)
	if err != nil {
		return err
	}
	if leaf := id.Chain.Leaf(); leaf != nil && leaf.LongID() != pub.LongID() {
		return fmt.Errorf("key %s and certificate %s do not belong together", pub.ID(), leaf.ID())
	}
	return nil
}

// MarshalKey returns the private key as PEM (PKCS #8), unprotected: write it 0600. It fails for no RSA key.
func (id *Identity) MarshalKey() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(id.Key)
	if err != nil {
		return nil, fmt.Errorf("encode private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// ParseKey reads an RSA private key from PEM, PKCS #8 or PKCS #1. It fails for text without PEM, and for other kinds of
// key; the error does not quote it.
func ParseKey(text []byte) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("parse private key: no PEM")
	}
	if block.Type == "RSA PRIVATE KEY" {
		key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("parse private key: %w", err)
		}
		return key, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parse private key: %w", err)
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("parse private key: %T instead of RSA", parsed)
	}
	return key, nil
}

package value

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"fmt"

	"rendezvous/dht/msgpack"
)

const (
	gcmNonceLen = 12
	gcmTagLen   = 16
	// pkcs1Overhead is what RSAES-PKCS1-v1_5 needs besides the message (RFC 8017, section 7.2.1).
	pkcs1Overhead = 11
)

// Sign makes key the owner of v and signs it. Seq, To and the content must be set before. The id is not covered. It fails
// only as crypto/rsa does.
func (v *Value) Sign(key *rsa.PrivateKey) error {
	owner, err := NewPublicKey(&key.PublicKey)
	if err != nil {
		return fmt.Errorf("sign value: %w", err)
	}
	v.Owner = owner
	digest := sha512.Sum512(v.appendBody(make([]byte, 0, v.packedCap())))
	v.Signature, err = rsa.SignPKCS1v15(nil, key, crypto.SHA512, digest[:])
	if err != nil {
		return fmt.Errorf("sign value: %w", err)
	}
	return nil
}

// Check verifies the signature; if it is wrong, the error wraps ErrSignature. A value without an owner, and an encrypted
// one, passes: there is nothing to check.
func (v *Value) Check() error {
	if v.Owner == nil || v.IsEncrypted() {
		return nil
	}
	digest := sha512.Sum512(v.appendBody(make([]byte, 0, v.packedCap())))
	if err := rsa.VerifyPKCS1v15(v.Owner.rsa, crypto.SHA512, digest[:], v.Signature); err != nil {
		return fmt.Errorf("%w %x of %s", ErrSignature, v.ID, v.Owner.id)
	}
	return nil
}

// Encrypt signs v with key for the owner of to and returns the encrypted value, which has the same id. v is not changed.
// It fails only as crypto/rsa does.
func (v *Value) Encrypt(key *rsa.PrivateKey, to *PublicKey) (*Value, error) {
	signed := *v
	signed.To = to.id
	if err := signed.Sign(key); err != nil {
		return nil, err
	}
	sealed, err := seal(to.rsa, signed.appendSigned(make([]byte, 0, signed.packedCap())))
	if err != nil {
		return nil, fmt.Errorf("encrypt value to %s: %w", to.id, err)
	}
	return &Value{ID: v.ID, Priority: v.Priority, Cipher: sealed}, nil
}

// Decrypt returns the value inside an encrypted one. It fails with [ErrDecrypt] when the value is not for this key, and
// with [ErrSignature] when the sender's signature is missing or wrong.
func (v *Value) Decrypt(key *rsa.PrivateKey) (*Value, error) {
	plain, err := open(key, v.Cipher)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDecrypt, err)
	}
	inner := &Value{ID: v.ID, Priority: v.Priority}
	r := msgpack.NewReader(plain)
	inner.readSigned(r)
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDecrypt, err)
	}
	own, err := NewPublicKey(&key.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDecrypt, err)
	}
	if inner.To != own.id {
		return nil, fmt.Errorf("%w: it names %s as recipient", ErrDecrypt, inner.To)
	}
	if inner.Owner == nil {
		return nil, fmt.Errorf("%w: encrypted value %x has none", ErrSignature, v.ID)
	}
	if err := inner.Check(); err != nil {
		return nil, err
	}
	return inner, nil
}

// seal encrypts plain: by RSA alone if it fits, else by AES-256-GCM under a fresh key that RSA encrypts.
func seal(to *rsa.PublicKey, plain []byte) ([]byte, error) {
	room := to.Size() - pkcs1Overhead
	if len(plain) <= room {
		//lint:ignore SA1019 OpenDHT encrypts so (docs/jami/dht.md#signatures-and-encryption)
		return rsa.EncryptPKCS1v15(rand.Reader, to, plain)
	}
	secret := make([]byte, sessionKeyLen(room))
	rand.Read(secret) // never fails (crypto/rand)
	//lint:ignore SA1019 OpenDHT encrypts so (docs/jami/dht.md#signatures-and-encryption)
	head, err := rsa.EncryptPKCS1v15(rand.Reader, to, secret)
	if err != nil {
		return nil, err
	}
	gcm, err := newGCM(secret)
	if err != nil {
		return nil, err
	}
	out := make([]byte, len(head)+gcmNonceLen, len(head)+gcmNonceLen+len(plain)+gcmTagLen)
	copy(out, head)
	nonce := out[len(head):]
	rand.Read(nonce)
	return gcm.Seal(out, nonce, plain, nil), nil
}

// open undoes seal. The session key is decrypted in constant time: a wrong padding shows as a wrong tag.
func open(key *rsa.PrivateKey, sealed []byte) ([]byte, error) {
	size := key.Size()
	switch {
	case len(sealed) < size:
		return nil, fmt.Errorf("%d bytes are less than one RSA block", len(sealed))
	case len(sealed) == size:
		//lint:ignore SA1019 OpenDHT encrypts so (docs/jami/dht.md#signatures-and-encryption)
		return rsa.DecryptPKCS1v15(nil, key, sealed)
	case len(sealed) < size+gcmNonceLen+gcmTagLen:
		return nil, fmt.Errorf("%d bytes are no RSA block with an AES block", len(sealed))
	}
	secret := make([]byte, sessionKeyLen(size-pkcs1Overhead))
	rand.Read(secret)
	//lint:ignore SA1019 OpenDHT encrypts so (docs/jami/dht.md#signatures-and-encryption)
	if err := rsa.DecryptPKCS1v15SessionKey(nil, key, sealed[:size], secret); err != nil {
		return nil, err
	}
	gcm, err := newGCM(secret)
	if err != nil {
		return nil, err
	}
	return gcm.Open(nil, sealed[size:size+gcmNonceLen], sealed[size+gcmNonceLen:], nil)
}

func newGCM(secret []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// sessionKeyLen is the largest AES key that fits the room an RSA block has.
func sessionKeyLen(room int) int {
	for _, n := range []int{32, 24} {
		if n <= room {
			return n
		}
	}
	return 16
}

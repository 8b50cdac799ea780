package identity

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"

	"rendezvous/dht/value"
)

// Certificate is an X.509 certificate read with the tolerance that real Jami certificates need: their serial numbers are eight
// random bytes, so that about half of them are negative, which crypto/x509 refuses. crypto/tls reads a peer's chain with it before
// it asks anybody, so go.mod allows them there, too (godebug x509negativeserial). A serial that is not minimal DER is read here
// and refused there whatever the setting, but GnuTLS, with which Jami makes its certificates, drops the octets that are too many.
type Certificate struct {
	// Raw is the whole certificate, DER.
	Raw []byte
	// RawSubject, RawIssuer and RawPublicKey (SubjectPublicKeyInfo) are DER, as they stand in the certificate.
	RawSubject, RawIssuer, RawPublicKey []byte
	// CommonName and UID are from the subject. They are for people to read: never trust them, use ID.
	CommonName, UID string
	// Serial may be negative.
	Serial *big.Int
	// NotBefore and NotAfter bound the validity.
	NotBefore, NotAfter time.Time
	// IsCA tells whether the certificate may sign others: the CA flag, and certSign if it has a key usage.
	IsCA bool
	// PublicKey is the key when it is RSA, which all keys of values are; else nil.
	PublicKey *value.PublicKey

	tbs       []byte
	algorithm asn1.ObjectIdentifier
	signature []byte
	key       crypto.PublicKey
}

// The ASN.1 shapes of RFC 5280, section 4.1, with everything raw that need not be understood.
type asn1Certificate struct {
	TBS       asn1TBS
	Algorithm pkix.AlgorithmIdentifier
	Signature asn1.BitString
}

type asn1TBS struct {
	Raw             asn1.RawContent
	Version         int `asn1:"optional,explicit,default:0,tag:0"`
	Serial          asn1.RawValue
	Algorithm       asn1.RawValue
	Issuer          asn1.RawValue
	Validity        struct{ NotBefore, NotAfter time.Time }
	Subject         asn1.RawValue
	PublicKey       asn1.RawValue
	IssuerUniqueID  asn1.BitString   `asn1:"optional,tag:1"`
	SubjectUniqueID asn1.BitString   `asn1:"optional,tag:2"`
	Extensions      []pkix.Extension `asn1:"omitempty,optional,explicit,tag:3"`
}

var (
	oidCommonName       = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidUID              = asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}
	oidBasicConstraints = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidKeyUsage         = asn1.ObjectIdentifier{2, 5, 29, 15}
)

// ErrCertificate says that bytes are no certificate or chain.
var ErrCertificate = errors.New("malformed certificate")

// maxCertificate bounds one certificate in bytes.
const maxCertificate = 16 << 10

// ParseCertificate reads one DER certificate (RFC 5280), as Jami's devices write them, which crypto/x509 does not always
// take. It keeps a copy of der. The error wraps ErrCertificate, also for more than 16 KiB.
func ParseCertificate(der []byte) (*Certificate, error) {
	if len(der) > maxCertificate {
		return nil, fmt.Errorf("%w: %d bytes", ErrCertificate, len(der))
	}
	der = bytes.Clone(der)
	var a asn1Certificate
	rest, err := asn1.Unmarshal(der, &a)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("%w: %d bytes after it", ErrCertificate, len(rest))
	}
	key, err := x509.ParsePKIXPublicKey(a.TBS.PublicKey.FullBytes)
	if err != nil {
		return nil, fmt.Errorf("%w: public key: %w", ErrCertificate, err)
	}
	c := &Certificate{
		Raw:          der,
		RawSubject:   a.TBS.Subject.FullBytes,
		RawIssuer:    a.TBS.Issuer.FullBytes,
		RawPublicKey: a.TBS.PublicKey.FullBytes,
		Serial:       twosComplement(a.TBS.Serial.Bytes),
		NotBefore:    a.TBS.Validity.NotBefore,
		NotAfter:     a.TBS.Validity.NotAfter,
		tbs:          a.TBS.Raw,
		algorithm:    a.Algorithm.Algorithm,
		signature:    a.Signature.RightAlign(),
		key:          key,
	}
	if a.TBS.Serial.Tag != asn1.TagInteger {
		return nil, fmt.Errorf("%w: serial is no integer", ErrCertificate)
	}
	if _, isRSA := key.(*rsa.PublicKey); isRSA {
		if c.PublicKey, err = value.ParsePublicKey(c.RawPublicKey); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrCertificate, err)
		}
	}
	if err := c.readSubject(); err != nil {
		return nil, err
	}
	if err := c.readExtensions(a.TBS.Extensions); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Certificate) readSubject() error {
	var names pkix.RDNSequence
	if _, err := asn1.Unmarshal(c.RawSubject, &names); err != nil {
		return fmt.Errorf("%w: subject: %w", ErrCertificate, err)
	}
	for _, set := range names {
		for _, name := range set {
			text, _ := name.Value.(string) // a name that is no text is of no use to us
			switch {
			case name.Type.Equal(oidCommonName):
				c.CommonName = text
			case name.Type.Equal(oidUID):
				c.UID = text
			}
		}
	}
	return nil
}

func (c *Certificate) readExtensions(extensions []pkix.Extension) error {
	maySign := true
	for _, e := range extensions {
		switch {
		case e.Id.Equal(oidBasicConstraints):
			var basic struct {
				IsCA    bool `asn1:"optional"`
				PathLen int  `asn1:"optional,default:-1"`
			}
			if _, err := asn1.Unmarshal(e.Value, &basic); err != nil {
				return fmt.Errorf("%w: basic constraints: %w", ErrCertificate, err)
			}
			c.IsCA = basic.IsCA
		case e.Id.Equal(oidKeyUsage):
			var usage asn1.BitString
			if _, err := asn1.Unmarshal(e.Value, &usage); err != nil {
				return fmt.Errorf("%w: key usage: %w", ErrCertificate, err)
			}
			maySign = usage.At(5) != 0 // keyCertSign, RFC 5280, section 4.2.1.3
		}
	}
	c.IsCA = c.IsCA && maySign
	return nil
}

// twosComplement reads a DER INTEGER's content, minimal or not.
func twosComplement(b []byte) *big.Int {
	n := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return n
}

// ID returns the short id of the certificate's key: SHA-1 of the SubjectPublicKeyInfo.
func (c *Certificate) ID() value.Key { return sha1.Sum(c.RawPublicKey) }

// LongID returns the long id of the certificate's key: SHA-256 of the SubjectPublicKeyInfo.
func (c *Certificate) LongID() value.LongID { return sha256.Sum256(c.RawPublicKey) }

// Equal reports whether both are the same certificate, byte for byte.
func (c *Certificate) Equal(o *Certificate) bool { return bytes.Equal(c.Raw, o.Raw) }

// selfSigned reports whether subject and issuer name the same.
func (c *Certificate) selfSigned() bool { return bytes.Equal(c.RawSubject, c.RawIssuer) }

var signatureHashes = []struct {
	oid  asn1.ObjectIdentifier
	hash crypto.Hash
}{
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, crypto.SHA256}, // sha256WithRSAEncryption
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12}, crypto.SHA384},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13}, crypto.SHA512},
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}, crypto.SHA256}, // ecdsa-with-SHA256
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}, crypto.SHA384},
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}, crypto.SHA512},
}

// SignedBy checks that parent's key made c's signature, and that parent may sign and is the issuer c names. If not, or if
// the signature is of an algorithm that Jami does not use, the error wraps ErrChain.
func (c *Certificate) SignedBy(parent *Certificate) error {
	if !parent.IsCA {
		return fmt.Errorf("%w: issuer %s is no CA", ErrChain, parent.ID())
	}
	if !bytes.Equal(c.RawIssuer, parent.RawSubject) {
		return fmt.Errorf("%w: %s names another issuer than %s", ErrChain, c.ID(), parent.ID())
	}
	for _, s := range signatureHashes {
		if s.oid.Equal(c.algorithm) {
			if err := checkSignature(parent.key, s.hash, c.tbs, c.signature); err != nil {
				return fmt.Errorf("%w: signature on %s: %w", ErrChain, c.ID(), err)
			}
			return nil
		}
	}
	return fmt.Errorf("%w: signature algorithm %s on %s", ErrChain, c.algorithm, c.ID())
}

// checkSignature verifies an X.509 signature over tbs.
func checkSignature(key crypto.PublicKey, hash crypto.Hash, tbs, signature []byte) error {
	h := hash.New()
	h.Write(tbs)
	digest := h.Sum(nil)
	switch key := key.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, hash, digest, signature)
	case *ecdsa.PublicKey:
		if !ecdsa.VerifyASN1(key, digest, signature) {
			return errors.New("ECDSA verification failed")
		}
		return nil
	default:
		return fmt.Errorf("key of type %T", key)
	}
}

// clockSkew is how far ahead of ours the clock of a device may go that has just made its certificate. (An end is not
// extended: certificates last ten years.)
const clockSkew = 24 * time.Hour

// checkDates checks that now lies within the certificate's validity, or as little before it as clocks differ. If not, the
// error wraps ErrChain.
func (c *Certificate) checkDates(now time.Time) error {
	if now.Add(clockSkew).Before(c.NotBefore) || now.After(c.NotAfter) {
		return fmt.Errorf("%w: %s is valid from %s to %s only", ErrChain, c.ID(),
			c.NotBefore.Format(time.DateTime), c.NotAfter.Format(time.DateTime))
	}
	return nil
}

// X509 returns the certificate as crypto/x509 reads it, or the reason why that refuses it.
func (c *Certificate) X509() (*x509.Certificate, error) { return x509.ParseCertificate(c.Raw) }

func (c *Certificate) appendPEM(b []byte) []byte {
	return append(b, pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: c.Raw})...)
}

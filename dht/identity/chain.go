package identity

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"rendezvous/dht/value"
)

const (
	pemCertificate = "CERTIFICATE"
	// maxChain bounds the certificates of one chain; Jami's have three.
	maxChain = 8
)

// ErrChain says why a certificate or a chain is not to be trusted.
var ErrChain = errors.New("certificate chain refused")

// Chain is a certificate and its issuers, the certificate first. Jami's is device, account, CA.
type Chain []*Certificate

// ParseChain reads PEM certificates, skipping whatever stands before the first, or one DER certificate. It verifies
// nothing. The error wraps ErrCertificate: none, too many, or one that cannot be read.
func ParseChain(b []byte) (Chain, error) {
	start := bytes.Index(b, []byte("-----BEGIN "+pemCertificate+"-----"))
	if start < 0 {
		c, err := ParseCertificate(b)
		if err != nil {
			return nil, err
		}
		return Chain{c}, nil
	}
	var chain Chain
	for rest := b[start:]; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != pemCertificate {
			continue
		}
		if len(chain) == maxChain {
			return nil, fmt.Errorf("%w: more than %d certificates", ErrCertificate, maxChain)
		}
		c, err := ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return nil, fmt.Errorf("%w: broken PEM", ErrCertificate)
	}
	return chain, nil
}

// ParseRawChain reads DER certificates, as TLS presents them. It verifies nothing. The error wraps ErrCertificate: none,
// too many, or one that cannot be read.
func ParseRawChain(raw [][]byte) (Chain, error) {
	if len(raw) == 0 || len(raw) > maxChain {
		return nil, fmt.Errorf("%w: chain of %d", ErrCertificate, len(raw))
	}
	chain := make(Chain, 0, len(raw))
	for _, der := range raw {
		c, err := ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		chain = append(chain, c)
	}
	return chain, nil
}

// PEM returns the chain as PEM, in order. Peers compare certificates byte for byte: it changes nothing.
func (c Chain) PEM() []byte {
	var b []byte
	for _, cert := range c {
		b = cert.appendPEM(b)
	}
	return b
}

// Raw returns the certificates as DER.
func (c Chain) Raw() [][]byte {
	raw := make([][]byte, len(c))
	for i, cert := range c {
		raw[i] = cert.Raw
	}
	return raw
}

// Leaf returns the first certificate, or nil.
func (c Chain) Leaf() *Certificate {
	if len(c) == 0 {
		return nil
	}
	return c[0]
}

// AccountID returns the account a device chain belongs to: the id of its issuer's key. Only a chain that passed Verify
// proves it. Without an issuer the error wraps ErrChain.
func (c Chain) AccountID() (value.Key, error) {
	if len(c) < 2 {
		return value.Key{}, fmt.Errorf("%w: no issuer", ErrChain)
	}
	return c[1].ID(), nil
}

// Equal reports whether both chains hold the same certificates.
func (c Chain) Equal(o Chain) bool {
	if len(c) != len(o) {
		return false
	}
	for i := range c {
		if !c[i].Equal(o[i]) {
			return false
		}
	}
	return true
}

// Verify applies the rules any Jami peer applies to a device chain: the device certificate is not self-signed, every
// certificate is valid at now, signed by the next one, which is a CA, and revoked by none of the lists. Nobody pins the
// CA: whose account it is follows from [Chain.AccountID]. The error wraps ErrChain and says which rule does not hold.
func (c Chain) Verify(now time.Time, lists ...*RevocationList) error {
	if len(c) == 0 {
		return fmt.Errorf("%w: empty", ErrChain)
	}
	if c[0].selfSigned() {
		return fmt.Errorf("%w: %s is self-signed", ErrChain, c[0].ID())
	}
	if len(c) < 2 {
		return fmt.Errorf("%w: %s comes without its issuer", ErrChain, c[0].ID())
	}
	for i, cert := range c {
		if err := cert.checkDates(now); err != nil {
			return err
		}
		switch {
		case i+1 < len(c):
			if err := cert.SignedBy(c[i+1]); err != nil {
				return err
			}
			if c[i+1].ID() == cert.ID() {
				return fmt.Errorf("%w: %s is its own issuer", ErrChain, cert.ID())
			}
		case cert.selfSigned():
			if err := cert.SignedBy(cert); err != nil {
				return err
			}
		}
		for _, list := range lists {
			if i+1 < len(c) && list.Revokes(cert, c[i+1]) {
				return fmt.Errorf("%w: %s is revoked", ErrChain, cert.ID())
			}
		}
	}
	return nil
}

// RevocationList is an account's list of its revoked devices.
type RevocationList struct{ list *x509.RevocationList }

// parseRevocationList reads a DER list (RFC 5280 section 5). The error is that of crypto/x509; the signature is Verify's
// to check.
func parseRevocationList(der []byte) (*RevocationList, error) {
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, fmt.Errorf("parse revocation list: %w", err)
	}
	return &RevocationList{list}, nil
}

// Revokes reports whether the list names cert and was signed by issuer. A list that issuer did not sign revokes nothing.
func (l *RevocationList) Revokes(cert, issuer *Certificate) bool {
	for _, entry := range l.list.RevokedCertificateEntries {
		if entry.SerialNumber.Cmp(cert.Serial) != 0 {
			continue
		}
		return bytes.Equal(l.list.RawIssuer, issuer.RawSubject) && l.signedBy(issuer) == nil
	}
	return false
}

// signedBy checks the list's signature. It does without crypto/x509, which refuses some issuers for their serial number.
func (l *RevocationList) signedBy(issuer *Certificate) error {
	var hash crypto.Hash
	switch l.list.SignatureAlgorithm {
	case x509.SHA256WithRSA, x509.ECDSAWithSHA256:
		hash = crypto.SHA256
	case x509.SHA384WithRSA, x509.ECDSAWithSHA384:
		hash = crypto.SHA384
	case x509.SHA512WithRSA, x509.ECDSAWithSHA512:
		hash = crypto.SHA512
	default:
		return fmt.Errorf("revocation list signed with %s", l.list.SignatureAlgorithm)
	}
	return checkSignature(issuer.key, hash, l.list.RawTBSRevocationList, l.list.Signature)
}

package identity

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"math/big"
	"time"

	"rendezvous/dht/value"
)

// Account is one Jami account with one device, ours.
type Account struct {
	// Device has the device key and the chain device, account, CA. It signs requests, decrypts and authenticates.
	Device *Identity
	// Master has the account key. It makes device certificates and announcements only, so a running account does not
	// need it: nil when it is kept elsewhere.
	Master *Identity
	// CA has the key of the account's own authority; nil when it is kept elsewhere.
	CA *Identity
	// Announcement is the value, signed by the account key, that says that Device belongs to the account.
	Announcement *value.Value
	// Receipt is what a Jami daemon keeps as its proof of the same.
	Receipt Receipt
}

const (
	// DefaultKeyBits is the size of all keys in Jami.
	DefaultKeyBits = 4096
	validity       = 3650 * 24 * time.Hour
)

// NewAccount makes the three keys and certificates of a new account, valid from now, with DefaultKeyBits. That takes
// seconds of one core: others have the rest. It fails only as crypto/rsa does.
func NewAccount(now time.Time) (*Account, error) { return NewAccountBits(now, DefaultKeyBits) }

// NewAccountBits is NewAccount with keys of another size: 2048 bits are enough for tests. crypto/rsa refuses less than
// 1024.
func NewAccountBits(now time.Time, bits int) (*Account, error) {
	var keys [3]*rsa.PrivateKey // CA, account, device
	for i := range keys {
		var err error
		if keys[i], err = rsa.GenerateKey(rand.Reader, bits); err != nil {
			return nil, fmt.Errorf("make account keys: %w", err)
		}
	}
	ca, err := issue("Jami CA", keys[0], nil, true, now)
	if err != nil {
		return nil, err
	}
	master, err := issue("Jami", keys[1], ca, true, now)
	if err != nil {
		return nil, err
	}
	return newDevice(master, ca, keys[2], now)
}

// NewDevice makes a device, valid from now, of an account whose own keys are given: what a daemon does when it restores
// an account from an archive. It fails only as crypto/rsa does.
func NewDevice(master, ca *Identity, now time.Time, bits int) (*Account, error) {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return nil, fmt.Errorf("make device key: %w", err)
	}
	return newDevice(master, ca, key, now)
}

// newDevice completes an account whose device key is given.
func newDevice(master, ca *Identity, key *rsa.PrivateKey, now time.Time) (*Account, error) {
	device, err := issue("Jami device", key, master, false, now)
	if err != nil {
		return nil, err
	}
	a := &Account{Device: device, Master: master, CA: ca}
	if a.Announcement, err = announce(master, device); err != nil {
		return nil, err
	}
	var eth [20]byte // an address of the name server's ledger: names are not registered, so any will do
	rand.Read(eth[:])
	if a.Receipt, err = newReceipt(a, hex.EncodeToString(eth[:])); err != nil {
		return nil, err
	}
	return a, nil
}

// issue makes the certificate of key, signed by parent or, when that is nil, by itself. The form is the one Jami's own
// certificates have: subject CN and UID in this order, SHA-384, CA flags critical, a device without any.
func issue(name string, key *rsa.PrivateKey, parent *Identity, isCA bool, now time.Time) (*Identity, error) {
	pub, err := value.NewPublicKey(&key.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("issue certificate %q: %w", name, err)
	}
	id := pub.ID()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 63))
	if err != nil {
		return nil, fmt.Errorf("issue certificate %q: %w", name, err)
	}
	template := &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)), // positive: RFC 5280, section 4.1.2.2
		Subject: pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{
			{Type: oidCommonName, Value: name},
			{Type: oidUID, Value: id.String()},
		}},
		NotBefore:          now.UTC().Truncate(time.Second),
		NotAfter:           now.UTC().Truncate(time.Second).Add(validity),
		SignatureAlgorithm: x509.SHA384WithRSA,
	}
	if isCA {
		template.IsCA = true
		template.BasicConstraintsValid = true
		template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
		template.SubjectKeyId = id[:]
	}
	signer, issuer, above := key, template, Chain(nil)
	if parent != nil {
		if issuer, err = parent.Chain[0].X509(); err != nil {
			return nil, fmt.Errorf("issue certificate %q: %w", name, err)
		}
		signer, above = parent.Key, parent.Chain
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, &key.PublicKey, signer)
	if err != nil {
		return nil, fmt.Errorf("issue certificate %q: %w", name, err)
	}
	cert, err := ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("issue certificate %q: %w", name, err)
	}
	return &Identity{Key: key, Chain: append(Chain{cert}, above...)}, nil
}

// ID returns the account id, which is what a user calls: the short id of the account key.
func (a *Account) ID() value.Key { return a.Device.Chain[1].ID() }

// DeviceID returns the short id of the device, DeviceLongID the long one.
func (a *Account) DeviceID() value.Key { return a.Device.ID() }

// DeviceLongID returns the long id of the device: "DeviceId" in most places of Jami.
func (a *Account) DeviceLongID() value.LongID { return a.Device.LongID() }

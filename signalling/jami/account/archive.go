package account

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/crypto/argon2"

	"rendezvous/dht/identity"
	"rendezvous/dht/value"
)

// maxArchive bounds an archive, unpacked, in bytes.
const maxArchive = 16 << 20

// ErrArchive is wrapped by errors about a backup that cannot be read: broken,
// or not with this password.
var ErrArchive = errors.New("account: unreadable backup")

// archive is the JSON inside a Jami archive, as far as it is used here. The
// values are base64 of PEM, if not said otherwise.
type archive struct {
	CAKey       string `json:"ringCaKey"`
	AccountKey  string `json:"ringAccountKey"`
	AccountCert string `json:"ringAccountCert"` // account and CA
	DeviceKey   string `json:"TLS.privateKeyFile"`
	DeviceChain string `json:"TLS.certificateFile"` // device, account, CA
	EthKey      string `json:"ethKey"`              // base64 of 32 bytes; registers names, which we do not
	DisplayName string `json:"Account.displayName"`
	Alias       string `json:"Account.alias"`

	// Contacts by account id, as daemons have them.
	Contacts map[string]archivedContact `json:"ringAccountContacts,omitempty"`

	// What only we write; daemons keep it as unknown settings.
	Announcement string `json:"Rendezvous.announcement,omitempty"` // base64 of the packed value
	Receipt      string `json:"Rendezvous.receipt,omitempty"`
	ReceiptSig   string `json:"Rendezvous.receiptSignature,omitempty"`
}

type archivedContact struct {
	Added        int64  `json:"added"`
	Removed      int64  `json:"removed,omitempty"`
	Confirmed    bool   `json:"confirmed,omitempty"`
	Banned       bool   `json:"banned,omitempty"`
	Conversation string `json:"conversationId,omitempty"`
}

// Export returns a backup of keys, certificates and contacts in the format of Jami's own
// archives, so that Jami clients can read it too. An empty password leaves it
// unprotected. It fails only if a key cannot be encoded.
func (a *Account) Export(password string) ([]byte, error) {
	return pack(a.keys, a.Contacts(), a.DisplayName(), password)
}

// Backup is Export for the account in a folder, whether it is open or not. It fails if its
// keys or contacts cannot be read.
func Backup(dir, displayName, password string) ([]byte, error) {
	keys, err := identity.LoadAccount(keyDir(dir))
	if err != nil {
		return nil, fmt.Errorf("account: backup: %w", err)
	}
	b, err := openBook(filepath.Join(dir, "contacts.json"), Policy{})
	if err != nil {
		return nil, err
	}
	return pack(keys, slices.DeleteFunc(b.listLocked(), Contact.gone), displayName, password)
}

// pack writes an archive.
func pack(keys *identity.Account, contacts []Contact, displayName, password string) ([]byte, error) {
	if keys.Master == nil || keys.CA == nil {
		return nil, errors.New("account: the account's own keys are kept elsewhere")
	}
	f := archive{
		AccountCert:  encode(keys.Master.Chain.PEM()),
		DeviceChain:  encode(keys.Device.Chain.PEM()),
		DisplayName:  displayName,
		Alias:        displayName,
		Announcement: encode(keys.Announcement.Pack()),
		Receipt:      encode(keys.Receipt.Text),
		ReceiptSig:   encode(keys.Receipt.Signature),
		Contacts:     map[string]archivedContact{},
	}
	var eth [32]byte
	rand.Read(eth[:])
	f.EthKey = encode(eth[:])
	for id, to := range map[*identity.Identity]*string{keys.CA: &f.CAKey, keys.Master: &f.AccountKey, keys.Device: &f.DeviceKey} {
		pem, err := id.MarshalKey()
		if err != nil {
			return nil, fmt.Errorf("account: backup: %w", err)
		}
		*to = encode(pem)
	}
	for _, c := range contacts {
		f.Contacts[c.Account.String()] = archivedContact{seconds(c.Added), seconds(c.Removed), c.Confirmed, c.Banned, c.Conversation}
	}
	text, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("account: backup: %w", err)
	}
	// Daemons write gzip files, and zlib inside the encryption.
	var packed bytes.Buffer
	var z io.WriteCloser = gzip.NewWriter(&packed)
	if password != "" {
		z = zlib.NewWriter(&packed)
	}
	z.Write(text)
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("account: backup: %w", err)
	}
	if password == "" {
		return packed.Bytes(), nil
	}
	return seal(packed.Bytes(), password)
}

func encode(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// Import restores a backup, of ours or of a Jami client, into the folder of an account,
// which must not hold one yet. Open it afterwards.
//
// Our backups hold the device: running the same one in two places at once makes them one
// device that answers twice. Move accounts, do not copy them. A client's become a further
// device of the account.
//
// The error wraps ErrArchive for what is no backup, a wrong password included, or is the
// disk's. The keys are written last: without them the folder holds no account.
func Import(dir string, backup []byte, password string) error {
	if _, err := os.Stat(keyDir(dir)); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("account: %s holds an account already", dir)
	}
	f, err := readArchive(backup, password)
	if err != nil {
		return err
	}
	keys, err := f.account(time.Now())
	if err != nil {
		return err
	}
	b, err := openBook(filepath.Join(dir, "contacts.json"), Policy{})
	if err != nil {
		return err
	}
	for id, c := range f.Contacts {
		k, err := value.ParseKey(id)
		if err != nil || len(b.contacts) >= maxContacts {
			continue
		}
		b.contacts[k] = Contact{Account: k, Added: moment(c.Added), Removed: moment(c.Removed), Confirmed: c.Confirmed,
			Conversation: c.Conversation, Banned: c.Banned}.whole()
	}
	if err := b.saveLocked(); err != nil {
		return err
	}
	if err := keys.Save(keyDir(dir)); err != nil {
		return fmt.Errorf("account: %w", err)
	}
	return nil
}

func readArchive(backup []byte, password string) (*archive, error) {
	if password != "" {
		var err error
		if backup, err = unseal(backup, password); err != nil {
			return nil, err
		}
	}
	var z io.Reader
	var err error
	if bytes.HasPrefix(backup, []byte{0x1f, 0x8b}) {
		z, err = gzip.NewReader(bytes.NewReader(backup))
	} else {
		z, err = zlib.NewReader(bytes.NewReader(backup))
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	text, err := io.ReadAll(io.LimitReader(z, maxArchive+1))
	if err == nil && len(text) > maxArchive {
		err = errors.New("too long")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	f := &archive{}
	if err := json.Unmarshal(text, f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	return f, nil
}

// account puts the identity together and checks that it fits. The archives of daemons hold no
// device: the account gets a new one then, as with a daemon that restores it.
func (f *archive) account(now time.Time) (*identity.Account, error) {
	master, err := readIdentity(f.AccountKey, f.AccountCert)
	if err != nil {
		return nil, err
	}
	if len(master.Chain) != 2 {
		return nil, fmt.Errorf("%w: chain of %d certificates", ErrArchive, len(master.Chain))
	}
	ca := &identity.Identity{Chain: master.Chain[1:]}
	if ca.Key, err = readKey(f.CAKey); err != nil {
		return nil, err
	}
	if f.Announcement == "" {
		a, err := identity.NewDevice(master, ca, now, min(master.Key.N.BitLen(), identity.DefaultKeyBits))
		if err != nil {
			return nil, fmt.Errorf("account: %w", err)
		}
		return a, nil
	}
	device, err := readIdentity(f.DeviceKey, f.DeviceChain)
	if err != nil {
		return nil, err
	}
	if len(device.Chain) != 3 || !device.Chain[1].Equal(master.Chain[0]) {
		return nil, fmt.Errorf("%w: device of another account", ErrArchive)
	}
	a := &identity.Account{Device: device, Master: master, CA: ca}
	packed, err1 := base64.StdEncoding.DecodeString(f.Announcement)
	text, err2 := base64.StdEncoding.DecodeString(f.Receipt)
	sig, err3 := base64.StdEncoding.DecodeString(f.ReceiptSig)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	if a.Announcement, err = value.Unpack(packed); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	a.Receipt = identity.Receipt{Text: text, Signature: sig}
	return a, nil
}

func readKey(encoded string) (*rsa.PrivateKey, error) {
	pem, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	key, err := identity.ParseKey(pem)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	return key, nil
}

func readIdentity(key, chain string) (*identity.Identity, error) {
	k, err := readKey(key)
	if err != nil {
		return nil, err
	}
	pem, err := base64.StdEncoding.DecodeString(chain)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	c, err := identity.ParseChain(pem)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	pub, err := value.NewPublicKey(&k.PublicKey)
	if err != nil || pub.LongID() != c.Leaf().LongID() {
		return nil, fmt.Errorf("%w: key and certificate do not belong together", ErrArchive)
	}
	return &identity.Identity{Key: k, Chain: c}, nil
}

// The password encryption of Jami's archives: salt ‖ nonce ‖ AES-256-GCM.
const (
	saltSize  = 16
	nonceSize = 12
)

// stretch derives the key: Argon2i (16 passes, 64 MiB, one lane), then SHA-256.
func stretch(password string, salt []byte) (cipher.AEAD, error) {
	key := sha256.Sum256(argon2.Key([]byte(password), salt, 16, 64<<10, 1, 32))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func seal(plain []byte, password string) ([]byte, error) {
	out := make([]byte, saltSize+nonceSize)
	rand.Read(out)
	gcm, err := stretch(password, out[:saltSize])
	if err != nil {
		return nil, fmt.Errorf("account: backup: %w", err)
	}
	return gcm.Seal(out, out[saltSize:], plain, nil), nil
}

func unseal(sealed []byte, password string) ([]byte, error) {
	if len(sealed) < saltSize+nonceSize || len(sealed) > maxArchive {
		return nil, fmt.Errorf("%w: %d bytes", ErrArchive, len(sealed))
	}
	gcm, err := stretch(password, sealed[:saltSize])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	plain, err := gcm.Open(nil, sealed[saltSize:saltSize+nonceSize], sealed[saltSize+nonceSize:], nil)
	if err != nil {
		return nil, fmt.Errorf("%w: wrong password, or broken", ErrArchive)
	}
	return plain, nil
}

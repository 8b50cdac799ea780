package identity

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"rendezvous/dht/value"
	"rendezvous/internal/atomicfile"
)

// The files of a saved account, in one folder.
const (
	fileDeviceKey    = "device.key"
	fileAccountKey   = "account.key"
	fileCAKey        = "ca.key"
	fileChain        = "chain.pem"
	fileAnnouncement = "announcement.msgpack"
	fileReceipt      = "receipt.json"
	fileReceiptSig   = "receipt.sig"
)

// ErrIncomplete says that a file of a saved account is missing. The account is not lost yet: nothing may be put in its
// place, and the file may be in a backup of the folder.
var ErrIncomplete = errors.New("a file of the account is missing")

// Save writes the account into the folder dir, which must not exist and does, complete and on the disk, when Save returns without an
// error. Every file is for its owner only. A key the account does not hold is not written.
func (a *Account) Save(dir string) error {
	if err := a.save(dir); err != nil {
		return fmt.Errorf("save account: %w", err)
	}
	return nil
}

func (a *Account) save(dir string) error {
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", dir, cmp.Or(err, fs.ErrExist))
	}
	// Under its name it is complete or not there. What a crash has left is no account.
	fresh := dir + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	if err := atomicfile.MkdirAll(fresh, 0o700); err != nil {
		return err
	}
	files := map[string][]byte{
		fileChain: a.Device.Chain.PEM(), fileAnnouncement: a.Announcement.Pack(),
		fileReceipt: a.Receipt.Text, fileReceiptSig: a.Receipt.Signature,
	}
	for name, id := range map[string]*Identity{fileDeviceKey: a.Device, fileAccountKey: a.Master, fileCAKey: a.CA} {
		if id == nil {
			continue
		}
		var err error
		if files[name], err = id.MarshalKey(); err != nil {
			return err
		}
	}
	for name, content := range files {
		if err := atomicfile.Write(filepath.Join(fresh, name), content, 0o600); err != nil {
			return errors.Join(err, os.RemoveAll(fresh))
		}
	}
	return atomicfile.Rename(fresh, dir)
}

// LoadAccount reads an account that Save wrote and checks that its parts belong together. The keys of account and CA
// may be missing. The error is [fs.ErrNotExist] when there is no folder dir, and only then; [ErrIncomplete] when something is not in it.
func LoadAccount(dir string) (*Account, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("load account: %w", err)
	}
	a, err := loadAccount(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("load account: %w: %s", ErrIncomplete, err.Error()) // not wrapped: it is not so that there is no account
	}
	if err != nil {
		return nil, fmt.Errorf("load account: %w", err)
	}
	return a, nil
}

func loadAccount(dir string) (*Account, error) {
	text, err := os.ReadFile(filepath.Join(dir, fileChain))
	if err != nil {
		return nil, err
	}
	chain, err := ParseChain(text)
	if err != nil {
		return nil, err
	}
	if len(chain) < 3 {
		return nil, fmt.Errorf("%w: %d certificates instead of device, account, CA", ErrChain, len(chain))
	}
	a := &Account{}
	if a.Device, err = loadIdentity(filepath.Join(dir, fileDeviceKey), chain); err != nil {
		return nil, err
	}
	if a.Master, err = loadIdentity(filepath.Join(dir, fileAccountKey), chain[1:]); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if a.CA, err = loadIdentity(filepath.Join(dir, fileCAKey), chain[2:]); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	packed, err := os.ReadFile(filepath.Join(dir, fileAnnouncement))
	if err != nil {
		return nil, err
	}
	if a.Announcement, err = value.Unpack(packed); err != nil {
		return nil, err
	}
	announced, err := ParseAnnouncement(a.Announcement, a.ID())
	if err != nil {
		return nil, err
	}
	if announced.Device != a.DeviceID() {
		return nil, fmt.Errorf("%w: of device %s instead of %s", ErrAnnouncement, announced.Device, a.DeviceID())
	}
	if a.Receipt.Text, err = os.ReadFile(filepath.Join(dir, fileReceipt)); err != nil {
		return nil, err
	}
	if a.Receipt.Signature, err = os.ReadFile(filepath.Join(dir, fileReceiptSig)); err != nil {
		return nil, err
	}
	if _, err := a.Receipt.Check(chain[1]); err != nil {
		return nil, err
	}
	return a, nil
}

func loadIdentity(path string, chain Chain) (*Identity, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, err := ParseKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	id := &Identity{Key: key, Chain: chain}
	if err := id.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return id, nil
}

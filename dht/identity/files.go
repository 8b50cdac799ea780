package identity

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"rendezvous/dht/value"
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

// Save writes the account into the folder dir, which it makes if need be. Every file is for its owner only and is
// replaced as a whole. A key the account does not hold is not written, and not removed.
func (a *Account) Save(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("save account: %w", err)
	}
	files := []struct {
		name    string
		content []byte
	}{
		{fileChain, a.Device.Chain.PEM()},
		{fileAnnouncement, a.Announcement.Pack()},
		{fileReceipt, a.Receipt.Text},
		{fileReceiptSig, a.Receipt.Signature},
	}
	for name, id := range map[string]*Identity{fileDeviceKey: a.Device, fileAccountKey: a.Master, fileCAKey: a.CA} {
		if id == nil {
			continue
		}
		text, err := id.MarshalKey()
		if err != nil {
			return fmt.Errorf("save account: %w", err)
		}
		files = append(files, struct {
			name    string
			content []byte
		}{name, text})
	}
	for _, f := range files {
		if err := writeFile(filepath.Join(dir, f.name), f.content); err != nil {
			return fmt.Errorf("save account: %w", err)
		}
	}
	return nil
}

// writeFile replaces the file at path, so that a reader sees the old content or the new one, never a part.
func writeFile(path string, content []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // made with mode 0600
	if err != nil {
		return err
	}
	_, err = tmp.Write(content)
	if err == nil {
		err = tmp.Sync()
	}
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}

// LoadAccount reads an account that Save wrote and checks that its parts belong together. The keys of account and CA
// may be missing. The error is [fs.ErrNotExist] when there is no account in dir.
func LoadAccount(dir string) (*Account, error) {
	a, err := loadAccount(dir)
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

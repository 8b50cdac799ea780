package account

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"rendezvous/dht/identity"
	"rendezvous/internal/atomicfile"
)

// ErrKeysLost says that an account's folder has its contacts or conversations, but not its keys. New ones would be another
// account, whom nobody knows.
var ErrKeysLost = errors.New("the keys of this account are gone, but not the rest of it")

func keyDir(dir string) string { return filepath.Join(dir, "identity") }

// IsNew reports whether there is nothing of an account in its folder yet: only then are keys made.
func IsNew(dir string) bool {
	list, err := os.ReadDir(dir)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	for _, e := range list {
		if !strings.HasPrefix(e.Name(), ".") && !leftBehind(e.Name()) {
			return false
		}
	}
	return true
}

// leftBehind reports whether a crash while the first keys were saved may have left a file of that name.
func leftBehind(name string) bool { return name == filepath.Base(keyDir(""))+".new" }

// MakeKeys gives the account in a folder its keys if it IsNew; bits is their size, 0 Jami's 4096. That takes seconds of
// CPU and cannot be interrupted: when ctx ends, MakeKeys returns, and what is still being made comes to nothing.
func MakeKeys(ctx context.Context, dir string, bits int) error {
	if !IsNew(dir) {
		return nil
	}
	if bits == 0 {
		bits = identity.DefaultKeyBits
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("account: making keys: %w", err)
	}
	if err := checkRoom(dir); err != nil {
		return fmt.Errorf("account: making keys: %w", err)
	}
	type made struct {
		keys *identity.Account
		err  error
	}
	done := make(chan made, 1)
	go func() {
		keys, err := identity.NewAccountBits(time.Now(), bits)
		done <- made{keys, err}
	}()
	select {
	case <-ctx.Done():
		return fmt.Errorf("account: making keys: %w", context.Cause(ctx))
	case m := <-done:
		if m.err == nil {
			m.err = m.keys.Save(keyDir(dir))
		}
		if m.err != nil {
			return fmt.Errorf("account: making keys: %w", m.err)
		}
		return nil
	}
}

// keyRoom is more than the files of an account take.
const keyRoom = 128 << 10

// checkRoom tells whether the disk has room for keys, before seconds of CPU are spent on some.
func checkRoom(dir string) error {
	probe := filepath.Join(dir, ".room")
	if err := atomicfile.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := atomicfile.Write(probe, make([]byte, keyRoom), 0o600); err != nil {
		return err
	}
	return os.Remove(probe)
}

// openKeys loads the keys in a folder, and makes them if the account is new.
func openKeys(dir string, bits int) (*identity.Account, error) {
	if err := MakeKeys(context.Background(), dir, bits); err != nil {
		return nil, err
	}
	keys, err := identity.LoadAccount(keyDir(dir))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("account: %w: restore %s from a backup (rendezvous account import), or move %s away to begin with new keys", ErrKeysLost, keyDir(dir), dir)
	case err != nil:
		return nil, fmt.Errorf("account: %w; restore %s from a backup", err, keyDir(dir))
	}
	return keys, nil
}

package account_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rendezvous/dht/identity"
	"rendezvous/dht/value"
	"rendezvous/signalling/jami/account"
	"rendezvous/signalling/jami/account/accounttest"
	"rendezvous/signalling/jami/connection/icetcp"
)

// An account that lacks a file, or all its keys, is never replaced by another one; it is the same again when what is missing is
// back. A folder with nothing of an account in it gets one.
func TestNothingReplacesAnAccount(t *testing.T) {
	h := accounttest.Loopback(t, keys()[:1]...)[0]
	dir := filepath.Join(t.TempDir(), "room")
	a := h.Open(t, account.Config{Dir: dir})
	id := a.ID()
	require.NoError(t, a.AddContact(value.Key{1}))
	require.NoError(t, a.Close())
	open := func() (*account.Account, error) {
		return account.Open(account.Config{Dir: dir, Node: h.Node, Listener: h.Listener, Gatherer: &icetcp.Gatherer{Listener: h.Listener}, KeyBits: 2048})
	}
	aside := filepath.Join(t.TempDir(), "aside")
	for _, name := range []string{"identity/device.key", "identity/chain.pem", "identity/announcement.msgpack", "identity/receipt.json", "identity/receipt.sig", "identity"} {
		require.NoError(t, os.Rename(filepath.Join(dir, name), aside))
		_, err := open()
		require.Error(t, err, "without %s", name)
		require.True(t, errors.Is(err, identity.ErrIncomplete) || errors.Is(err, account.ErrKeysLost), "without %s: %v", name, err)
		_, err = os.Stat(filepath.Join(dir, name))
		require.ErrorIs(t, err, os.ErrNotExist, "%s was made anew", name)
		require.NoError(t, os.Rename(aside, filepath.Join(dir, name)))
	}
	again, err := open()
	require.NoError(t, err)
	defer again.Close()
	require.Equal(t, id, again.ID())

	require.False(t, account.IsNew(dir))
	fresh := filepath.Join(t.TempDir(), "fresh")
	require.NoError(t, os.MkdirAll(filepath.Join(fresh, "identity.new"), 0o700)) // as a crash while the first keys are saved leaves it
	require.True(t, account.IsNew(fresh))
	require.NoError(t, account.MakeKeys(t.Context(), fresh, 2048))
	require.False(t, account.IsNew(fresh))
	require.NoDirExists(t, filepath.Join(fresh, "identity.new"))
}

// Who waits for new keys waits no longer than they want to, and nothing is made then.
func TestMakingKeysEnds(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "room")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	began := time.Now()
	require.ErrorIs(t, account.MakeKeys(ctx, dir, 4096), context.Canceled)
	require.Less(t, time.Since(began), time.Second)
	require.True(t, account.IsNew(dir))
}

// What the disk does not take has not happened, and who decided it is told. A ban holds until the end all the same.
func TestContactsOnFullDisk(t *testing.T) {
	h := accounttest.Loopback(t, keys()[:1]...)[0]
	dir := t.TempDir()
	a := h.Open(t, account.Config{Dir: dir})
	friend, stranger, foe := value.Key{1}, value.Key{2}, value.Key{3}
	require.NoError(t, a.AddContact(friend))
	file := filepath.Join(dir, "contacts.json")
	require.NoError(t, os.Rename(file, file+".kept"))
	require.NoError(t, os.MkdirAll(filepath.Join(file, "in the way"), 0o700)) // nothing can be renamed over it
	require.Error(t, a.AddContact(stranger))
	require.Error(t, a.RemoveContact(friend))
	require.Error(t, a.Ban(foe))
	var got []value.Key
	for _, c := range a.Contacts() {
		got = append(got, c.Account)
	}
	require.Equal(t, []value.Key{friend, foe}, got)
	require.False(t, a.Admits(foe))
	require.NoError(t, os.RemoveAll(file))
	require.NoError(t, a.AddContact(stranger))
	require.NoError(t, a.Close())
}

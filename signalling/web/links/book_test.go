package links

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func open(t *testing.T, path string) *Book {
	t.Helper()
	b, err := Open(path)
	require.NoError(t, err)
	return b
}

// A link is good from when it is on the disk until it is revoked or expires, over starts; and of its room alone.
func TestLinksOutliveTheProgram(t *testing.T) {
	path := filepath.Join(t.TempDir(), "links.json")
	b := open(t, path)
	soon := time.Now().Add(time.Hour)
	guest, err := b.Make(Link{Room: "a", Role: Guest, Expires: soon, Name: " Ann\n", By: "booking"})
	require.NoError(t, err)
	require.Equal(t, "Ann", guest.Name)
	leader, err := b.Make(Link{Room: "a", Role: "moderator", Expires: soon.Add(-time.Minute)})
	require.NoError(t, err)
	_, err = b.Make(Link{Room: "b", Role: Guest, Expires: soon})
	require.NoError(t, err)

	b = open(t, path)
	require.True(t, b.Good("a", guest.ID))
	require.False(t, b.Good("b", guest.ID))
	require.False(t, b.Good("a", ""))
	list := b.List("a")
	require.Len(t, list, 2)
	require.Equal(t, leader.ID, list[0].ID, "the one that expires first")
	require.WithinDuration(t, guest.Expires, list[1].Expires, 0)

	require.ErrorIs(t, b.Revoke("b", guest.ID), ErrNotFound)
	require.NoError(t, b.Revoke("a", guest.ID))
	require.ErrorIs(t, b.Revoke("a", guest.ID), ErrNotFound)
	for _, b := range []*Book{b, open(t, path)} {
		require.False(t, b.Good("a", guest.ID))
		require.True(t, b.Good("a", leader.ID))
	}
	require.NoError(t, b.RevokeAll("a"))
	require.Empty(t, open(t, path).List("a"))
	require.Len(t, open(t, path).List("b"), 1)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

// What the disk does not take has not happened.
func TestLinksOnABadDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.Mkdir(dir, 0o700))
	b := open(t, filepath.Join(dir, "links.json"))
	l, err := b.Make(Link{Room: "a", Role: Guest, Expires: time.Now().Add(time.Hour)})
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(dir))
	require.Error(t, b.Revoke("a", l.ID))
	require.True(t, b.Good("a", l.ID), "it would be good again after the next start")
	_, err = b.Make(Link{Room: "a", Role: Guest, Expires: time.Now().Add(time.Hour)})
	require.Error(t, err)
	require.Len(t, b.List("a"), 1)
}

// A room has so many links and no more; those that have expired do not count, and are kept no longer.
func TestLinksAreBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "links.json")
	synctest.Test(t, func(t *testing.T) {
		b := open(t, path)
		// Not one by one through the disk.
		all := map[string]Link{}
		for i := range Most - 1 {
			id := fmt.Sprintf("%020x", i)
			all[id] = Link{ID: id, Room: "a", Role: Guest, Expires: time.Now().Add(time.Hour)}
		}
		b.links.Store(&all)
		_, err := b.Make(Link{Room: "a", Role: Guest, Expires: time.Now().Add(2 * time.Hour)})
		require.NoError(t, err)
		_, err = b.Make(Link{Room: "a", Role: Guest, Expires: time.Now().Add(time.Hour)})
		require.ErrorIs(t, err, ErrTooMany)
		_, err = b.Make(Link{Room: "b", Role: Guest, Expires: time.Now().Add(time.Hour)})
		require.NoError(t, err)
		time.Sleep(time.Hour)
		require.Len(t, b.List("a"), 1)
		require.False(t, b.Good("a", fmt.Sprintf("%020x", 0)))
		_, err = b.Make(Link{Room: "a", Role: Guest, Expires: time.Now().Add(time.Hour)})
		require.NoError(t, err)
		require.Len(t, *b.links.Load(), 2)
	})
}

func TestWhatALinkCannotBe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "links.json")
	b := open(t, path)
	for _, l := range []Link{
		{Role: "king", Expires: time.Now().Add(time.Hour)},
		{Role: "", Expires: time.Now().Add(time.Hour)},
		{Role: Guest},
		{Role: Guest, Expires: time.Now().Add(-time.Second)},
		{Role: Guest, Expires: time.Now().Add(MaxLife + time.Minute)},
	} {
		_, err := b.Make(l)
		require.ErrorIs(t, err, ErrInvalid, "%+v", l)
	}
	require.NoError(t, os.WriteFile(path, []byte("[{"), 0o600))
	_, err := Open(path)
	require.ErrorContains(t, err, "links.json cannot be read")
}

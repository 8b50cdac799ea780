package recordings

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rendezvous/recordings/recordingstest"
	"rendezvous/recordings/sealed"
)

// A recording keeps the name that it is given: while it is made, after its end, with another catalogue, and sealed it is nowhere in the clear
// but in the catalogue.
func TestRename(t *testing.T) {
	for kind, keys := range map[string]sealed.Keyring{"in the clear": nil, "sealed": {testKey(1)}} {
		t.Run(kind, func(t *testing.T) {
			dir := t.TempDir()
			c := recordingstest.NewClock()
			lib := Open(Config{Log: quiet(), Dir: dir, Now: c.Now, Keys: keys})
			r := newRoom(t)
			defer r.Close()
			rec, err := lib.Start(request())
			require.NoError(t, err)
			require.NoError(t, lib.Rename(rec.ID(), "while it runs"))
			play(t, r, c, rec, time.Second)
			require.NoError(t, rec.Stop())
			title := func(want string) {
				t.Helper()
				e, err := lib.Get(rec.ID())
				require.NoError(t, err)
				require.Equal(t, want, e.Title)
			}
			title("while it runs")
			side, err := os.ReadFile(filepath.Join(dir, "main", rec.ID(), sidecarFile))
			require.NoError(t, err)
			require.NoError(t, lib.Rename(rec.ID(), " Weekly\n\u202e<b> \x00№ 5 \xff"))
			title("Weekly <b> № 5")
			after, err := os.ReadFile(filepath.Join(dir, "main", rec.ID(), sidecarFile))
			require.NoError(t, err)
			require.Equal(t, side, after, "what has been hashed is as it was")
			for _, none := range []string{"", " \n\u200f", strings.Repeat("ä", 201)} {
				require.ErrorIs(t, lib.Rename(rec.ID(), none), ErrName, "%q", none)
			}
			require.ErrorIs(t, lib.Rename("20260102T093000Z-00000001", "x"), ErrNotFound)
			title("Weekly <b> № 5")
			require.NoError(t, lib.Close())
			if keys != nil {
				b, err := os.ReadFile(filepath.Join(dir, "main", rec.ID(), nameFile))
				require.NoError(t, err)
				require.NotContains(t, string(b), "Weekly")
			}

			for _, lost := range []bool{false, true} {
				if lost {
					require.NoError(t, os.Remove(filepath.Join(dir, catalogueFile)))
				}
				lib = open(t, dir, withKeys(keys))
				title("Weekly <b> № 5")
				require.NoError(t, lib.Close())
			}
		})
	}
}

// What cannot be written is not so afterwards either.
func TestRenameThatCannotBeKept(t *testing.T) {
	dir := t.TempDir()
	e := recorded(t, dir, nil, time.Second)
	lib := open(t, dir, nil)
	folder := filepath.Join(dir, "main", e.ID)
	require.NoError(t, os.Mkdir(filepath.Join(folder, nameFile), 0o700)) // stands in the way
	require.Error(t, lib.Rename(e.ID, "another"))
	got, err := lib.Get(e.ID)
	require.NoError(t, err)
	require.Equal(t, e.Title, got.Title)
	require.NoError(t, os.RemoveAll(folder))
	lib.tidyUp()
	require.ErrorIs(t, lib.Rename(e.ID, "another"), ErrNotFound)
}

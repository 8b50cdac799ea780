package recordings

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rendezvous/recordings/recordingstest"
	"rendezvous/recordings/sealed"
)

// recorded makes a recording of a few seconds and returns its entry.
func recorded(t *testing.T, dir string, keys sealed.Keyring, d time.Duration) Entry {
	t.Helper()
	c := recordingstest.NewClock()
	lib := Open(Config{Log: quiet(), Dir: dir, Now: c.Now, Keys: keys})
	r := newRoom(t)
	defer r.Close()
	rec, err := lib.Start(request())
	require.NoError(t, err)
	play(t, r, c, rec, d)
	require.NoError(t, rec.Stop())
	e, err := lib.Get(rec.ID())
	require.NoError(t, err)
	require.NoError(t, lib.Close())
	return e
}

func withKeys(keys sealed.Keyring) func(*Config) {
	return func(cfg *Config) { cfg.Keys = keys }
}

// Recordings stay as they were made when a key comes, changes or goes.
func TestKeysChange(t *testing.T) {
	dir := t.TempDir()
	one, two := testKey(1), testKey(2)
	plain := recorded(t, dir, nil, time.Second)
	first := recorded(t, dir, sealed.Keyring{one}, time.Second)
	second := recorded(t, dir, sealed.Keyring{two, one}, time.Second)
	for _, tc := range []struct {
		name  string
		keys  sealed.Keyring
		plays map[string]bool
	}{
		{"both keys", sealed.Keyring{two, one}, map[string]bool{plain.ID: true, first.ID: true, second.ID: true}},
		{"the second", sealed.Keyring{two}, map[string]bool{plain.ID: true, second.ID: true}},
		{"none", nil, map[string]bool{plain.ID: true}},
	} {
		for _, lost := range []bool{false, true} {
			if lost {
				require.NoError(t, os.Remove(filepath.Join(dir, catalogueFile)))
			}
			lib := open(t, dir, withKeys(tc.keys))
			require.Len(t, lib.List(""), 3, "%s: none is lost", tc.name)
			for id := range map[string]bool{plain.ID: true, first.ID: true, second.ID: true} {
				f, _, err := lib.OpenFile(id, "")
				if tc.plays[id] {
					require.NoError(t, err, tc.name)
					require.NoError(t, f.Close())
					continue
				}
				require.ErrorIs(t, err, sealed.ErrKey, tc.name)
				_, err = lib.Sidecar(id)
				require.ErrorIs(t, err, sealed.ErrKey, tc.name)
			}
			require.NoError(t, lib.Close())
		}
	}
	// The key is back, and so is everything; also what the catalogue was made anew without.
	lib := open(t, dir, withKeys(sealed.Keyring{two, one}))
	for _, want := range []Entry{plain, first, second} {
		got, err := lib.Get(want.ID)
		require.NoError(t, err)
		require.Equal(t, want.Files[0], got.Files[0])
		require.Equal(t, want.Duration, got.Duration)
		require.Equal(t, want.Ended, got.Ended)
	}
}

// What somebody without the key did to a file is noticed.
func TestSealedRecordingIsTamperedWith(t *testing.T) {
	keys := sealed.Keyring{testKey(1)}
	dir := t.TempDir()
	e := recorded(t, dir, keys, 2*time.Second)
	path := filepath.Join(dir, "main", e.ID, meetingFile)
	require.NoError(t, os.Truncate(path, 32+2*4112))
	lib := open(t, dir, withKeys(keys))
	_, _, err := lib.OpenFile(e.ID, "")
	require.ErrorIs(t, err, sealed.ErrTruncated)
	_, err = lib.OpenKey(e.Key(meetingFile))
	require.ErrorIs(t, err, sealed.ErrTruncated)
}

// A recording that was cut off while its key is away waits for it: neither the retention
// nor the archive touch it, and nothing of it is deleted.
func TestInterruptedWithoutItsKey(t *testing.T) {
	keys := sealed.Keyring{testKey(1)}
	dir := t.TempDir()
	e := recorded(t, dir, keys, 4*time.Second)
	path := filepath.Join(dir, "main", e.ID, meetingFile)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(path, info.Size()*7/10))
	lib := open(t, dir, withKeys(keys))
	lib.mu.Lock()
	lib.entries[e.ID].State, lib.entries[e.ID].Ended = Running, time.Time{}
	require.NoError(t, lib.save())
	lib.mu.Unlock()
	require.NoError(t, lib.Close())

	for range 2 {
		lib = open(t, dir, func(cfg *Config) { cfg.Retention.MaxAge = time.Nanosecond })
		got, err := lib.Get(e.ID)
		require.NoError(t, err)
		require.Equal(t, Failed, got.State)
		require.Contains(t, got.Error, "a key that is not at hand")
		lib.tidyUp()
		require.FileExists(t, path)
		require.NoError(t, lib.Close())
	}
	lib = open(t, dir, withKeys(keys))
	got, err := lib.Get(e.ID)
	require.NoError(t, err)
	require.Equal(t, Recovered, got.State)
	require.Empty(t, got.Error)
	require.Greater(t, got.Duration, 1.0)
	decodes(t, inTheClear(t, lib, e.ID, ""))
}

// Whatever becomes of catalogue and sidecars, a recording that can be played is found.
func TestNothingIsLostWithTheCatalogue(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			dir := t.TempDir()
			e := recorded(t, dir, kind.keys, 2*time.Second)
			folder := filepath.Join(dir, "main", e.ID)
			for _, damage := range []struct{ catalogue, sidecar string }{
				{"", "not there"}, {"not there", "{"}, {`{"recordings":[{"id":"../x"}]}`, ""}, {"\x00\x00\x00", "RVSEAL\x00\x01 and then nothing"},
			} {
				for name, text := range map[string]string{filepath.Join(dir, catalogueFile): damage.catalogue, filepath.Join(folder, sidecarFile): damage.sidecar} {
					if text == "not there" {
						require.NoError(t, os.Remove(name))
					} else {
						require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
					}
				}
				lib := open(t, dir, withKeys(kind.keys))
				list := lib.List("main")
				require.Len(t, list, 1)
				require.Equal(t, Recovered, list[0].State)
				require.Equal(t, e.Files[0].SHA3, list[0].Files[0].SHA3)
				require.Equal(t, e.Duration, list[0].Duration)
				require.WithinDuration(t, e.Started, list[0].Started, time.Second)
				s, err := lib.Sidecar(e.ID)
				require.NoError(t, err, "it has a sidecar again")
				require.Equal(t, list[0], s.Entry)
				require.NoError(t, lib.Close())
			}
		})
	}
}

func TestExport(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			dir := t.TempDir()
			e := recorded(t, dir, kind.keys, time.Second)
			to := filepath.Join(t.TempDir(), "copy")
			require.NoError(t, Export(dir, kind.keys, "main", e.ID, to))
			decodes(t, filepath.Join(to, meetingFile))
			_, sum, err := disk{}.hash(t.Context(), filepath.Join(to, meetingFile), nil)
			require.NoError(t, err)
			require.Equal(t, e.Files[0].SHA3, sum)
			s, err := disk{}.readSidecar(to)
			require.NoError(t, err)
			require.Equal(t, e.ID, s.ID)
			text, err := os.ReadFile(filepath.Join(to, ChaptersFile))
			require.NoError(t, err)
			require.Equal(t, "WEBVTT\n", string(text))

			require.ErrorIs(t, Export(dir, kind.keys, "main", e.ID, to), os.ErrExist, "nothing is written over")
			other := filepath.Join(t.TempDir(), "other")
			require.ErrorIs(t, Export(dir, kind.keys, "side", e.ID, other), ErrNotFound)
			require.ErrorIs(t, Export(dir, kind.keys, "..", e.ID, other), ErrNotFound)
			require.ErrorIs(t, Export(dir, kind.keys, "main", "../"+e.ID, other), ErrNotFound)
			require.NoDirExists(t, other)
			if kind.keys != nil {
				require.ErrorIs(t, Export(dir, sealed.Keyring{testKey(9)}, "main", e.ID, other), sealed.ErrKey)
				return
			}
			path := filepath.Join(dir, "main", e.ID, meetingFile)
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			data[len(data)/2] ^= 1
			require.NoError(t, os.WriteFile(path, data, 0o600))
			require.ErrorContains(t, Export(dir, nil, "main", e.ID, other), "its hash is wrong")
		})
	}
}

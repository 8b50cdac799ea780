package recordings

import (
	"crypto/sha3"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A key opens what it names, sealed or not, also when the folder has moved.
func TestKeys(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "recordings")
			e := recorded(t, dir, kind.keys, 2*time.Second)
			moved := filepath.Join(t.TempDir(), "elsewhere")
			require.NoError(t, os.Rename(dir, moved))
			lib := open(t, moved, withKeys(kind.keys))
			for _, name := range []string{meetingFile, sidecarFile, ChaptersFile} {
				f, err := lib.OpenKey(e.Key(name))
				require.NoError(t, err)
				got, err := io.ReadAll(f)
				require.NoError(t, err)
				require.NoError(t, f.Close())
				want, err := os.ReadFile(inTheClear(t, lib, e.ID, name))
				require.NoError(t, err)
				require.Equal(t, want, got)
			}
			require.NoError(t, os.Rename(filepath.Join(moved, "main", e.ID, meetingFile), filepath.Join(moved, "film")))
			_, err := lib.OpenKey(e.Key(meetingFile))
			require.ErrorIs(t, err, ErrNotFound)
			require.ErrorContains(t, err, e.Key(meetingFile))
		})
	}
}

// hostileKeys lead to no file of a recording, whatever lies there.
var hostileKeys = []string{
	"", "/", "//", "main", "main/" + oldID, "main/" + oldID + "/", "main/" + oldID + "/../catalogue.json", "../main/" + oldID + "/" + meetingFile,
	"/main/" + oldID + "/" + meetingFile, "main//" + meetingFile, "main/../" + meetingFile, "main/" + oldID + "/..", "main/" + oldID + "/.",
	"./" + oldID + "/" + meetingFile, "../" + oldID + "/" + meetingFile, "main/" + oldID + "/" + meetingFile + "/", "main\\" + oldID + "\\" + meetingFile,
	"main/" + oldID + "/" + meetingFile + "\x00", "other/" + oldID + "/" + meetingFile, "main/" + youngID + "/" + meetingFile, "MAIN/" + oldID + "/" + meetingFile,
	"main/" + oldID + "/" + archivedFile, "main/" + oldID + "/.hidden", "main/" + oldID + "/mark",
	"main/" + oldID + "/" + strings.Repeat("x", 1<<20), strings.Repeat("main/", 1<<20),
}

func TestHostileKeys(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, oldID)
	lib := open(t, dir, nil)
	folder := filepath.Join(dir, "main", oldID)
	for _, name := range []string{archivedFile, ".hidden", "mark"} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte("secret"), 0o600))
	}
	for _, key := range hostileKeys {
		_, err := lib.OpenKey(key)
		require.ErrorIs(t, err, ErrNotFound, "%.80q", key)
		require.Less(t, len(err.Error()), 500)
	}
	f, err := lib.OpenKey("main/" + oldID + "/" + meetingFile)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

func FuzzKey(f *testing.F) {
	f.Add("main/" + oldID + "/" + meetingFile)
	for _, key := range hostileKeys {
		f.Add(key[:min(len(key), 1000)])
	}
	f.Fuzz(func(t *testing.T, key string) {
		room, id, name, ok := parseKey(key)
		if !ok {
			return
		}
		e := Entry{Room: room, ID: id}
		if e.Key(name) != key || !filepath.IsLocal(key) || filepath.Clean(key) != key {
			t.Errorf("%q is taken for %q, %q, %q", key, room, id, name)
		}
	})
}

// endless makes a film that cannot be read to its end.
func endless(t *testing.T, film string) {
	t.Helper()
	require.NoError(t, os.Remove(film))
	require.NoError(t, os.Symlink("/dev/zero", film))
}

// What was hashed when it was written is not read for its hash; what was not is, once.
func TestFilmsAreHashedOnce(t *testing.T) {
	dir := t.TempDir()
	e := recorded(t, dir, nil, 2*time.Second)
	plant(t, dir, oldID)
	lib := open(t, dir, nil)
	endless(t, filepath.Join(lib.folder(&e), meetingFile))
	f, err := lib.Hashed(t.Context(), e.ID, "")
	require.NoError(t, err)
	require.Equal(t, e.Files[0], f)
	require.Len(t, f.SHA3, 128)

	sum := sha3.Sum512([]byte("media"))
	want := File{Name: meetingFile, Type: "video/mp4", Size: 5, SHA3: hex.EncodeToString(sum[:])}
	f, err = lib.Hashed(t.Context(), oldID, "")
	require.NoError(t, err)
	require.Equal(t, want, f)
	endless(t, filepath.Join(dir, "main", oldID, meetingFile))
	require.NoError(t, lib.Close())
	lib = open(t, dir, nil)
	f, err = lib.Hashed(t.Context(), oldID, meetingFile)
	require.NoError(t, err)
	require.Equal(t, want, f, "the catalogue keeps it")

	// The sidecar's cannot be in it.
	text, err := os.ReadFile(filepath.Join(dir, "main", oldID, sidecarFile))
	require.NoError(t, err)
	sum = sha3.Sum512(text)
	f, err = lib.Hashed(t.Context(), oldID, sidecarFile)
	require.NoError(t, err)
	require.Equal(t, File{Name: sidecarFile, Type: "application/json", Size: int64(len(text)), SHA3: hex.EncodeToString(sum[:])}, f)
	require.NoError(t, os.Remove(filepath.Join(dir, "main", oldID, sidecarFile)))
	_, err = lib.Hashed(t.Context(), oldID, sidecarFile)
	require.ErrorIs(t, err, ErrNotFound)
	_, err = lib.Hashed(t.Context(), youngID, "")
	require.ErrorIs(t, err, ErrNotFound)
	_, err = lib.Hashed(t.Context(), oldID, archivedFile)
	require.ErrorIs(t, err, ErrNotFound)
}

// What is being recorded or repaired has no hash yet, and one that was made of a film as it was before is not taken.
func TestNoHashOfWhatChanges(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, oldID)
	lib := open(t, dir, nil)
	rec, err := lib.Start(request())
	require.NoError(t, err)
	_, err = lib.Hashed(t.Context(), rec.ID(), "")
	require.ErrorIs(t, err, ErrRunning)
	require.NoError(t, rec.Stop())

	e, err := lib.Get(oldID)
	require.NoError(t, err)
	was := e.Files[0]
	is := was
	is.Size, is.SHA3 = 6, "of what a repair has made"
	require.NoError(t, lib.keepHash(oldID, was, is))
	other := was
	other.SHA3 = "of what was there before"
	require.ErrorIs(t, lib.keepHash(oldID, was, other), ErrRecovering)
	require.ErrorIs(t, lib.keepHash(youngID, was, other), ErrNotFound)
	lib.mu.Lock()
	lib.jobs = append(lib.jobs, job{id: oldID}) // nobody is woken
	lib.mu.Unlock()
	_, err = lib.Hashed(t.Context(), oldID, "")
	require.ErrorIs(t, err, ErrRecovering)
	require.ErrorIs(t, lib.keepHash(oldID, is, other), ErrRecovering)
	lib.mu.Lock()
	lib.jobs = nil
	lib.mu.Unlock()
	got, err := lib.Get(oldID)
	require.NoError(t, err)
	require.Equal(t, is, got.Files[0])
	require.Equal(t, "", e.Files[0].SHA3, "who has an entry has it as it was")
}

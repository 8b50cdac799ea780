package recordings

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rendezvous/internal/eventually"
	"rendezvous/recordings/sealed"
)

// cutOff makes a finished recording look as if the host had crashed while it was made.
func cutOffRecording(t *testing.T, dir string, keys sealed.Keyring, e Entry) {
	t.Helper()
	lib := open(t, dir, withKeys(keys))
	s, err := lib.Sidecar(e.ID)
	require.NoError(t, err)
	s.State, s.Ended = Running, time.Time{}
	for i := range s.Files {
		s.Files[i].Size, s.Files[i].SHA3 = 0, ""
	}
	require.NoError(t, lib.disk.writeSidecar(lib.folder(&e), *s))
	lib.mu.Lock()
	lib.entries[e.ID] = &s.Entry
	require.NoError(t, lib.save())
	lib.mu.Unlock()
	require.NoError(t, lib.Close())
}

// unseal returns a file in the clear; reseal writes it as its kind is.
func unseal(t *testing.T, keys sealed.Keyring, path string) []byte {
	t.Helper()
	f, err := disk{keys: keys}.open(path, true)
	require.NoError(t, err)
	defer f.Close()
	b, err := io.ReadAll(f)
	require.NoError(t, err)
	return b
}

func reseal(t *testing.T, keys sealed.Keyring, path string, data []byte) {
	t.Helper()
	if len(keys) > 0 {
		data = sealed.Seal(keys[0], data)
	}
	require.NoError(t, os.WriteFile(path, data, 0o600))
}

// fragmentsOf are the whole fragments of a film.
func fragmentsOf(t *testing.T, data []byte) []fragment {
	t.Helper()
	c, err := survey(t.Context(), bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err)
	return c.fragments
}

// What a power cut has made of a film: each is kept, listed as damaged with a reason, and made to play again as far as it can be.
func TestDamagedFilms(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			testDamagedFilms(t, kind.keys)
		})
	}
}

func testDamagedFilms(t *testing.T, keys sealed.Keyring) {
	template := t.TempDir()
	e := recorded(t, template, keys, 7*time.Second)
	cutOffRecording(t, template, keys, e)
	whole := unseal(t, keys, filepath.Join(template, "main", e.ID, meetingFile))
	list := fragmentsOf(t, whole)
	require.Greater(t, len(list), 5)
	head := whole[:list[0].start]
	zeros := func(n int64) []byte { return make([]byte, n) }
	for _, tc := range []struct {
		name    string
		film    []byte
		reason  string
		repairs float64 // at least so many seconds are found; 0: none
		says    string  // of the repair
	}{
		{"head of zeros", append(zeros(int64(len(head))), whole[len(head):]...), "the head of the film is lost", 6.5, "repaired"},
		{"no head", whole[len(head):], "the head of the film is lost", 6.5, "repaired: 0 bytes"},
		{"head and first fragment", append(zeros(list[1].start), whole[list[1].start:]...), "the head of the film is lost", 0, "no key frame is left"},
		{"hole in the middle", append(append(append([]byte{}, whole[:list[2].start]...), zeros(list[3].end-list[2].start)...), whole[list[4].start:]...),
			"cannot be read, and more follows", 6.5, "repaired"},
		{"all zeros", zeros(int64(len(whole))), "no whole fragment", 0, "no whole fragment"},
		{"empty", nil, "the film is empty", 0, "the film is empty"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "recordings")
			require.NoError(t, os.CopyFS(dir, os.DirFS(template)))
			path := filepath.Join(dir, "main", e.ID, meetingFile)
			reseal(t, keys, path, tc.film)
			before, err := os.ReadFile(path)
			require.NoError(t, err)
			for range 2 {
				lib := open(t, dir, func(cfg *Config) {
					cfg.Keys, cfg.Retention = keys, Retention{MaxAge: time.Nanosecond, MaxSize: 1}
				})
				lib.tidyUp()
				got, err := lib.Get(e.ID)
				require.NoError(t, err)
				require.Equal(t, Damaged, got.State)
				require.Contains(t, got.Error, tc.reason)
				require.False(t, got.Ended.IsZero())
				_, _, err = lib.OpenFile(e.ID, "")
				require.ErrorIs(t, err, ErrDamaged)
				after, err := os.ReadFile(path)
				require.NoError(t, err)
				require.True(t, bytes.Equal(before, after), "nothing of it is touched")
				require.NoError(t, lib.Close())
			}
			lib := open(t, dir, withKeys(keys))
			asked, err := lib.Repair()
			require.NoError(t, err)
			require.Len(t, asked, 1)
			require.Equal(t, Recovering, asked[0].State)
			mended(t, lib)
			got, err := lib.Get(e.ID)
			require.NoError(t, err)
			require.Contains(t, got.Error, tc.says)
			if tc.repairs == 0 {
				require.Equal(t, Damaged, got.State)
				after, err := os.ReadFile(path)
				require.NoError(t, err)
				require.True(t, bytes.Equal(before, after), "it is no worse than before")
				return
			}
			require.Equal(t, Recovered, got.State)
			require.Greater(t, got.Duration, tc.repairs)
			film := inTheClear(t, lib, e.ID, "")
			probe(t, film)
			if tc.name != "hole in the middle" { // there, pictures refer to what is lost
				decodes(t, film)
				made, err := os.ReadFile(film)
				require.NoError(t, err)
				require.Equal(t, head, made[:len(head)], "the head is what it was")
			}
			kept, err := os.ReadFile(path + ".damaged")
			require.NoError(t, err)
			require.True(t, bytes.Equal(before, kept), "what was damaged is kept")
			require.NoError(t, lib.Close())
			again := open(t, dir, withKeys(keys))
			require.Equal(t, got, again.List("")[0], "and that lasts")
			require.NoError(t, again.Delete(e.ID))
			require.NoDirExists(t, filepath.Dir(path))
		})
	}
}

// A head cannot be made without the size of the pictures; that is said.
func TestHeadWithoutItsSize(t *testing.T) {
	dir := t.TempDir()
	e := recorded(t, dir, nil, 3*time.Second)
	path := filepath.Join(dir, "main", e.ID, meetingFile)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, whole[fragmentsOf(t, whole)[0].start:], 0o600))
	require.NoError(t, os.Remove(filepath.Join(filepath.Dir(path), sidecarFile)))
	require.NoError(t, os.Remove(filepath.Join(dir, catalogueFile)))
	lib := open(t, dir, nil)
	_, err = lib.Repair(e.ID)
	require.NoError(t, err)
	mended(t, lib)
	got, err := lib.Get(e.ID)
	require.NoError(t, err)
	require.Equal(t, Damaged, got.State)
	require.Contains(t, got.Error, "the size of its pictures is not known: it was in meeting.json and in catalogue.json")
}

// A chunk of a sealed film that is not what was written costs no more than its fragment.
func TestSealedFilmWithADamagedChunk(t *testing.T) {
	t.Parallel()
	keys := sealed.Keyring{testKey(1)}
	dir := t.TempDir()
	e := recorded(t, dir, keys, 6*time.Second)
	path := filepath.Join(dir, "main", e.ID, meetingFile)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	data[len(data)/2] ^= 1
	require.NoError(t, os.WriteFile(path, data, 0o600))
	lib := open(t, dir, withKeys(keys))
	_, err = lib.Repair("20260101T000000Z-00000000")
	require.ErrorIs(t, err, ErrNotFound)
	_, err = lib.Repair(e.ID)
	require.NoError(t, err)
	mended(t, lib)
	got, err := lib.Get(e.ID)
	require.NoError(t, err)
	require.Equal(t, Recovered, got.State, got.Error)
	require.Greater(t, got.Duration, 5.5)
	probe(t, inTheClear(t, lib, e.ID, ""))

	again, err := lib.Repair(e.ID) // what is as it should be is not touched
	require.NoError(t, err)
	require.Len(t, again, 1)
	mended(t, lib)
	same, err := lib.Get(e.ID)
	require.NoError(t, err)
	require.Equal(t, got, same)
}

// A host that crashed before anything was recorded leaves nothing to see; without the sidecar that says so it does.
func TestNothingToLose(t *testing.T) {
	dir := t.TempDir()
	const id = "20260101T100000Z-00000003"
	folder := filepath.Join(dir, "main", id)
	require.NoError(t, os.MkdirAll(folder, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(folder, meetingFile), nil, 0o600))
	lib := open(t, dir, nil)
	require.Equal(t, Damaged, lib.List("")[0].State)
	require.NoError(t, lib.Close())
	require.NoError(t, os.Remove(filepath.Join(dir, catalogueFile)))
	require.NoError(t, disk{}.writeSidecar(folder, Sidecar{Entry: Entry{
		ID: id, Room: "main", State: Running, Started: time.Now(), Duration: 0.01, Files: []File{{Name: meetingFile, Type: "video/mp4"}},
	}}))
	require.Empty(t, open(t, dir, nil).List(""))
	require.NoDirExists(t, folder)
}

// plantLong puts a recording there that a crash cut off, with a film of so many bytes that take no room.
func plantLong(t *testing.T, dir, id string, size int64) {
	t.Helper()
	data, err := os.ReadFile("testdata/meeting.mp4")
	require.NoError(t, err)
	first := fragmentsOf(t, data)[0]
	media := binary.BigEndian.AppendUint64(append([]byte{0, 0, 0, 1}, "mdat"...), uint64(size))
	film := append(append([]byte{}, data[:first.end]...), append(append(box("moof", first.moof), media...), 0)...)
	folder := filepath.Join(dir, "main", id)
	require.NoError(t, os.MkdirAll(folder, 0o700))
	path := filepath.Join(folder, meetingFile)
	require.NoError(t, os.WriteFile(path, film, 0o600))
	require.NoError(t, os.Truncate(path, int64(len(film)-1-16)+size))
	require.NoError(t, disk{}.writeSidecar(folder, Sidecar{Entry: Entry{
		ID: id, Room: "main", State: Running, Started: time.Now(), Duration: 100, Files: []File{{Name: meetingFile, Type: "video/mp4"}},
	}}))
}

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// A start does not wait for a long recording that was cut off, and neither does a stop; what was done until then stays done.
func TestLongRecoveryHoldsUpNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plantLong(t, dir, oldID, 1<<10)
	plantLong(t, dir, youngID, 1<<40) // hours
	begin := time.Now()
	log := &lines{}
	lib := Open(Config{Log: slog.New(slog.NewTextHandler(log, nil)), Dir: dir})
	require.Less(t, time.Since(begin), 5*time.Second)
	eventually.True(t, "the short one is recovered", func() bool { e, err := lib.Get(oldID); return err == nil && e.State == Recovered })
	e, err := lib.Get(youngID)
	require.NoError(t, err)
	require.Equal(t, Recovering, e.State)
	require.ErrorIs(t, lib.Delete(youngID), ErrRecovering)
	f, _, err := lib.OpenFile(youngID, "") // what there is can be seen
	require.NoError(t, err)
	require.NoError(t, f.Close())

	// Meanwhile the house works as always.
	rec, err := lib.Start(request())
	require.NoError(t, err)
	require.NoError(t, rec.Stop())
	begin = time.Now()
	require.NoError(t, lib.Close())
	require.Less(t, time.Since(begin), 5*time.Second)

	data, err := os.ReadFile(filepath.Join(dir, catalogueFile))
	require.NoError(t, err)
	c, err := parseCatalogue(data)
	require.NoError(t, err)
	require.Equal(t, Recovered, c.entries[oldID].State, "saved as it goes")
	require.Equal(t, Running, c.entries[youngID].State, "the next start goes on")
}

// The log says how far it is.
func TestProgress(t *testing.T) {
	log := &lines{}
	p := &progress{log: slog.New(slog.NewTextHandler(log, nil)), what: "finishing", total: 1000, last: time.Now()}
	p.add(100)
	require.Empty(t, log.String())
	p.last = p.last.Add(-progressEvery)
	p.add(150)
	p.add(150)
	require.Contains(t, log.String(), "msg=finishing percent=25\n")
	require.NotContains(t, log.String(), "percent=40", "now and then")
	(*progress)(nil).add(1)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := copyAll(ctx, io.Discard, bytes.NewReader([]byte("x")), nil)
	require.ErrorIs(t, err, context.Canceled)
}

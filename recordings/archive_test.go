package recordings

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
)

// shelf is an archive that notes what it is asked and answers as it is told.
type shelf struct {
	store  func(ctx context.Context, e Entry) (string, error)
	forget func(e Entry) error

	mu    sync.Mutex // guards the rest
	calls []string   // "store ID", "forget REF"
	at    []time.Time
}

// asked is what it was asked until now, and when.
func (s *shelf) asked() ([]string, []time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls), slices.Clone(s.at)
}

func (s *shelf) said() []string {
	calls, _ := s.asked()
	return calls
}

func (s *shelf) note(call string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, call)
	s.at = append(s.at, time.Now())
}

func (s *shelf) Store(ctx context.Context, e Entry) (string, error) {
	s.note("store " + e.ID)
	if s.store != nil {
		return s.store(ctx, e)
	}
	return "ref-" + e.ID, nil
}

func (s *shelf) Forget(_ context.Context, e Entry) error {
	s.note("forget " + e.Archived)
	if s.forget != nil {
		return s.forget(e)
	}
	return nil
}

const (
	oldID   = "20260101T100000Z-00000001"
	youngID = "20260102T100000Z-00000002"
)

// plant puts finished recordings into a folder, as an earlier run left them.
func plant(t *testing.T, dir string, ids ...string) {
	t.Helper()
	for _, id := range ids {
		folder := filepath.Join(dir, "main", id)
		require.NoError(t, os.MkdirAll(folder, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(folder, meetingFile), []byte("media"), 0o600))
		started, err := time.Parse("20060102T150405Z", id[:16])
		require.NoError(t, err)
		require.NoError(t, disk{}.writeSidecar(folder, Sidecar{Entry: Entry{
			ID: id, Room: "main", State: Complete, Started: started, Ended: started.Add(time.Second), Duration: 1, Size: 5,
			Files: []File{{Name: meetingFile, Type: "video/mp4", Size: 5}},
		}}))
	}
}

// value reads a gauge or a counter.
func value(t *testing.T, m prometheus.Metric) float64 {
	t.Helper()
	var d dto.Metric
	require.NoError(t, m.Write(&d))
	return d.GetGauge().GetValue() + d.GetCounter().GetValue()
}

func TestArchive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		plant(t, dir, oldID, youngID)
		lib := Open(Config{Log: quiet(), Dir: dir})
		s := &shelf{store: func(_ context.Context, e Entry) (string, error) {
			f, err := lib.OpenKey(e.Key(meetingFile))
			require.NoError(t, err)
			defer f.Close()
			media, err := io.ReadAll(f)
			require.NoError(t, err)
			require.Equal(t, "media", string(media))
			return "ref-" + e.ID, nil
		}}
		lib.ArchiveTo(s)
		synctest.Wait()
		require.Equal(t, []string{"store " + oldID, "store " + youngID}, s.said(), "the oldest first, each once")
		e, err := lib.Get(oldID)
		require.NoError(t, err)
		require.Equal(t, "ref-"+oldID, e.Archived)

		require.NoError(t, lib.Delete(oldID))
		synctest.Wait()
		require.Equal(t, "forget ref-"+oldID, s.said()[2])
		lib.SetRetention(Retention{MaxSize: 1})
		synctest.Wait()
		require.Equal(t, "forget ref-"+youngID, s.said()[3], "the retention tells too")
		time.Sleep(time.Hour * 24)
		require.Len(t, s.said(), 4, "told once")
		require.NoError(t, lib.Close())

		lib = Open(Config{Log: quiet(), Dir: dir})
		s = &shelf{}
		lib.ArchiveTo(s)
		time.Sleep(time.Hour)
		require.Empty(t, s.said(), "nothing to do after a restart")
		require.NoError(t, lib.Close())
	})
}

func TestArchiveTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		plant(t, dir, oldID, youngID)
		lib := Open(Config{Log: quiet(), Dir: dir})
		away := errors.New("the conversation is not there")
		failures := 4
		s := &shelf{}
		s.store = func(_ context.Context, e Entry) (string, error) {
			if e.ID == oldID && failures > 0 {
				failures--
				return "", away
			}
			return "ref", nil
		}
		begin := time.Now()
		lib.ArchiveTo(s)
		time.Sleep(5 * time.Second)
		require.Equal(t, []string{"store " + oldID, "store " + youngID}, s.said(), "one that fails does not keep up another")
		require.EqualValues(t, 1, value(t, lib.metrics.unarchived))
		time.Sleep(time.Hour)
		var pauses []time.Duration
		calls, times := s.asked()
		for i, at := range times {
			if calls[i] == "store "+oldID {
				pauses = append(pauses, at.Sub(begin).Round(time.Second))
			}
		}
		require.Equal(t, []time.Duration{0, 10 * time.Second, 30 * time.Second, 70 * time.Second, 150 * time.Second}, pauses)
		require.EqualValues(t, 4, value(t, lib.metrics.archiveFailures))
		require.Zero(t, value(t, lib.metrics.unarchived))

		// Deletions are tried again too, and remembered over a restart and a crash.
		s.forget = func(Entry) error { return away }
		require.NoError(t, lib.Delete(youngID))
		require.NoError(t, os.Rename(filepath.Join(dir, "main", oldID), filepath.Join(dir, ".deleted-"+oldID)), "a deletion that a crash cut off")
		synctest.Wait()
		require.Equal(t, "forget ref", s.said()[len(s.said())-1])
		require.NoError(t, lib.Close())
		lib = Open(Config{Log: quiet(), Dir: dir})
		require.Empty(t, lib.List(""))
		s = &shelf{}
		lib.ArchiveTo(s)
		time.Sleep(time.Hour)
		require.Equal(t, []string{"forget ref", "forget ref"}, s.said())
		require.NoError(t, lib.Close())
		data, err := os.ReadFile(filepath.Join(dir, catalogueFile))
		require.NoError(t, err)
		c, err := parseCatalogue(data)
		require.NoError(t, err)
		require.Empty(t, c.entries)
		require.Empty(t, c.deleted, "no tombstones are left")
		require.Empty(t, c.gone)
	})
}

// An archive that takes its time holds up neither recordings nor the end.
func TestSlowArchive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		plant(t, dir, oldID, youngID)
		lib := Open(Config{Log: quiet(), Dir: dir})
		busy := 0
		s := &shelf{store: func(ctx context.Context, _ Entry) (string, error) {
			busy++
			require.Equal(t, 1, busy, "one at a time")
			<-ctx.Done()
			busy--
			return "", ctx.Err()
		}}
		lib.ArchiveTo(s)
		synctest.Wait()
		require.Len(t, lib.List(""), 2)
		require.NoError(t, lib.Delete(youngID))
		begin := time.Now()
		require.NoError(t, lib.Close())
		require.Zero(t, time.Since(begin))
		require.Equal(t, []string{"store " + oldID}, s.said())
	})
}

// A recording that is deleted while it is being archived is forgotten right after.
func TestDeletedWhileArchived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		plant(t, dir, oldID)
		lib := Open(Config{Log: quiet(), Dir: dir})
		s := &shelf{store: func(_ context.Context, e Entry) (string, error) {
			require.NoError(t, lib.Delete(e.ID))
			return "late", nil
		}}
		lib.ArchiveTo(s)
		synctest.Wait()
		require.Equal(t, []string{"store " + oldID, "forget late"}, s.said())
		require.NoError(t, lib.Close())
	})
}

// What the archive does not want is not offered again before the next start.
func TestArchiveDeclines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		plant(t, dir, oldID)
		for range 2 {
			lib := Open(Config{Log: quiet(), Dir: dir})
			s := &shelf{store: func(context.Context, Entry) (string, error) { return "", nil }}
			lib.ArchiveTo(s)
			time.Sleep(24 * time.Hour)
			require.Equal(t, []string{"store " + oldID}, s.said())
			require.NoError(t, lib.Delete(oldID), "a deletion of what is not archived is nobody's business")
			synctest.Wait()
			require.Len(t, s.said(), 1)
			require.NoError(t, lib.Close())
			plant(t, dir, oldID)
		}
	})
}

// A catalogue that is made anew still knows what was archived.
func TestRebuiltCatalogueKnowsTheArchive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		plant(t, dir, oldID)
		lib := Open(Config{Log: quiet(), Dir: dir})
		lib.ArchiveTo(&shelf{})
		synctest.Wait()
		want := lib.List("")
		require.NoError(t, lib.Close())
		require.NoError(t, os.Remove(filepath.Join(dir, catalogueFile)))
		lib = Open(Config{Log: quiet(), Dir: dir})
		s := &shelf{}
		lib.ArchiveTo(s)
		synctest.Wait()
		require.Empty(t, s.said())
		require.Equal(t, want, lib.List(""))
		require.Equal(t, "ref-"+oldID, want[0].Archived)
		require.NoError(t, lib.Close())
		_, err := os.Stat(filepath.Join(dir, catalogueFile+".damaged"))
		require.ErrorIs(t, err, fs.ErrNotExist)
	})
}

// A film that is being hashed for the archive does not hold up the end.
func TestCloseEndsHashing(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, oldID)
	endless(t, filepath.Join(dir, "main", oldID, meetingFile))
	lib := open(t, dir, nil)
	begun, hashed := make(chan struct{}), make(chan error, 1)
	lib.ArchiveTo(&shelf{store: func(ctx context.Context, e Entry) (string, error) {
		close(begun)
		_, err := lib.Hashed(ctx, e.ID, "")
		hashed <- err
		return "", err
	}})
	<-begun
	require.Len(t, lib.List(""), 1, "the library is not locked meanwhile")
	require.NoError(t, lib.Close())
	require.ErrorIs(t, <-hashed, context.Canceled)
}

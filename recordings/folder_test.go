package recordings

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A recording whose folder is away for a start is no deleted one: it is listed as missing, the archive is told nothing,
// the retention leaves it alone, and it comes back with its folder.
func TestMissingFolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, away := t.TempDir(), filepath.Join(t.TempDir(), "away")
		plant(t, dir, oldID, youngID)
		lib := Open(Config{Log: quiet(), Dir: dir})
		lib.ArchiveTo(&shelf{})
		synctest.Wait()
		want := lib.List("")
		require.Equal(t, "ref-"+oldID, want[1].Archived)
		require.NoError(t, lib.Close())

		for _, folder := range []string{filepath.Join(dir, "main", oldID), filepath.Join(dir, "main")} {
			require.NoError(t, os.Rename(folder, away))
			for range 2 {
				lib = Open(Config{Log: quiet(), Dir: dir, Retention: Retention{MaxAge: time.Hour}})
				s := &shelf{}
				lib.ArchiveTo(s)
				time.Sleep(48 * time.Hour)
				got, err := lib.Get(oldID)
				require.NoError(t, err)
				require.Equal(t, Missing, got.State)
				_, _, err = lib.OpenFile(oldID, "")
				require.ErrorIs(t, err, ErrNotFound)
				require.NotContains(t, s.said(), "forget ref-"+oldID)
				require.NoError(t, lib.Close())
			}
			require.NoError(t, os.Rename(away, folder))
			lib = Open(Config{Log: quiet(), Dir: dir})
			got, err := lib.Get(oldID)
			require.NoError(t, err)
			require.Equal(t, want[1], got)
			require.NoError(t, lib.Close())
		}
	})
}

// A folder may come back while the host runs, also one whose recording is yet to be finished.
func TestMissingFolderComesBack(t *testing.T) {
	dir, away := t.TempDir(), filepath.Join(t.TempDir(), "away")
	e := recorded(t, dir, nil, 2*time.Second)
	cutOffRecording(t, dir, nil, e)
	folder := filepath.Join(dir, "main", e.ID)
	require.NoError(t, os.Rename(folder, away))
	lib := open(t, dir, nil)
	require.Equal(t, Missing, lib.List("")[0].State)
	require.NoError(t, os.Rename(away, folder))
	require.Equal(t, Recovering, lib.List("")[0].State)
	lib.tidyUp()
	mended(t, lib)
	require.Equal(t, Recovered, lib.List("")[0].State)
	decodes(t, inTheClear(t, lib, e.ID, ""))
}

// Who deletes a recording that is missing means it, also should the folder come back.
func TestDeletingWhatIsMissing(t *testing.T) {
	dir, away := t.TempDir(), filepath.Join(t.TempDir(), "away")
	plant(t, dir, oldID)
	require.NoError(t, open(t, dir, nil).Close())
	folder := filepath.Join(dir, "main", oldID)
	require.NoError(t, os.Rename(folder, away))
	lib := open(t, dir, nil)
	require.NoError(t, lib.Delete(oldID))
	require.Empty(t, lib.List(""))
	require.NoError(t, lib.Close())
	require.NoError(t, os.Rename(away, folder))
	require.Empty(t, open(t, dir, nil).List(""))
	require.NoDirExists(t, folder)
}

// A disk that is not mounted stops recording with a reason. Nothing is written below its mount point, and when it
// is there again, everything goes on.
func TestFolderIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := t.TempDir()
		dir, away, memory := filepath.Join(base, "recordings"), filepath.Join(base, "away"), filepath.Join(base, "mark.json")
		begin := func() *Library { return Open(Config{Log: quiet(), Dir: dir, Mark: memory}) }
		lib := begin()
		require.NoError(t, lib.Close())
		plant(t, dir, oldID)
		lib = begin()
		require.Len(t, lib.List(""), 1)
		require.NoError(t, lib.Close())

		require.NoError(t, os.Rename(dir, away))
		for _, empty := range []bool{false, true} { // no folder, and the mount point
			if empty {
				require.NoError(t, os.Mkdir(dir, 0o700))
			}
			lib = begin()
			_, err := lib.Start(request())
			require.ErrorIs(t, err, ErrAway)
			require.ErrorContains(t, err, "is its disk mounted?")
			require.Len(t, lib.Degraded(), 1)
			require.Contains(t, lib.Degraded()[0], "is its disk mounted?")
			list, err := os.ReadDir(dir)
			require.Equal(t, empty, err == nil)
			require.Empty(t, list, "nothing is written there")

			// It comes back while the host runs.
			if empty {
				require.NoError(t, os.Remove(dir))
			}
			require.NoError(t, os.Rename(away, dir))
			time.Sleep(lookEvery + time.Second)
			require.Len(t, lib.List(""), 1)
			require.Empty(t, lib.Degraded())
			rec, err := lib.Start(request())
			require.NoError(t, err)

			// It goes while the host runs.
			require.NoError(t, os.Rename(dir, away))
			require.Error(t, rec.checkpoint())
			require.Error(t, rec.Stop())
			require.NoDirExists(t, dir)
			require.Error(t, lib.Delete(oldID))
			require.NoError(t, lib.Close())
		}
		// A folder that is moved on purpose, with the configuration, is taken as it is.
		lib = Open(Config{Log: quiet(), Dir: away, Mark: memory})
		require.NotEmpty(t, lib.List(""))
		require.NoError(t, lib.Close())
	})
}

// If the disk refuses, a deletion has not been: neither here nor in the archive.
func TestDeletionThatTheDiskRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		plant(t, dir, oldID, youngID)
		lib := Open(Config{Log: quiet(), Dir: dir})
		s := &shelf{}
		lib.ArchiveTo(s)
		synctest.Wait()
		want := lib.List("")
		path := filepath.Join(dir, catalogueFile)
		before, err := os.ReadFile(path)
		require.NoError(t, err)
		block := func() { // nothing is renamed over a folder
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.MkdirAll(filepath.Join(path, "x"), 0o700))
		}
		block()
		require.ErrorContains(t, lib.Delete(oldID), "deleting recording "+oldID)
		synctest.Wait()
		require.Equal(t, want, lib.List(""))
		require.FileExists(t, filepath.Join(dir, "main", oldID, meetingFile))
		require.Len(t, s.said(), 2, "the archive was told nothing: %v", s.said())

		require.NoError(t, os.RemoveAll(path)) // the disk is well again
		time.Sleep(lookEvery + time.Second)
		after, err := os.ReadFile(path)
		require.NoError(t, err, "the catalogue is written again by itself")
		was, err := parseCatalogue(before)
		require.NoError(t, err)
		is, err := parseCatalogue(after)
		require.NoError(t, err)
		require.Equal(t, was.entries, is.entries)
		require.Empty(t, is.gone)

		require.NoError(t, lib.Delete(oldID))
		synctest.Wait()
		require.Equal(t, "forget ref-"+oldID, s.said()[2])
		require.NoError(t, lib.Close())
	})
}

// A host that stops right after it acknowledged a deletion finishes it at the next start.
func TestDeletionThatWasCutOff(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, oldID)
	lib := open(t, dir, nil)
	_, err := lib.strike(oldID) // acknowledged is what is in the catalogue
	require.NoError(t, err)
	require.NoError(t, lib.Close())
	require.DirExists(t, filepath.Join(dir, "main", oldID))
	require.Empty(t, open(t, dir, nil).List(""))
	require.NoDirExists(t, filepath.Join(dir, "main", oldID))
}

// What is put back from a backup after it was deleted is there again.
func TestRestoredFromABackup(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, oldID)
	lib := open(t, dir, nil)
	require.NoError(t, lib.Delete(oldID))
	require.NoError(t, lib.Close())
	plant(t, dir, oldID)
	require.Len(t, open(t, dir, nil).List(""), 1)
}

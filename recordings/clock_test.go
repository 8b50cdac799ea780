package recordings

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rendezvous/internal/eventually"
)

const day = 24 * time.Hour

func TestClock(t *testing.T) {
	start := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	type look struct {
		wall, running time.Duration // since start
		believed      bool
	}
	for name, looks := range map[string][]look{
		"steady":                 {{0, 0, true}, {time.Hour, time.Hour, true}, {40 * day, 40 * day, true}},
		"small steps":            {{0, 0, true}, {20 * time.Hour, 0, true}, {-time.Hour, time.Hour, true}, {3 * time.Hour, 2 * time.Hour, true}},
		"jumps and comes back":   {{0, 0, true}, {400 * day, time.Hour, false}, {400*day + time.Hour, 2 * time.Hour, false}, {3 * time.Hour, 3 * time.Hour, true}, {30 * time.Hour, 30 * time.Hour, true}},
		"jumps and stays there":  {{0, 0, true}, {400 * day, time.Hour, false}, {401*day - 1, time.Hour + day - 1, false}, {401 * day, time.Hour + day, true}, {402 * day, 2*day + time.Hour, true}},
		"jumps again and again":  {{0, 0, true}, {400 * day, time.Hour, false}, {500 * day, 20 * time.Hour, false}, {600 * day, 30 * time.Hour, false}, {600*day + day, 54 * time.Hour, true}},
		"was away for long":      {{60 * day, 0, false}, {61 * day, day, true}},
		"starts in 1970":         {{-20000 * day, 0, true}, {time.Hour, time.Hour, true}, {400 * day, 2 * time.Hour, false}},
		"back does not help it":  {{0, 0, true}, {-400 * day, time.Hour, true}, {30 * day, 2 * time.Hour, false}},
		"is off for a night":     {{10 * time.Hour, 0, true}, {11 * time.Hour, time.Hour, true}},
		"ahead little by little": {{0, 0, true}, {20 * time.Hour, time.Hour, true}, {40 * time.Hour, 2 * time.Hour, true}, {400 * day, 3 * time.Hour, false}},
	} {
		c := clock{known: start}
		for i, l := range looks {
			require.Equal(t, l.believed, c.look(start.Add(l.wall), l.running), "%s, look %d", name, i)
		}
	}
	require.True(t, (&clock{}).look(start, 0), "there is nothing to compare it with")
}

// stepped is a wall clock that jumps, and a time of running that does not.
type stepped struct {
	wall    atomic.Pointer[time.Time]
	running atomic.Int64
}

func (s *stepped) set(wall time.Time) { s.wall.Store(&wall) }
func (s *stepped) pass(d time.Duration) {
	s.set(s.wall.Load().Add(d))
	s.running.Add(int64(d))
}

func (s *stepped) open(t *testing.T, dir string, log *lines, keep Retention) *Library {
	s.running.Store(0)
	return open(t, dir, func(cfg *Config) {
		cfg.Log = slog.New(slog.NewTextHandler(log, nil))
		cfg.Now = func() time.Time { return *s.wall.Load() }
		cfg.Running = func() time.Duration { return time.Duration(s.running.Load()) }
		cfg.Retention = keep
	})
}

// A clock that jumps deletes nothing: not while the host runs, not in a start; also not by a new recording that it dates.
func TestRetentionAndAClockThatJumps(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var ids []string
	for i := range 60 {
		ids = append(ids, fmt.Sprintf("202601%02dT100000Z-%08x", 1+i/3, i))
	}
	plant(t, dir, ids...)
	right := time.Date(2026, 1, 21, 12, 0, 0, 0, time.UTC)
	s, log := &stepped{}, &lines{}
	s.set(right)
	lib := s.open(t, dir, log, Retention{MaxAge: 30 * day})
	lib.tidyUp()
	require.Len(t, lib.List(""), 60)

	s.set(right.Add(400 * day))
	for range 3 {
		lib.tidyUp()
	}
	require.Len(t, lib.List(""), 60)
	require.Equal(t, 1, strings.Count(log.String(), "the clock has jumped"), "said once")
	plant(t, dir, right.Add(400*day).Format(timeOfID)+"-000000ff")
	require.NoError(t, lib.Close())
	lib = s.open(t, dir, log, Retention{MaxAge: 30 * day})
	lib.tidyUp()
	s.pass(hold - time.Hour)
	lib.tidyUp()
	require.Len(t, lib.List(""), 61)
	require.NoError(t, lib.Close())

	s.set(right)
	lib = s.open(t, dir, log, Retention{MaxAge: 30 * day})
	lib.tidyUp()
	require.Len(t, lib.List(""), 61)

	// Had it been right after all, it would be believed after a day, and then a few recordings go an hour.
	s.set(right.Add(400 * day))
	lib.tidyUp()
	s.pass(hold)
	lib.tidyUp()
	lib.tidyUp()
	require.Len(t, lib.List(""), 55, "a tenth at once")
	for range 20 {
		s.pass(tidyEvery)
		lib.tidyUp()
	}
	list := lib.List("")
	require.Len(t, list, 1, "the newest is not old")
	require.NoDirExists(t, filepath.Join(dir, "main", ids[0]))

	// Its size does not depend on clocks.
	lib.SetRetention(Retention{MaxSize: 1})
	eventually.True(t, "it is not listed", func() bool { return len(lib.List("")) == 0 })
}

// The last recording that there is goes by its age only when the host has been seen to run for a day.
func TestTheNewestIsNotDeletedAtOnce(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, oldID, youngID)
	s, log := &stepped{}, &lines{}
	s.set(time.Date(2026, 1, 3, 9, 0, 0, 0, time.UTC))
	lib := s.open(t, dir, log, Retention{MaxAge: time.Hour})
	lib.tidyUp()
	require.Len(t, lib.List(""), 1)
	for range 23 {
		s.pass(time.Hour)
		lib.tidyUp()
	}
	require.Len(t, lib.List(""), 1)
	s.pass(time.Hour)
	lib.tidyUp()
	require.Empty(t, lib.List(""))
}

// What was made by the same clock, or is judged by a time that the catalogue has kept, is deleted when it is due, the newest too.
func TestTheNewestIsDeletedInTime(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, oldID, youngID)
	s, log := &stepped{}, &lines{}
	s.set(time.Date(2026, 1, 2, 9, 0, 0, 0, time.UTC)) // before the newest was begun
	lib := s.open(t, dir, log, Retention{MaxAge: time.Hour})
	s.pass(3 * time.Hour)
	lib.tidyUp()
	require.Empty(t, lib.List(""), "made in this run")

	dir = t.TempDir()
	plant(t, dir, oldID, youngID)
	s.set(time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC))
	lib = s.open(t, dir, log, Retention{MaxAge: 400 * day})
	lib.tidyUp()
	require.NoError(t, lib.Delete(oldID)) // the catalogue is written
	require.NoError(t, lib.Close())
	s.pass(2 * time.Hour)
	lib = s.open(t, dir, log, Retention{MaxAge: time.Hour})
	lib.tidyUp()
	require.Empty(t, lib.List(""), "the catalogue knows what time it was")
}

package roomlog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rendezvous/conference"
	"rendezvous/conference/audit"
	"rendezvous/internal/eventually"
	"rendezvous/moderation"
	"rendezvous/swarm/commit"
	"rendezvous/swarm/repo"
)

func lineOf(n int) *spooled {
	return &spooled{Event: conference.Event{Kind: conference.EventChat, Time: time.Unix(int64(n), 0).UTC(), Name: "Ann", Message: &conference.Message{Text: fmt.Sprint(n)}}}
}

func texts(events []spooled) (out []string) {
	for _, e := range events {
		out = append(out, e.Message.Text)
	}
	return out
}

// What was added and is not done is there after a crash, in order, whatever came between.
func TestSpool(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	open := func() (*spool, []string) {
		s, held, err := openSpool(path)
		require.NoError(t, err)
		return s, texts(held)
	}
	s, held := open()
	require.Empty(t, held)
	first := []*spooled{lineOf(1), lineOf(2), lineOf(3)}
	_, err := s.add(first)
	require.NoError(t, err)
	s.done(first[1].id)
	s.close() // not in any other way than a crash would
	s, held = open()
	require.Equal(t, []string{"1", "2", "3"}, held, "what is done is not noted line by line")

	s.done(s.lines[0].id, s.lines[1].id, s.lines[2].id)
	require.Zero(t, s.waiting())
	s.close()
	s, held = open()
	require.Empty(t, held)

	// Longer than the file, one after the other.
	for n := range 300 { // three times what goes into it
		e := []*spooled{lineOf(n)}
		e[0].Name = strings.Repeat("x", spoolBytes/100)
		_, err := s.add(e)
		require.NoError(t, err)
		if n%2 == 0 {
			s.done(e[0].id)
		} else if n > 20 {
			s.done(s.lines[0].id)
		}
	}
	want := texts(s.lines)
	s.close()
	s, held = open()
	require.Subset(t, held, want)
	require.True(t, slices.IsSortedFunc(held, func(a, b string) int { return len(a) - len(b) }))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.EqualValues(t, spoolBytes, info.Size())
	require.EqualValues(t, 0o600, info.Mode().Perm())
	s.close()

	// A line that a crash has cut off, and what is left behind it of an earlier time, are nothing.
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	two := bytes.SplitAfterN(b, []byte("\n"), 3)
	require.NoError(t, os.WriteFile(path, slices.Concat(two[0], two[1][:20], two[2]), 0o600))
	s, held = open()
	require.Len(t, held, 1)
	s.close()
}

// The spool takes a stated part of the disk, whatever is said.
func TestSpoolIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	s, _, err := openSpool(path)
	require.NoError(t, err)
	defer s.close()
	dropped := 0
	const all = 3 * mostSpooled
	for n := 0; n < all; n += 128 {
		var some []*spooled
		for i := range 128 {
			some = append(some, lineOf(n+i))
		}
		n, err := s.add(some)
		require.NoError(t, err)
		dropped += n
	}
	require.Equal(t, all, dropped+s.waiting())
	require.LessOrEqual(t, s.waiting(), mostSpooled)
	require.Equal(t, fmt.Sprint(all-1), s.lines[len(s.lines)-1].Message.Text, "the newest is kept")
	long := lineOf(1)
	long.Message.Text = strings.Repeat("x", 2*spoolBytes)
	_, err = s.add([]*spooled{long})
	require.NoError(t, err)
}

// crash ends the log as a power cut would, with what Sync has waited for on the disk.
func (w *world) crash(p Policy) {
	w.t.Helper()
	spool := filepath.Join(w.dir, "conversation.json.spool")
	w.roomlog.Sync()
	kept, err := os.ReadFile(spool)
	require.NoError(w.t, err)
	state, err := os.ReadFile(filepath.Join(w.dir, "conversation.json"))
	require.NoError(w.t, err)
	w.close()
	require.NoError(w.t, os.WriteFile(spool, kept, 0o600))
	require.NoError(w.t, os.WriteFile(filepath.Join(w.dir, "conversation.json"), state, 0o600))
	w.open(p)
}

func orderOf(n int) conference.Event {
	return conference.Event{Kind: conference.EventOrder, Time: time.Now(), Order: &audit.Entry{Time: time.Now(), Name: "Mo", Door: "web", Role: "moderator",
		Target: fmt.Sprint("p", n), Order: moderation.Order{Action: moderation.Mute, Target: fmt.Sprint("p", n), On: true}, Result: audit.Done}}
}

// counted are the lines of chat and the orders in the conversation.
func (w *world) counted() (lines, orders []string) {
	for _, m := range w.said(commit.TypeText) {
		lines = append(lines, m.Get("body"))
	}
	for _, m := range w.said(TypeOrders) {
		var records []Record
		require.NoError(w.t, json.Unmarshal([]byte(m.Get("orders")), &records))
		for _, r := range records {
			orders = append(orders, r.Target)
		}
	}
	return lines, orders
}

// What was said and ordered before a full disk, during it and after it is in the conversation once there is room, each once and in
// its order; a crash in between changes nothing.
func TestFullDisk(t *testing.T) {
	w := newWorld(t, Policy{})
	var full atomic.Bool
	fill := func() {
		into := w.roomlog.into
		w.roomlog.into = func(m commit.Message) (repo.Entry, error) {
			if full.Load() {
				return repo.Entry{}, syscall.ENOSPC
			}
			return into(m)
		}
	}
	w.close()
	w.opening = fill
	w.open(Policy{})
	w.roomlog.Event(chat("web", "Ann", "one"))
	eventually.True(t, "the first line", func() bool { return len(w.said(commit.TypeText)) == 1 })
	full.Store(true)
	w.roomlog.Event(chat("web", "Ann", "two"))
	w.roomlog.Event(orderOf(1))
	w.roomlog.Event(chat("web", "Ann", "two")) // said twice is written twice
	w.crash(Policy{})
	w.roomlog.Event(chat("web", "Ann", "three"))
	w.roomlog.Event(orderOf(2))
	full.Store(false)
	w.crash(Policy{}) // also what the pause after a failure has held back
	eventually.True(t, "all lines", func() bool { return len(w.said(commit.TypeText)) == 4 })
	w.crash(Policy{})
	w.roomlog.Event(chat("web", "Ann", "four"))
	eventually.True(t, "the last line", func() bool { return len(w.said(commit.TypeText)) == 5 })
	w.close()
	w.open(Policy{})
	lines, orders := w.counted()
	require.Equal(t, []string{"Ann: one", "Ann: two", "Ann: two", "Ann: three", "Ann: four"}, lines)
	require.Equal(t, []string{"p1", "p2"}, orders)
	require.Zero(t, w.roomlog.spool.waiting())
}

// After a crash no line is written again that the conversation has, although the clock was set while it was said.
func TestSetClockRepeatsNothing(t *testing.T) {
	w := newWorld(t, Policy{})
	const lines = 20
	order := orderOf(1) // waits for others, so that the spool is not begun anew
	order.Time = order.Time.Add(400 * 24 * time.Hour)
	w.roomlog.Event(order)
	for n := range lines {
		w.roomlog.Event(chat("web", "Ann", fmt.Sprint(n)))
	}
	eventually.True(t, "the lines", func() bool { return len(w.said(commit.TypeText)) == lines })
	w.roomlog.Sync()
	require.Positive(t, w.roomlog.spool.waiting())
	w.crash(Policy{})
	w.roomlog.Event(chat("web", "Ann", "the last"))
	eventually.True(t, "the last line", func() bool {
		said, _ := w.counted()
		return slices.Contains(said, "Ann: the last")
	})
	require.Len(t, w.said(commit.TypeText), lines+1)
}

// Without a place for the spool the room's conversation is kept all the same.
func TestNoSpool(t *testing.T) {
	w := newWorld(t, Policy{})
	w.close()
	spool := filepath.Join(w.dir, "conversation.json.spool")
	require.NoError(t, os.Remove(spool))
	require.NoError(t, os.Mkdir(spool, 0o700))
	w.open(Policy{})
	w.roomlog.Event(chat("web", "Ann", "hello"))
	w.roomlog.Sync()
	eventually.True(t, "the line", func() bool { return len(w.said(commit.TypeText)) == 1 })
}

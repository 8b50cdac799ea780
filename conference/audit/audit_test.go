package audit

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"rendezvous/moderation"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRing(t *testing.T) {
	r := NewRing(3)
	for i := range 5 {
		r.Add(Entry{Name: fmt.Sprint(i)})
		want := min(i+1, 3)
		if got := len(r.Last(0)); got != want {
			t.Errorf("holds %d, want %d", got, want)
		}
	}
	got := r.Last(2)
	if len(got) != 2 || got[0].Name != "3" || got[1].Name != "4" {
		t.Errorf("the newest two are %+v", got)
	}
	if got := r.Last(0); got[0].Name != "2" {
		t.Errorf("the oldest is %+v", got[0])
	}
}

func read(t *testing.T, path string) (entries []Entry) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var e Entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		entries = append(entries, e)
	}
	return entries
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	for run := range 2 { // a second start appends
		f, err := OpenFile(path, 0, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		f.Write(Entry{Time: time.Unix(int64(run), 0), Room: "main", Name: "mod", Order: moderation.Order{Action: moderation.Lock, On: true}, Result: Done})
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if f.Lost() != 0 {
			t.Errorf("%d entries lost", f.Lost())
		}
	}
	entries := read(t, path)
	if len(entries) != 2 || entries[1].Time.Unix() != 1 || entries[0].Order.Action != moderation.Lock || entries[0].Result != Done {
		t.Errorf("the file holds %+v", entries)
	}
	if st, _ := os.Stat(path); st.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v", st.Mode())
	}
	if _, err := OpenFile(filepath.Join(path, "below"), 0, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("opened a file in a file")
	}
}

// An order that a command gives in the last moment of a host is counted as lost, and hurts nobody.
func TestAfterClose(t *testing.T) {
	f, err := OpenFile(filepath.Join(t.TempDir(), "audit.jsonl"), 0, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.NoError(t, f.Close())
	f.Write(Entry{Name: "late"})
	f.Sync()
	require.EqualValues(t, 1, f.Lost())
}

func TestFileRotates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	f, err := OpenFile(path, 2000, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		f.Write(Entry{Name: fmt.Sprint(i)})
	}
	f.Close()
	older, newer := read(t, path+".1"), read(t, path)
	if len(older) == 0 || len(newer) == 0 || newer[len(newer)-1].Name != "19" {
		t.Errorf("%d and %d entries", len(older), len(newer))
	}
	if st, _ := os.Stat(path); st.Size() > 2000 {
		t.Errorf("%d bytes in the file", st.Size())
	}
}

func TestFullDisk(t *testing.T) {
	f, err := OpenFile("/dev/full", 0, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	f.Write(Entry{Name: "x"})
	f.Close()
	if f.Lost() == 0 {
		t.Error("what was not written is not counted")
	}
}

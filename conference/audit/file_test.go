package audit

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// fakeDisk is a file in memory that knows what of it was synced, and can be full.
type fakeDisk struct {
	mu              sync.Mutex // guards the rest
	content, synced []byte
	syncs           int
	full            bool
	slow            time.Duration
}

func (d *fakeDisk) open(string) (disk, int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.full && !bytes.HasSuffix(d.content, []byte("\n")) {
		return nil, 0, syscall.ENOSPC // the line that is cut off cannot be ended
	}
	return d, int64(len(d.content)), nil
}

func (d *fakeDisk) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.full { // takes some of it all the same
		d.content = append(d.content, b[:len(b)/2]...)
		return len(b) / 2, syscall.ENOSPC
	}
	d.content = append(d.content, b...)
	return len(b), nil
}

func (d *fakeDisk) Sync() error {
	time.Sleep(d.slow)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.syncs++
	d.synced = bytes.Clone(d.content)
	return nil
}

func (d *fakeDisk) Truncate(size int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.content = d.content[:size]
	return nil
}

func (d *fakeDisk) Close() error { return nil }

func (d *fakeDisk) setFull(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = on
}

func (d *fakeDisk) lines() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return bytes.Count(d.synced, []byte("}\n"))
}

// What Sync has returned after is on the disk, and what is ordered at the same time costs one sync together.
func TestSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDisk{slow: 5 * time.Millisecond}
		f, err := openFile("", 0, slog.New(slog.DiscardHandler), d.open)
		if err != nil {
			t.Fatal(err)
		}
		const orders = 200
		began := time.Now()
		var givers sync.WaitGroup
		for i := range orders {
			givers.Go(func() {
				time.Sleep(time.Duration(i) * time.Second / orders)
				name := fmt.Sprintf("giver-%d", i)
				f.Write(Entry{Name: name})
				asked := time.Now()
				f.Sync()
				d.mu.Lock()
				defer d.mu.Unlock()
				if !bytes.Contains(d.synced, []byte(name)) {
					t.Errorf("%s is answered and not on the disk", name)
				}
				if waited := time.Since(asked); waited > 40*time.Millisecond {
					t.Errorf("%s has waited %v", name, waited)
				}
			})
		}
		givers.Wait()
		if took := time.Since(began); d.syncs > int(took/commitEvery)+1 {
			t.Errorf("%d orders in %v cost %d syncs", orders, took, d.syncs)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// While the disk is full entries wait, and whoever orders is not kept long; afterwards nothing is missing and no line is torn.
func TestFullForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDisk{}
		f, err := openFile("", 0, slog.New(slog.DiscardHandler), d.open)
		if err != nil {
			t.Fatal(err)
		}
		f.Write(Entry{Name: "before"})
		f.Sync()
		d.setFull(true)
		for i := range 50 {
			f.Write(Entry{Name: fmt.Sprint(i)})
			asked := time.Now()
			f.Sync()
			if waited := time.Since(asked); waited > syncWait {
				t.Fatalf("waited %v for a full disk", waited)
			}
		}
		if f.Failure() == nil {
			t.Error("nobody is told that the disk is full")
		}
		time.Sleep(5 * time.Second)
		d.setFull(false)
		time.Sleep(2 * retryEvery)
		if err := f.Failure(); err != nil {
			t.Errorf("there is room again, and still: %v", err)
		}
		if n := d.lines(); n != 51 || f.Lost() != 0 || !bytes.Equal(d.content, d.synced) {
			t.Errorf("%d lines on the disk, %d lost; want 51", n, f.Lost())
		}
		for line := range bytes.Lines(d.content) {
			if line[0] != '{' {
				t.Errorf("a torn line: %s", line)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// A host whose disk is full at its start has its meetings, and its audit once there is room.
func TestFullAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDisk{full: true, content: []byte(`{"name":"before"}` + "\n" + `{"name":"cu`)}
		f, err := openFile("", 0, slog.New(slog.DiscardHandler), d.open)
		if err != nil {
			t.Fatal(err)
		}
		if f.Failure() == nil {
			t.Error("nobody is told")
		}
		f.Write(Entry{Name: "x"})
		f.Sync()
		d.setFull(false)
		time.Sleep(2 * retryEvery)
		if d.lines() != 2 || f.Failure() != nil || !bytes.HasPrefix(d.content, []byte(`{"name":"before"}`)) {
			t.Errorf("%d lines, %v: %s", d.lines(), f.Failure(), d.content)
		}
		f.Close()
	})
}

// The file has room of its own on the disk, and gives it back when it is put aside.
func TestReserve(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	f, err := OpenFile(path, 1000, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	taken := func(path string) int64 {
		var st syscall.Stat_t
		if err := syscall.Stat(path, &st); err != nil {
			t.Fatal(err)
		}
		return st.Blocks * 512
	}
	for range 20 {
		f.Write(Entry{Name: "x"})
	}
	f.Sync()
	if n := taken(path); n < reserve/2 {
		t.Errorf("%d bytes of the disk are the file's, want %d beyond its end", n, reserve)
	}
	if n := taken(path + ".1"); n > reserve/2 {
		t.Errorf("%d bytes of the disk are the old file's", n)
	}
	f.Close()
}

// A disk that hangs keeps nobody from their orders, and what waits for it is bounded.
func TestHangingDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDisk{slow: time.Hour}
		f, err := openFile("", 0, slog.New(slog.DiscardHandler), d.open)
		if err != nil {
			t.Fatal(err)
		}
		f.Write(Entry{Name: "first"})
		synctest.Wait() // the writer hangs now
		for range queueLength + 100 {
			f.Write(Entry{Name: "x"})
		}
		asked := time.Now()
		f.Sync()
		if waited := time.Since(asked); waited > syncWait {
			t.Errorf("waited %v", waited)
		}
		if f.Lost() == 0 {
			t.Error("what does not fit is not counted")
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// A line that a crash has cut off does not spoil the next one.
func TestCutLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	if err := os.WriteFile(path, []byte(`{"name":"whole"}`+"\n"+`{"name":"cu`), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := OpenFile(path, 0, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	f.Write(Entry{Name: "next"})
	f.Close()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(b, []byte("\n"))
	if len(lines) != 4 || string(lines[0]) != `{"name":"whole"}` || !bytes.Contains(lines[2], []byte(`"next"`)) {
		t.Errorf("the file is %q", b)
	}
}

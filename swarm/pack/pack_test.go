package pack

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
)

func write(t testing.TB, objects ...Object) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, len(objects))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		if err := w.Add(o); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func some() []Object {
	var out []Object
	for _, n := range []int{0, 1, 15, 16, 17, 2047, 2048, 100_000} {
		out = append(out, Object{plumbing.BlobObject, bytes.Repeat([]byte("x"), n)})
	}
	return out
}

// What we write, git reads, and what git writes with all kinds of deltas, we read.
func TestWithGit(t *testing.T) {
	dir := t.TempDir()
	git := func(in []byte, args ...string) string {
		t.Helper()
		c := exec.Command("git", append([]string{"-C", dir}, args...)...)
		c.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null")
		c.Stdin = bytes.NewReader(in)
		var fault bytes.Buffer
		c.Stderr = &fault
		out, err := c.Output()
		if err != nil {
			t.Fatalf("git %v: %v: %s", args, err, fault.String())
		}
		return string(out)
	}
	git(nil, "init", "-q", "--bare")
	objects := some()
	git(write(t, objects...), "unpack-objects", "-q", "--strict")
	for _, o := range objects {
		if got := git(nil, "cat-file", "blob", o.ID().String()); got != string(o.Data) {
			t.Errorf("git reads %d bytes of %d", len(got), len(o.Data))
		}
	}
	// Texts that resemble each other make deltas.
	var ids strings.Builder
	text := strings.Repeat("a line of text that comes again\n", 300)
	for i := range 60 {
		text = fmt.Sprintf("%s%d\n%s", text[:len(text)/2], i*7919, text[len(text)/2:])
		ids.WriteString(git([]byte(text), "hash-object", "-w", "--stdin"))
	}
	for _, o := range objects {
		ids.WriteString(o.ID().String() + "\n")
	}
	for _, args := range [][]string{{"--delta-base-offset"}, {"--no-reuse-delta"}, {"--depth=50", "--window=60"}} {
		raw := git([]byte(ids.String()), append([]string{"pack-objects", "--stdout", "-q"}, args...)...)
		progress := 0
		got, err := Read(strings.NewReader(raw), Limits{}, nil, func(done, total int) { progress = done })
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		for id := range strings.Lines(ids.String()) {
			id = strings.TrimSpace(id)
			if o := got[plumbing.NewHash(id)]; git(nil, "cat-file", "-p", id) != string(o.Data) {
				t.Errorf("%v: object %s differs", args, id)
			}
		}
		if len(got) != 68 || progress != 68 || len(raw) > 100_000 {
			t.Errorf("%v: %d objects, progress %d, %d bytes", args, len(got), progress, len(raw))
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "objects")); err != nil {
		t.Error(err)
	}
}

// raw makes a pack of entries by hand.
func raw(entries ...[]byte) []byte {
	b := binary.BigEndian.AppendUint32([]byte("PACK\x00\x00\x00\x02"), uint32(len(entries)))
	for _, e := range entries {
		b = append(b, e...)
	}
	sum := sha1.Sum(b)
	return append(b, sum[:]...)
}

func deflate(data []byte) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	w.Write(data)
	w.Close()
	return b.Bytes()
}

// entryOf writes the head of an entry that claims a size, and data after it.
func entryOf(kind byte, size int, between, data []byte) []byte {
	b := []byte{kind<<4 | byte(size&15)}
	for size >>= 4; size > 0; size >>= 7 {
		b[len(b)-1] |= 0x80
		b = append(b, byte(size&0x7f))
	}
	return append(append(b, between...), deflate(data)...)
}

func TestReadRefuses(t *testing.T) {
	good := write(t, some()...)
	missing := bytes.Repeat([]byte{7}, 20)
	bomb := append(binary.AppendUvarint(binary.AppendUvarint(nil, 10), 1<<40), 0x80)
	base := entryOf(3, 10, nil, []byte("0123456789"))
	flipped := bytes.Clone(good)
	flipped[len(flipped)-1] ^= 1
	for name, c := range map[string]struct {
		pack   []byte
		limits Limits
		want   error
	}{
		"nothing":                 {nil, Limits{}, ErrMalformed},
		"not a pack":              {[]byte("hello, this is not a pack"), Limits{}, ErrMalformed},
		"version 3":               {bytes.Replace(good, []byte{0, 0, 0, 2}, []byte{0, 0, 0, 3}, 1), Limits{}, ErrMalformed},
		"cut off":                 {good[:len(good)-30], Limits{}, ErrMalformed},
		"wrong checksum":          {flipped, Limits{}, ErrMalformed},
		"claims 4 billion":        {[]byte("PACK\x00\x00\x00\x02\xff\xff\xff\xff"), Limits{}, ErrTooBig},
		"too many objects":        {good, Limits{Objects: 3}, ErrTooBig},
		"object too big":          {good, Limits{Object: 1000}, ErrTooBig},
		"together too big":        {good, Limits{Inflated: 1000}, ErrTooBig},
		"stream too long":         {good, Limits{Stream: 50}, ErrTooBig},
		"longer than it says":     {raw(entryOf(3, 5, nil, make([]byte, 1<<20))), Limits{}, ErrMalformed},
		"shorter than it says":    {raw(entryOf(3, 50, nil, []byte("x"))), Limits{}, ErrMalformed},
		"a tag":                   {raw(entryOf(4, 1, nil, []byte("x"))), Limits{}, ErrMalformed},
		"type 5":                  {raw(entryOf(5, 1, nil, []byte("x"))), Limits{}, ErrMalformed},
		"delta without base":      {raw(entryOf(7, 4, missing, []byte{1, 1, 1, 'x'})), Limits{}, ErrMalformed},
		"delta before the pack":   {raw(entryOf(6, 4, []byte{0x7f}, []byte{1, 1, 1, 'x'})), Limits{}, ErrMalformed},
		"delta on itself":         {raw(entryOf(6, 4, []byte{0}, []byte{1, 1, 1, 'x'})), Limits{}, ErrMalformed},
		"delta bomb":              {raw(base, entryOf(6, len(bomb), []byte{byte(len(base))}, bomb)), Limits{}, ErrTooBig},
		"delta of another length": {raw(base, entryOf(6, 4, []byte{byte(len(base))}, []byte{9, 1, 1, 'x'})), Limits{}, ErrMalformed},
		"delta copies beyond":     {raw(base, entryOf(6, 4, []byte{byte(len(base))}, []byte{10, 99, 0x90, 99})), Limits{}, ErrMalformed},
		"delta is too short":      {raw(base, entryOf(6, 4, []byte{byte(len(base))}, []byte{10, 99, 1, 'x'})), Limits{}, ErrMalformed},
		"delta reserved code":     {raw(base, entryOf(6, 3, []byte{byte(len(base))}, []byte{10, 1, 0})), Limits{}, ErrMalformed},
	} {
		if got, err := Read(bytes.NewReader(c.pack), c.limits, nil, nil); !errors.Is(err, c.want) || got != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDeltaAgainstWhatWeHave(t *testing.T) {
	base := Object{plumbing.BlobObject, []byte("0123456789")}
	id := base.ID()
	p := raw(entryOf(7, 8, id[:], []byte{10, 6, 0x91, 4, 3, 3, 'a', 'b'}))
	if _, err := Read(bytes.NewReader(p), Limits{}, nil, nil); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
	p = raw(entryOf(7, 8, id[:], []byte{10, 5, 0x91, 4, 3, 2, 'a', 'b'}))
	got, err := Read(bytes.NewReader(p), Limits{}, func(h plumbing.Hash) (Object, bool) { return base, h == id }, nil)
	want := Object{plumbing.BlobObject, []byte("456ab")}
	if err != nil || len(got) != 1 || string(got[want.ID()].Data) != "456ab" {
		t.Error(got, err)
	}
}

func TestWriterCounts(t *testing.T) {
	w, err := NewWriter(&bytes.Buffer{}, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err == nil {
		t.Error("a pack with objects missing")
	}
}

func FuzzRead(f *testing.F) {
	f.Add(write(f, some()[:4]...))
	base := entryOf(3, 10, nil, []byte("0123456789"))
	f.Add(raw(base, entryOf(6, 8, []byte{byte(len(base))}, []byte{10, 5, 0x91, 4, 3, 2, 'a', 'b'})))
	limits := Limits{Stream: 1 << 16, Inflated: 1 << 20, Object: 1 << 18, Objects: 1000}
	f.Fuzz(func(t *testing.T, b []byte) {
		// A right checksum lets the fuzzer come further.
		for _, b := range [][]byte{b, append(bytes.Clone(b[:max(len(b)-20, 0)]), func() []byte { s := sha1.Sum(b[:max(len(b)-20, 0)]); return s[:] }()...)} {
			objects, err := Read(bytes.NewReader(b), limits, nil, nil)
			if err != nil {
				continue
			}
			for id, o := range objects {
				if o.ID() != id {
					t.Error("wrong id")
				}
			}
		}
	})
}

// Many small objects cost more than their bytes: they are charged for what they take.
func TestSmallObjectsAreCharged(t *testing.T) {
	const n = 10_000
	objects := make([]Object, n)
	for i := range objects {
		objects[i] = Object{plumbing.BlobObject, binary.BigEndian.AppendUint32(nil, uint32(i))}
	}
	b := write(t, objects...)
	if _, err := Read(bytes.NewReader(b), Limits{Inflated: n * perObject}, nil, nil); !errors.Is(err, ErrTooBig) {
		t.Errorf("%d objects are read within %d bytes: %v", n, n*perObject, err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	got, err := Read(bytes.NewReader(b), Limits{Inflated: n * (perObject + 4)}, nil, nil)
	if err != nil || len(got) != n {
		t.Fatal(len(got), err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := int(after.HeapAlloc-before.HeapAlloc) / n; each > perObject {
		t.Errorf("an object takes %d bytes and is charged %d", each, perObject)
	}
	runtime.KeepAlive(got)
}

// Single objects are read out of a pack on the disk, deltas too; what is damaged is an error, and ends.
func TestEntryAt(t *testing.T) {
	base := entryOf(3, 10, nil, []byte("0123456789"))
	named := Object{plumbing.BlobObject, []byte("0123456789")}.ID()
	p := raw(base, entryOf(6, 8, []byte{byte(len(base))}, []byte{10, 5, 0x91, 4, 3, 2, 'a', 'b'}),
		entryOf(7, 8, named[:], []byte{10, 5, 0x91, 4, 3, 2, 'c', 'd'}))
	n, err := Count(bytes.NewReader(p))
	if err != nil || n != 3 {
		t.Fatal(n, err)
	}
	find := func(id plumbing.Hash) (int64, bool) { return FirstEntry, id == named }
	at := int64(FirstEntry)
	for _, want := range []string{"0123456789", "456ab", "456cd"} {
		o, next, err := EntryAt(bytes.NewReader(p), at, find)
		if err != nil || string(o.Data) != want {
			t.Fatalf("%q, want %q: %v", o.Data, want, err)
		}
		at = next
	}
	if at != int64(len(p)-sha1.Size) {
		t.Errorf("the entries end at %d of %d", at, len(p))
	}
	self := raw(entryOf(7, 8, named[:], []byte{10, 5, 0x91, 4, 3, 2, 'c', 'd'})) // a delta to itself
	for name, c := range map[string]struct {
		pack []byte
		at   int64
	}{"in the head": {p, 3}, "behind the end": {p, int64(len(p))}, "cut off": {p[:20], FirstEntry}, "itself": {self, FirstEntry}} {
		if _, _, err := EntryAt(bytes.NewReader(c.pack), c.at, find); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

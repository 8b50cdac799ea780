package sealed

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func key(t testing.TB, fill byte) Key {
	t.Helper()
	k, err := NewKey(bytes.Repeat([]byte{fill}, KeySize))
	require.NoError(t, err)
	return k
}

// text is n bytes that differ everywhere.
func text(n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// written is a file made by a Writer in writes of the given size; it is complete if end is set.
func written(t testing.TB, k Key, clear []byte, piece int, end bool) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, k)
	require.NoError(t, err)
	for rest := clear; len(rest) > 0; {
		n, err := w.Write(rest[:min(piece, len(rest))])
		require.NoError(t, err)
		rest = rest[n:]
	}
	if end {
		require.NoError(t, w.Close())
	}
	return b.Bytes()
}

func read(b []byte, keys ...Key) ([]byte, error) {
	r, err := NewReader(bytes.NewReader(b), int64(len(b)), keys)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// The format as doc.go tells it, taken apart without this package.
func TestFormat(t *testing.T) {
	k := key(t, 7)
	sealed := Seal(k, append(bytes.Repeat([]byte("x"), 4096), "end"...))
	secret := bytes.Repeat([]byte{7}, 32)
	id, err := hkdf.Key(sha256.New, secret, nil, "rendezvous sealed key id", 8)
	require.NoError(t, err)
	require.Equal(t, append([]byte("RVSEAL\x00\x01"), id...), sealed[:16])
	fileKey, err := hkdf.Key(sha256.New, secret, sealed[16:32], "rendezvous sealed file", 32)
	require.NoError(t, err)
	block, err := aes.NewCipher(fileKey)
	require.NoError(t, err)
	gcm, err := cipher.NewGCM(block)
	require.NoError(t, err)
	first, err := gcm.Open(nil, make([]byte, 12), sealed[32:32+4112], sealed[:32])
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("x", 4096), string(first))
	last, err := gcm.Open(nil, []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1}, sealed[32+4112:], sealed[:32])
	require.NoError(t, err)
	require.Equal(t, "end", string(last))
}

func TestTampering(t *testing.T) {
	k, other := key(t, 1), key(t, 2)
	clear := text(3*chunkSize + 100)
	good := Seal(k, clear)
	chunk := func(b []byte, n int) []byte { return b[headSize+n*fullSize:][:fullSize] }
	again := Seal(k, clear)
	short := Seal(k, clear[:2*chunkSize+100])
	for _, tc := range []struct {
		name   string
		change func(b []byte) []byte
		keys   Keyring
		want   error
	}{
		{"nothing", func(b []byte) []byte { return b }, Keyring{k}, nil},
		{"another key", func(b []byte) []byte { return b }, Keyring{other}, ErrKey},
		{"no key", func(b []byte) []byte { return b }, nil, ErrKey},
		{"another key under this key's name", func(b []byte) []byte { copy(b[8:], other.id()); return b }, Keyring{other}, ErrTruncated},
		{"a bit of a chunk", func(b []byte) []byte { b[headSize+10] ^= 1; return b }, Keyring{k}, ErrDamaged},
		{"a bit of a tag", func(b []byte) []byte { chunk(b, 1)[fullSize-1] ^= 1; return b }, Keyring{k}, ErrDamaged},
		{"a bit of the salt", func(b []byte) []byte { b[20] ^= 1; return b }, Keyring{k}, ErrTruncated},
		{"the version", func(b []byte) []byte { b[7] = 2; return b }, Keyring{k}, ErrNotSealed},
		{"two chunks swapped", func(b []byte) []byte {
			c := bytes.Clone(chunk(b, 0))
			copy(chunk(b, 0), chunk(b, 1))
			copy(chunk(b, 1), c)
			return b
		}, Keyring{k}, ErrDamaged},
		{"a chunk twice", func(b []byte) []byte { copy(chunk(b, 1), chunk(b, 0)); return b }, Keyring{k}, ErrDamaged},
		{"a chunk left out", func(b []byte) []byte {
			return append(b[:headSize+fullSize], b[headSize+2*fullSize:]...)
		}, Keyring{k}, ErrTruncated},
		{"a chunk of another file", func(b []byte) []byte { copy(chunk(b, 1), chunk(again, 1)); return b }, Keyring{k}, ErrDamaged},
		{"the end of another file", func(b []byte) []byte { return append(b[:headSize+2*fullSize], short[headSize+2*fullSize:]...) }, Keyring{k}, ErrTruncated},
		{"cut within the last chunk", func(b []byte) []byte { return b[:len(b)-1] }, Keyring{k}, ErrTruncated},
		{"cut after a chunk", func(b []byte) []byte { return b[:headSize+3*fullSize] }, Keyring{k}, ErrTruncated},
		{"cut after the header", func(b []byte) []byte { return b[:headSize] }, Keyring{k}, ErrTruncated},
		{"cut within the header", func(b []byte) []byte { return b[:headSize-1] }, Keyring{k}, ErrTruncated},
		{"empty", func([]byte) []byte { return nil }, Keyring{k}, ErrNotSealed},
		{"something after the end", func(b []byte) []byte { return append(b, 0) }, Keyring{k}, ErrTruncated},
		{"a chunk after the end", func(b []byte) []byte { return append(b, chunk(again, 2)...) }, Keyring{k}, ErrTruncated},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := read(tc.change(bytes.Clone(good)), tc.keys...)
			if tc.want == nil {
				require.NoError(t, err)
				require.True(t, bytes.Equal(clear, got))
				return
			}
			require.ErrorIs(t, err, tc.want)
			require.True(t, bytes.HasPrefix(clear, got), "nothing that was not written is given out")
		})
	}
}

// What a crash leaves at any place is read up to its last whole chunk, and can be finished.
func TestPartial(t *testing.T) {
	k := key(t, 1)
	clear := text(3*chunkSize + 100)
	whole := written(t, k, clear, 1000, true)
	path := filepath.Join(t.TempDir(), "file")
	for _, cut := range []int{headSize, headSize + 1, headSize + tagSize, headSize + fullSize - 1, headSize + fullSize, headSize + 2*fullSize + 50, len(whole) - 1} {
		left := whole[:cut]
		want := int64((cut - headSize) / fullSize * chunkSize)
		r, err := NewPartialReader(bytes.NewReader(left), int64(len(left)), Keyring{k})
		require.NoError(t, err)
		require.False(t, r.Complete())
		require.Equal(t, want, r.Size())
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		require.True(t, bytes.Equal(clear[:want], got))

		for _, keep := range []int64{want, want - 1, want - chunkSize, want / 2, 0} {
			if keep < 0 {
				continue
			}
			require.NoError(t, os.WriteFile(path, left, 0o600))
			require.ErrorIs(t, Finish(path, Keyring{k}, want+1), ErrTruncated)
			require.NoError(t, Finish(path, Keyring{k}, keep))
			f, err := Open(path, Keyring{k}, false)
			require.NoError(t, err)
			got, err := io.ReadAll(f)
			require.NoError(t, err)
			require.True(t, bytes.Equal(clear[:keep], got))
			info, err := f.Stat()
			require.NoError(t, err)
			require.Equal(t, keep, info.Size(), "of the clear text")
			require.NoError(t, f.Close())
			require.ErrorIs(t, Finish(path, Keyring{k}, keep), errClosed, "no nonce is used twice")
		}
	}

	// The disk may have got a later write and not an earlier one.
	hole := bytes.Clone(whole[:headSize+3*fullSize])
	clear2 := hole[headSize+fullSize:]
	for i := range clear2 {
		clear2[i] = 0
	}
	r, err := NewPartialReader(bytes.NewReader(hole), int64(len(hole)), Keyring{k})
	require.NoError(t, err)
	require.EqualValues(t, chunkSize, r.Size())
}

// A file that grows is read as far as it was whole when it was opened.
func TestReadWhileWriting(t *testing.T) {
	k := key(t, 1)
	path := filepath.Join(t.TempDir(), "file")
	out, err := os.Create(path)
	require.NoError(t, err)
	defer out.Close()
	w, err := NewWriter(out, k)
	require.NoError(t, err)
	clear := text(10 * chunkSize)
	for n := range 10 {
		_, err := w.Write(clear[n*chunkSize:][:chunkSize])
		require.NoError(t, err)
		f, err := Open(path, Keyring{k}, true)
		require.NoError(t, err)
		require.EqualValues(t, (n+1)*chunkSize, f.Size())
		require.NoError(t, f.Close())
		_, err = Open(path, Keyring{k}, false)
		require.ErrorIs(t, err, ErrTruncated)
	}
}

// fullDisk takes so many bytes.
type fullDisk struct{ room int }

func (d *fullDisk) Write(p []byte) (int, error) {
	n := min(len(p), d.room)
	d.room -= n
	if n < len(p) {
		return n, errors.New("no space left")
	}
	return n, nil
}

func TestWriterFails(t *testing.T) {
	k := key(t, 1)
	_, err := NewWriter(&fullDisk{room: headSize - 1}, k)
	require.ErrorContains(t, err, "no space")
	w, err := NewWriter(&fullDisk{room: headSize + fullSize}, k)
	require.NoError(t, err)
	_, err = w.Write(text(chunkSize + 1))
	require.NoError(t, err)
	_, err = w.Write(text(chunkSize))
	require.ErrorContains(t, err, "no space")
	_, err = w.Write([]byte("x"))
	require.ErrorContains(t, err, "no space", "what came is lost, so nothing may follow")
	require.ErrorContains(t, w.Close(), "no space")

	w, err = NewWriter(&fullDisk{room: 1 << 20}, k)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	_, err = w.Write([]byte("x"))
	require.ErrorIs(t, err, errClosed)
	require.ErrorIs(t, w.Close(), errClosed)
}

func TestKeys(t *testing.T) {
	a, b := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	for _, tc := range []struct {
		name, text string
		want       [][]byte
		err        string
	}{
		{"hex", hex.EncodeToString(a) + "\n", [][]byte{a}, ""},
		{"base64 without a line's end", base64.StdEncoding.EncodeToString(a), [][]byte{a}, ""},
		{"two and a word on them", "# the new one\n" + hex.EncodeToString(b) + "\r\n\n" + base64.StdEncoding.EncodeToString(a) + "\n", [][]byte{b, a}, ""},
		{"empty", "\n# none\n", nil, "no key in it"},
		{"short", hex.EncodeToString(a[:31]), nil, "line 1: a key has 32 bytes, not 31"},
		{"long", base64.StdEncoding.EncodeToString(append(a, 1)), nil, "line 1: a key has 32 bytes, not 33"},
		{"raw", string(a), nil, "line 1: a key is written in hex or base64"},
		{"zeros", "# x\n" + strings.Repeat("00", 32), nil, "line 2: a key of zeros is none"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			keys, err := ParseKeys(tc.text)
			if tc.err != "" {
				require.EqualError(t, err, tc.err)
				return
			}
			require.NoError(t, err)
			require.Len(t, keys, len(tc.want))
			for i, k := range keys {
				require.Equal(t, tc.want[i], k.secret[:])
			}
		})
	}
}

func TestLoadKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	_, err := LoadKeys(path)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("0f", 32)), 0o600))
	for mode, good := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o640: true, 0o644: false, 0o604: false, 0o660: false, 0o602: false} {
		require.NoError(t, os.Chmod(path, mode))
		keys, err := LoadKeys(path)
		if good {
			require.NoError(t, err, "%04o", mode)
			require.Len(t, keys, 1)
			continue
		}
		require.ErrorContains(t, err, fmt.Sprintf("mode %04o", mode))
	}
	_, err = LoadKeys(t.TempDir())
	require.ErrorContains(t, err, "is no file")
}

func TestKeyDoesNotPrintItself(t *testing.T) {
	k := key(t, 0xab)
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		out := strings.ToLower(fmt.Sprintf(format, Keyring{k}))
		require.NotContains(t, out, "abababab", format)
		require.NotContains(t, out, "171, 171", format)
		require.NotContains(t, out, "171 171", format)
	}
}

// Whatever a file holds, the reader gives out only what was sealed, and does not crash.
func FuzzReader(f *testing.F) {
	k := key(f, 1)
	clear := text(2*chunkSize + 10)
	good := Seal(k, clear)
	f.Add(good, int64(0), 100)
	f.Add(good[:len(good)-1], int64(chunkSize-1), 2*chunkSize)
	f.Add(good[:headSize], int64(1), 1)
	f.Add(append(bytes.Clone(good), 1), int64(1<<62), 1)
	f.Fuzz(func(t *testing.T, data []byte, off int64, n int) {
		r, err := NewPartialReader(bytes.NewReader(data), int64(len(data)), Keyring{k})
		if err != nil {
			return
		}
		if r.Size() < 0 || r.Size() > int64(len(data)) {
			t.Fatalf("%d bytes in %d", r.Size(), len(data))
		}
		p := make([]byte, min(max(n, 0), 1<<20))
		got, err := r.ReadAt(p, off)
		if got < len(p) && err == nil {
			t.Fatal("less than was asked for, and no error")
		}
		if got > 0 && (off+int64(got) > int64(len(clear)) || !bytes.Equal(p[:got], clear[off:][:got])) {
			t.Fatal("not what was sealed")
		}
	})
}

func BenchmarkWriter(b *testing.B) {
	piece := text(64 << 10)
	w, err := NewWriter(io.Discard, key(b, 1))
	require.NoError(b, err)
	b.SetBytes(int64(len(piece)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Write(piece); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReader(b *testing.B) {
	sealed := Seal(key(b, 1), text(1<<20))
	r, err := NewReader(bytes.NewReader(sealed), int64(len(sealed)), Keyring{key(b, 1)})
	require.NoError(b, err)
	buf := make([]byte, 32<<10)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	at := int64(0)
	for b.Loop() {
		if _, err := r.ReadAt(buf, at%(1<<20)); err != nil {
			b.Fatal(err)
		}
		at += int64(len(buf))
	}
}

package sealed_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"rendezvous/recordings/sealed"
)

// key is the key of these examples. A real one is KeySize bytes of a random number generator, on a line of the file
// that LoadKeys reads.
func key() sealed.Key {
	k, err := sealed.NewKey(bytes.Repeat([]byte{7}, sealed.KeySize))
	if err != nil {
		panic(err)
	}
	return k
}

// What is sealed is read in the clear from any place in it.
func Example() {
	var file bytes.Buffer
	w, err := sealed.NewWriter(&file, key())
	if err != nil {
		panic(err)
	}
	fmt.Fprint(w, strings.Repeat("The meeting goes on. ", 1000))
	fmt.Fprint(w, "It ends.")
	if err := w.Close(); err != nil { // writes the end, without which the file counts as cut off
		panic(err)
	}

	r, err := sealed.NewReader(bytes.NewReader(file.Bytes()), int64(file.Len()), sealed.Keyring{key()})
	if err != nil {
		panic(err)
	}
	fmt.Println(r.Size(), "bytes in the clear,", file.Len(), "sealed")
	end, err := io.ReadAll(io.NewSectionReader(r, r.Size()-8, 8))
	fmt.Println(string(end), err)
	// Output:
	// 21008 bytes in the clear, 21136 sealed
	// It ends. <nil>
}

// A crash leaves a file without its end: what is there is kept, and the end written.
func ExampleFinish() {
	path, err := crashed()
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(filepath.Dir(path))

	keys := sealed.Keyring{key()}
	_, err = sealed.Open(path, keys, false)
	fmt.Println(errors.Is(err, sealed.ErrTruncated))

	f, err := sealed.Open(path, keys, true) // as far as it goes
	if err != nil {
		panic(err)
	}
	there := f.Size()
	if err := f.Close(); err != nil {
		panic(err)
	}
	if err := sealed.Finish(path, keys, there); err != nil {
		panic(err)
	}

	f, err = sealed.Open(path, keys, false)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	fmt.Println(f.Size(), f.Complete())
	// Output:
	// true
	// 8192 true
}

// crashed makes a file whose writer was never closed.
func crashed() (path string, err error) {
	dir, err := os.MkdirTemp("", "sealed")
	if err != nil {
		return "", err
	}
	f, err := os.Create(filepath.Join(dir, "meeting.mp4"))
	if err != nil {
		return "", err
	}
	defer f.Close()
	w, err := sealed.NewWriter(f, key())
	if err != nil {
		return "", err
	}
	_, err = w.Write(make([]byte, 10_000)) // two chunks, and some that wait for a third to become full
	return f.Name(), err
}

package swarm

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"rendezvous/recordings/sealed"
	"rendezvous/swarm/repo"
)

// A file that is encrypted on the disk is announced, served and resumed in the clear.
func TestFilesThatAreSealed(t *testing.T) {
	w := newWorld(t, 2)
	key := make([]byte, sealed.KeySize)
	rand.Read(key)
	k := must[sealed.Key](t)(sealed.NewKey(key))
	var opened atomic.Int32
	h := w.hosts[0]
	h.swarm.cfg.OpenFile = func(key string) (io.ReadSeekCloser, error) {
		opened.Add(1)
		return sealed.Open(filepath.Join(h.files, key), sealed.Keyring{k}, false)
	}
	all := w.group(2)
	content := make([]byte, 300_000)
	rand.Read(content)
	dir := t.TempDir()
	film := h.file("film.mp4", sealed.Seal(k, content))
	film.Size, film.SHA3 = int64(len(content)), sha3Hex(content)
	e := must[repo.Entry](t)(all[0].SendFile(film))
	if got := e.Message.Get("totalSize"); got != "300000" {
		t.Errorf("announced with %s bytes", got)
	}
	agree(t, all...)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for name, part := range map[string][]byte{"whole": nil, "resumed": content[:123_457]} {
		dst := filepath.Join(dir, name)
		if part != nil {
			if err := os.WriteFile(dst+".part", part, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := all[1].Download(ctx, e, dst); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(dst); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	if opened.Load() == 0 {
		t.Error("the file was not opened as it is to be")
	}
	// A sealed file that lost its end is not offered.
	if err := os.Truncate(filepath.Join(h.files, film.Key), 100_000); err != nil {
		t.Fatal(err)
	}
	if _, err := all[0].offer(FileID(e), ""); err == nil {
		t.Error("half a file is offered")
	}
}

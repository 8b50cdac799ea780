package swarm

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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
	w.hosts[0].swarm.cfg.OpenFile = func(path string) (io.ReadSeekCloser, error) {
		opened.Add(1)
		return sealed.Open(path, sealed.Keyring{k}, false)
	}
	all := w.group(2)
	content := make([]byte, 300_000)
	rand.Read(content)
	dir := t.TempDir()
	src := filepath.Join(dir, "sealed")
	if err := os.WriteFile(src, sealed.Seal(k, content), 0o600); err != nil {
		t.Fatal(err)
	}
	e := must[repo.Entry](t)(all[0].SendFile(src, "film.mp4"))
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
	if err := os.Truncate(src, 100_000); err != nil {
		t.Fatal(err)
	}
	if _, err := all[0].offer(FileID(e), ""); err == nil {
		t.Error("half a file is offered")
	}
}

// endless is a film that never ends.
type endless struct {
	io.Seeker
	reading chan struct{}
	once    *sync.Once
}

func (e endless) Read(p []byte) (int, error) {
	e.once.Do(func() { close(e.reading) })
	return len(p), nil
}

func (endless) Close() error { return nil }

// A file that is being hashed does not hold up the end.
func TestCloseEndsHashing(t *testing.T) {
	w := newWorld(t, 1)
	s := w.hosts[0].swarm
	c := w.group(1)[0]
	film := endless{reading: make(chan struct{}), once: &sync.Once{}}
	s.cfg.OpenFile = func(string) (io.ReadSeekCloser, error) { return film, nil }
	sent := make(chan error, 1)
	go func() {
		_, err := c.SendFile("film.mp4", "film.mp4")
		sent <- err
	}()
	<-film.reading
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	select {
	case err := <-sent:
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("it is still being hashed")
	}
}

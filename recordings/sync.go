package recordings

import (
	"crypto/sha3"
	"encoding/hex"
	"fmt"
	"hash"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"
)

const (
	// syncEvery is how often files are synced at most.
	syncEvery = time.Second
	// checkpoint is how often the sidecar is brought up to date and the disk's free space looked at.
	checkpoint = 5 * time.Second
)

// growing is a file of a recording while it is written.
type growing struct {
	output
	name    string
	written chan<- struct{} // is woken
	dirty   atomic.Bool     // something is not synced

	// What follows is the writer's.
	sum   hash.Hash
	size  int64
	whole bool // closed, and nothing ever failed
	err   error
}

// create makes one of the recording's files.
func (r *Recording) create(name string) (*growing, error) {
	out, err := r.lib.disk.create(filepath.Join(r.dir, name))
	if err != nil {
		return nil, err
	}
	g := &growing{output: out, name: name, written: r.written, sum: sha3.New512()}
	r.mu.Lock()
	r.files = append(r.files, g)
	r.mu.Unlock()
	return g, nil
}

// Write is called with whole fragments.
func (g *growing) Write(p []byte) (int, error) {
	n, err := g.output.Write(p)
	g.sum.Write(p[:n]) // never fails
	g.size += int64(n)
	if err != nil {
		g.err = err
	}
	g.dirty.Store(true)
	select {
	case g.written <- struct{}{}:
	default:
	}
	return n, err
}

// Close completes the file.
func (g *growing) Close() error {
	err := g.output.Close()
	g.whole = err == nil && g.err == nil
	return err
}

// harden makes what is written last, until end is closed or it cannot: it syncs the files after each fragment, and keeps
// the sidecar up to date. A disk takes its time for this, and the writer does not wait for it.
func (r *Recording) harden(end <-chan struct{}) {
	ticker := time.NewTicker(checkpoint)
	defer ticker.Stop()
	pause := time.NewTimer(0)
	defer pause.Stop()
	<-pause.C
	written := r.written
	for {
		var err error
		select {
		case <-end:
			return
		case <-pause.C:
			written = r.written
		case <-written:
			written = nil // until the pause is over
			pause.Reset(syncEvery)
			err = r.sync()
		case <-ticker.C:
			err = r.checkpoint()
		}
		if err != nil {
			r.trouble <- err // has room for one, and one is all there is
			return
		}
	}
}

// sync syncs the files into which something was written, the film first.
func (r *Recording) sync() error {
	r.mu.Lock()
	files := slices.Clone(r.files)
	r.mu.Unlock()
	for _, g := range files {
		if !g.dirty.Swap(false) {
			continue
		}
		if err := g.Sync(); err != nil {
			return fmt.Errorf("syncing %s: %w", g.name, err)
		}
	}
	return nil
}

// checkpoint brings the sidecar up to date, so that a crash loses little of it too.
func (r *Recording) checkpoint() error {
	if err := r.lib.checkSpace(r.dir); err != nil {
		return err
	}
	r.countDrops()
	return r.lib.disk.writeSidecar(r.dir, r.sidecar())
}

// countDrops brings the metric up to date.
func (r *Recording) countDrops() {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.queue.drops()
	r.lib.metrics.dropped.Add(float64(n - r.counted))
	r.counted = n
}

// sums are the files that have been written without an error, with their hashes; the writer has ended.
func (r *Recording) sums() map[string]File {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := map[string]File{}
	for _, g := range r.files {
		if g.whole {
			known[g.name] = File{Size: g.size, SHA3: hex.EncodeToString(g.sum.Sum(nil))}
		}
	}
	return known
}

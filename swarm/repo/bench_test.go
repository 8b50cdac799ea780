package repo

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"rendezvous/swarm/commit"
	"rendezvous/swarm/pack"
)

// longTalk is a conversation of n messages, made fast: fetched from memory.
func longTalk(b *testing.B, n int) *Repository {
	b.Helper()
	r, err := Create(filepath.Join(b.TempDir(), "conversation"), author(alice), commit.InvitesOnly, nil, time.Now)
	if err != nil {
		b.Fatal(err)
	}
	for i := range n {
		if _, err := r.Say(commit.Text(fmt.Sprintf("message number %d of a long conversation", i))); err != nil {
			b.Fatal(err)
		}
	}
	return r
}

// BenchmarkAppend writes messages: signed, checked, on the disk.
func BenchmarkAppend(b *testing.B) {
	r := longTalk(b, 0)
	defer r.Close()
	for b.Loop() {
		if _, err := r.Say(commit.Text("hello")); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAppendGit is the same by git, unsigned.
func BenchmarkAppendGit(b *testing.B) {
	dir := b.TempDir()
	run := func(args ...string) {
		c := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=x", "-c", "user.email=x"}, args...)...)
		if out, err := c.CombinedOutput(); err != nil {
			b.Fatalf("%v %s", err, out)
		}
	}
	run("init", "-q")
	for b.Loop() {
		run("commit", "-q", "--allow-empty", "-m", "hello")
	}
}

// BenchmarkTenThousand measures what is done with a conversation of 10,000
// messages, and what git needs for the same.
func BenchmarkTenThousand(b *testing.B) {
	const n = 10_000
	r := longTalk(b, n)
	defer r.Close()
	dir := r.store.dir
	b.Run("pack", func(b *testing.B) {
		for b.Loop() {
			p, err := r.PackFor(r.Head(), nil)
			if err != nil {
				b.Fatal(err)
			}
			if err := p.Write(io.Discard); err != nil {
				b.Fatal(err)
			}
		}
	})
	all, err := r.PackFor(r.Head(), nil)
	ok(b, err)
	b.Run("clone-checked", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c, err := Clone(filepath.Join(b.TempDir(), "clone"), author(alice), r.ID(), r.Head(), inMemory(b, r, all), time.Now)
			ok(b, err)
			c.Close()
		}
	})
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			c, err := Open(dir, Author{}, time.Now)
			ok(b, err)
			c.Close()
		}
	})
	b.Run("fetch-one", func(b *testing.B) {
		c, err := Clone(filepath.Join(b.TempDir(), "clone"), author(alice), r.ID(), r.Head(), inMemory(b, r, all), time.Now)
		ok(b, err)
		defer c.Close()
		for b.Loop() {
			_, err := r.Say(commit.Text("one more"))
			ok(b, err)
			p, err := r.PackFor(r.Head(), c.Haves())
			ok(b, err)
			_, err = c.Integrate(r.Head(), inMemory(b, r, p), nil)
			ok(b, err)
		}
	})
	b.Run("git-clone", func(b *testing.B) {
		for b.Loop() {
			c := exec.Command("git", "clone", "-q", "--bare", "--no-local", dir, filepath.Join(b.TempDir(), "clone"))
			c.Env = append(os.Environ(), "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*")
			if out, err := c.CombinedOutput(); err != nil {
				b.Fatalf("%v %s", err, out)
			}
		}
	})
}

func ok(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// inMemory sends a pack through its form on the wire.
func inMemory(b *testing.B, r *Repository, p *Pack) map[plumbing.Hash]pack.Object {
	b.Helper()
	var buf bytes.Buffer
	ok(b, p.Write(&buf))
	objects, err := pack.Read(&buf, pack.Limits{}, r.Object, nil)
	ok(b, err)
	return objects
}

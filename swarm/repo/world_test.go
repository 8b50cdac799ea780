package repo

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"go.uber.org/goleak"

	"rendezvous/dht/identity/identitytest"
	"rendezvous/dht/value"
	"rendezvous/swarm/commit"
	"rendezvous/swarm/pack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var people = identitytest.Accounts(5)

// alice, bob, carol and dave are people in tests.
const (
	alice = iota
	bob
	carol
	dave
	eve
)

func author(i int) Author {
	name := []string{"Alice", "Bob", "Carol", "Dave", "Eve"}[i]
	return Author{people()[i].Device, func() string { return name }}
}

func account(i int) value.Key { return people()[i].ID() }

// clock ticks a second with each reading.
func clock() func() time.Time {
	t := time.Now().Truncate(time.Second).Add(-time.Hour)
	var mu sync.Mutex
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		t = t.Add(time.Second)
		return t
	}
}

func create(t *testing.T, who int, mode commit.Mode, other *value.Key) *Repository {
	t.Helper()
	r, err := Create(filepath.Join(t.TempDir(), "conversation"), author(who), mode, other, clock())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// everything is all objects of a repository, as a peer without any gets them.
func everything(t *testing.T, r *Repository) map[plumbing.Hash]pack.Object {
	t.Helper()
	p, err := r.PackFor(r.Head(), nil)
	if err != nil {
		t.Fatal(err)
	}
	out := map[plumbing.Hash]pack.Object{}
	for _, id := range p.objects {
		o, ok := r.Object(id)
		if !ok {
			t.Fatalf("object %s is missing", id)
		}
		out[id] = o
	}
	return out
}

func clone(t *testing.T, r *Repository, who int) *Repository {
	t.Helper()
	c, err := Clone(filepath.Join(t.TempDir(), "conversation"), author(who), r.ID(), r.Head(), everything(t, r), r.now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// pull takes what from has into to.
func pull(t *testing.T, to, from *Repository) Outcome {
	t.Helper()
	o, err := to.Integrate(from.Head(), everything(t, from), nil)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// member invites somebody and lets them join; it returns their copy.
func member(t *testing.T, r *Repository, who int) *Repository {
	t.Helper()
	must[Entry](t)(r.Invite(account(who)))
	c := clone(t, r, who)
	must[Entry](t)(c.Join())
	pull(t, r, c)
	return c
}

// git runs git in a repository's folder and returns what it prints.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	c := exec.Command("git", append([]string{"--git-dir=" + dir}, args...)...)
	c.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// captured reads a conversation that real daemons made.
func captured(t testing.TB, name string) map[plumbing.Hash]pack.Object {
	t.Helper()
	f, err := os.Open("testdata/" + name + ".pack")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	objects, err := pack.Read(f, pack.Limits{}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

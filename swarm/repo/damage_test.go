package repo

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"

	"rendezvous/swarm/commit"
	"rendezvous/swarm/pack"
)

// harm does something to a file that disks and power cuts do.
var harm = map[string]func(t *testing.T, path string){
	"flipped": func(t *testing.T, path string) {
		rewrite(t, path, func(b []byte) []byte { b[len(b)/2] ^= 0x10; return b })
	},
	"half":  func(t *testing.T, path string) { rewrite(t, path, func(b []byte) []byte { return b[:len(b)/2] }) },
	"empty": func(t *testing.T, path string) { rewrite(t, path, func([]byte) []byte { return nil }) },
	"zeros": func(t *testing.T, path string) {
		rewrite(t, path, func(b []byte) []byte { return make([]byte, len(b)) })
	},
	"gone": func(t *testing.T, path string) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	},
}

func rewrite(t *testing.T, path string, f func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, f(b), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// duplicate copies a repository's folder.
func duplicate(t *testing.T, r *Repository) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "conversation")
	if err := os.CopyFS(dir, os.DirFS(r.store.dir)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// talk is a conversation of alice and bob, who has all of it, and bob's copy.
func talk(t *testing.T) (ours, theirs *Repository) {
	t.Helper()
	a := create(t, alice, commit.InvitesOnly, nil)
	b := member(t, a, bob)
	must[Entry](t)(a.SetProfile(Profile{Title: "the talk"}))
	must[Entry](t)(a.Say(commit.Text("hello")))
	pull(t, b, a)
	return a, b
}

// same checks that a folder holds all of a conversation again, and nothing of what was damaged.
func same(t *testing.T, what, dir string, want *Repository) {
	t.Helper()
	r, err := Open(dir, want.author, want.now)
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	if a, b := fmt.Sprint(must[[]Entry](t)(r.Log(0))), fmt.Sprint(must[[]Entry](t)(want.Log(0))); a != b || r.Profile().Title != want.Profile().Title {
		t.Errorf("%s: %s, want %s", what, a, b)
	}
}

// Whatever happens to whichever file of a repository, a member's copy makes it whole, or nothing is needed.
func TestRepairOfEachFile(t *testing.T) {
	a, b := talk(t)
	copied := everything(t, b)
	packed := must[*Repository](t)(Open(duplicate(t, a), a.author, a.now))
	if err := packed.store.compact(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	kinds := slices.Sorted(maps.Keys(harm))
	n := 0
	for _, form := range []*Repository{a, packed} {
		dir := duplicate(t, form)
		err := fs.WalkDir(os.DirFS(form.store.dir), ".", func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || path == "config" { // git's own, which we do not need
				return err
			}
			several := 1
			if form == packed {
				several = len(kinds)
			}
			for range several { // the many files by turns
				n++
				kind := kinds[n%len(kinds)]
				what := path + " " + kind
				if form == packed { // what is repaired has other files
					dir = duplicate(t, form)
				}
				harm[kind](t, filepath.Join(dir, path))
				r, err := Open(dir, a.author, a.now)
				found[fmt.Sprint(errors.Is(err, ErrDamaged))]++
				switch {
				case errors.Is(err, ErrDamaged):
					m, err := Mend(dir, a.ID(), b.Head(), copied)
					if err != nil || m.Missing > 0 || m.Placed == 0 {
						t.Errorf("%s: %+v, %v", what, m, err)
					}
				case err != nil:
					t.Errorf("%s: %v", what, err)
				case r.Head() != a.Head(): // the newest commit is gone without a trace: members have it still
					pull(t, r, b)
				}
				same(t, what, dir, a)
				if n%4 > 0 {
					continue // git is slow
				}
				if out := git(t, dir, "fsck", "--strict", "--no-dangling"); strings.TrimSpace(out) != "" {
					t.Errorf("%s: git fsck: %s", what, out)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Log(found)
	if found["true"] < 20 || found["false"] < 5 {
		t.Errorf("damaged or not: %v", found)
	}
}

// Each byte of a pack may be the one that flips.
func TestRepairOfAPack(t *testing.T) {
	a, b := talk(t)
	for i := range 5 {
		must[Entry](t)(a.Say(commit.Text(fmt.Sprint(i))))
	}
	pull(t, b, a)
	if err := a.store.compact(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	copied := everything(t, b)
	paths, err := filepath.Glob(filepath.Join(a.store.dir, "objects/pack/*.pack"))
	if err != nil || len(paths) != 1 {
		t.Fatal(paths, err)
	}
	name := strings.TrimPrefix(paths[0], a.store.dir)
	content, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	for at := 3; at < len(content)-20; at += len(content)/8 | 1 {
		dir := duplicate(t, a)
		rewrite(t, filepath.Join(dir, name), func(b []byte) []byte { b[at] ^= 0x20; return b })
		if at%2 == 0 { // and the index is lost as well
			harm["gone"](t, filepath.Join(dir, strings.TrimSuffix(name, "pack")+"idx"))
		}
		if _, err := Open(dir, a.author, a.now); err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatalf("at %d: %v", at, err)
			}
			if m, err := Mend(dir, a.ID(), b.Head(), copied); err != nil || m.Missing > 0 {
				t.Fatalf("at %d: %+v, %v", at, m, err)
			}
		}
		same(t, fmt.Sprint("at ", at), dir, a)
	}
}

// A branch that is lost is found again: the newest commit, and a line that a crash had not let be merged.
func TestLostBranch(t *testing.T) {
	a, b := talk(t)
	must[Entry](t)(a.Say(commit.Text("ours")))
	must[Entry](t)(b.Say(commit.Text("theirs")))
	for kind, f := range harm {
		dir := duplicate(t, a)
		st := must[*store](t)(openStore(dir, false))
		for id, o := range everything(t, b) {
			if !a.store.has(id) {
				if err := st.put([]pack.Object{o}); err != nil {
					t.Fatal(err)
				}
			}
		}
		f(t, filepath.Join(dir, mainRef))
		if _, err := Open(dir, Author{}, a.now); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: who only reads: %v", kind, err)
		}
		r := must[*Repository](t)(Open(dir, a.author, a.now))
		if len(r.Notes()) == 0 {
			t.Errorf("%s: nothing is noted", kind)
		}
		if !r.Has(a.Head()) || !r.Has(b.Head()) {
			t.Errorf("%s: something was left behind", kind)
		}
		check(t, r)
	}
}

// One member has some, another the rest. A copy that breaks the rules changes nothing.
func TestRepairFromSeveral(t *testing.T) {
	a, b := talk(t)
	early, head := everything(t, b), b.Head()
	must[Entry](t)(a.Say(commit.Text("later")))
	pull(t, b, a)
	dir := duplicate(t, a)
	harm["empty"](t, a.store.loosePathIn(dir, head))
	harm["empty"](t, a.store.loosePathIn(dir, a.Head()))
	before := digest(t, dir)

	forged := everything(t, b)
	delete(forged, a.ID())
	if _, err := Mend(dir, a.ID(), b.Head(), forged); !errors.Is(err, ErrInvalid) {
		t.Errorf("without its beginning: %v", err)
	}
	if _, err := Mend(dir, a.ID(), create(t, carol, commit.InvitesOnly, nil).Head(), early); !errors.Is(err, ErrInvalid) {
		t.Errorf("another conversation: %v", err)
	}
	if digest(t, dir) != before {
		t.Error("what was refused changed something")
	}
	m, err := Mend(dir, a.ID(), head, early)
	if err != nil || m.Missing != 1 {
		t.Fatalf("%+v, %v", m, err)
	}
	if _, err := Open(dir, a.author, a.now); !errors.Is(err, ErrDamaged) {
		t.Errorf("half repaired: %v", err)
	}
	if m, err = Mend(dir, a.ID(), b.Head(), everything(t, b)); err != nil || m.Missing > 0 || m.Placed != 1 {
		t.Fatalf("%+v, %v", m, err)
	}
	same(t, "repaired", dir, a)
}

func (st *store) loosePathIn(dir string, id plumbing.Hash) string {
	return strings.Replace(st.loosePath(id), st.dir, dir, 1)
}

// digest is all of a folder's content.
func digest(t *testing.T, dir string) string {
	t.Helper()
	var b bytes.Buffer
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			var content []byte
			content, err = os.ReadFile(path)
			fmt.Fprintln(&b, path, content)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Damage is also found while a conversation is in use. Then nothing is written to it until it is repaired.
func TestDamageWhileInUse(t *testing.T) {
	a, b := talk(t)
	told := make(chan error, 10)
	a.OnDamage(func(err error) { told <- err })
	harm["flipped"](t, a.store.loosePath(a.ID()))
	if _, err := a.Entry(plumbing.NewHash(strings.Repeat("1", 40))); err == nil || a.Damaged() != nil {
		t.Error("what never was is not damaged", err)
	}
	if _, err := a.Entry(a.ID()); !errors.Is(err, ErrDamaged) || a.Damaged() == nil {
		t.Fatal(err)
	}
	if _, err := a.Log(0); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
	if len(told) != 1 {
		t.Errorf("told %d times", len(told))
	}
	if _, err := a.Say(commit.Text("x")); !errors.Is(err, ErrDamaged) {
		t.Error("it is written to", err)
	}
	must[Entry](t)(b.Say(commit.Text("meanwhile")))
	if _, err := a.Integrate(b.Head(), everything(t, b), nil); !errors.Is(err, ErrDamaged) || errors.Is(err, ErrInvalid) {
		t.Error("it is written to", err)
	}
	if m, err := a.Mend(b.Head(), everything(t, b)); err != nil || m.Placed != 1 || m.Missing != 0 {
		t.Fatalf("%+v, %v", m, err)
	}
	pull(t, a, b)
	must[Entry](t)(a.Say(commit.Text("on it goes")))
	check(t, a)
}

// Of what is damaged it is still known who may have a copy.
func TestKeepers(t *testing.T) {
	a, _ := talk(t)
	dir := duplicate(t, a)
	for _, path := range []string{mainRef, "HEAD", "config"} {
		harm["gone"](t, filepath.Join(dir, path))
	}
	harm["empty"](t, a.store.loosePathIn(dir, a.Head()))
	got := Keepers(dir)
	for _, who := range []int{alice, bob} {
		if !slices.Contains(got, account(who)) {
			t.Errorf("%d is not among %v", who, got)
		}
	}
	if len(got) != 2 {
		t.Errorf("%d keepers", len(got))
	}
}

// What a crash has left of files that were being written goes when the repository is opened.
func TestLeftovers(t *testing.T) {
	a, _ := talk(t)
	left := []string{"objects/pack/tmp_pack_123", "objects/pack/.pack.1.tmp", "refs/heads/.main.5.tmp", "refs/heads/tmp_9", "objects/pack/pack-" + strings.Repeat("0", 40) + ".idx",
		strings.TrimPrefix(filepath.Dir(a.store.loosePath(a.ID())), a.store.dir) + "/tmp_obj_7"}
	for _, path := range left {
		if err := os.WriteFile(filepath.Join(a.store.dir, path), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(a.store.dir, Author{}, a.now); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(a.store.dir, left[0])); err != nil {
		t.Error("who only reads removes something")
	}
	must[*Repository](t)(Open(a.store.dir, a.author, a.now))
	check(t, a)
	for _, path := range left {
		if _, err := os.Stat(filepath.Join(a.store.dir, path)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left (%v)", path, err)
		}
	}
}

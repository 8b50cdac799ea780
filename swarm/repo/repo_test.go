package repo

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"

	"rendezvous/swarm/commit"
	"rendezvous/swarm/pack"
)

// Conversations made by real daemons keep all our rules.
func TestHistoriesOfDaemons(t *testing.T) {
	for _, c := range []struct {
		name, id, head string
		mode           commit.Mode
		commits        int
	}{
		{"one-to-one", "1e53df6a26557f319a9d0f6575c09bdb6f37950f", "b552eb063de65bf74c3afc8dc26de5693d1068a1", commit.OneToOne, 7},
		{"group", "482d0e8f0c83afc4c90a772cccf1e344f8831e33", "7bbca3b8d5ed12be466ec2101d8759bc86b52b9e", commit.InvitesOnly, 12},
	} {
		k := newChecker(plumbing.NewHash(c.id), overlay{extra: captured(t, c.name)})
		news, err := k.checkNew(plumbing.NewHash(c.head))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if len(news) != c.commits || k.mode != c.mode {
			t.Errorf("%s: %d commits, mode %v", c.name, len(news), k.mode)
		}
		for _, x := range news {
			m, err := commit.ParseMessage(x)
			if err != nil {
				t.Error(err)
			} else if m.Text() != x.Text {
				t.Errorf("we would write %s, the daemon wrote %s", m.Text(), x.Text)
			}
		}
	}
}

// Our trees are what git makes of the same files: of every tree of the daemons.
func TestTreesOfDaemons(t *testing.T) {
	objects := captured(t, "group")
	n := 0
	for id, o := range objects {
		if o.Type != plumbing.CommitObject {
			continue
		}
		n++
		c, err := commit.Parse(o.Data)
		if err != nil || c.ID != id {
			t.Fatal(err, c.ID)
		}
		f, err := readTree(overlay{extra: objects}, c.Tree)
		if err != nil {
			t.Fatal(err)
		}
		got, err := writeTree(f, func(o pack.Object) (plumbing.Hash, error) { return o.ID(), nil })
		if err != nil || got != c.Tree {
			t.Errorf("tree %s, want %s (%v)", got, c.Tree, err)
		}
	}
	if n != 12 {
		t.Errorf("%d commits", n)
	}
}

func TestLifeOfAGroup(t *testing.T) {
	a := create(t, alice, commit.InvitesOnly, nil)
	b := member(t, a, bob)
	c := member(t, a, carol)
	pull(t, b, a)
	hello := must[Entry](t)(b.Say(commit.Text("hello 👋")))
	pull(t, a, b)
	must[Entry](t)(a.Say(commit.Reply("hello Bob", hello.ID)))
	must[Entry](t)(a.Say(commit.React("👍", hello.ID)))
	must[Entry](t)(a.SetProfile(Profile{Title: "The group", Description: "of three", HostAccount: account(alice).String()}))
	pull(t, b, a)
	must[Entry](t)(b.Say(commit.Edit("hello all", hello.ID)))
	must[Entry](t)(b.Say(commit.File("note.txt", strings.Repeat("ab", 64), "12345", 260)))
	must[Entry](t)(b.Say(commit.CallStarted("77", people()[bob].DeviceLongID().String(), account(bob).String())))
	pull(t, a, b)
	pull(t, c, a)
	if p := c.Profile(); p.Title != "The group" || p.Description != "of three" || p.HostAccount != account(alice).String() {
		t.Errorf("profile %+v", p)
	}
	for who, want := range map[int]Role{alice: Admin, bob: Plain, carol: Plain, dave: None} {
		if got := c.Role(account(who)); got != want {
			t.Errorf("role of %d is %q, want %q", who, got, want)
		}
	}
	if n := len(c.Devices()); n != 3 {
		t.Errorf("%d devices", n)
	}

	if _, err := b.SetProfile(Profile{Title: "mine"}); !errors.Is(err, ErrNotAllowed) {
		t.Errorf("a member changes the profile: %v", err)
	}
	if _, err := b.Say(commit.Edit("x", a.ID())); !errors.Is(err, ErrNotAllowed) {
		t.Errorf("editing what one did not write: %v", err)
	}
	if _, _, err := b.Ban(account(carol)); !errors.Is(err, ErrNotAllowed) {
		t.Errorf("a member bans: %v", err)
	}

	entries, done, err := a.Ban(account(carol))
	if err != nil || !done || len(entries) != 2 {
		t.Fatal(entries, done, err)
	}
	if a.Role(account(carol)) != Banned || a.MayRead(account(carol), people()[carol].DeviceLongID()) {
		t.Error("carol is not banned")
	}
	pull(t, c, a)
	if _, err := c.Say(commit.Text("still here")); !errors.Is(err, ErrNotAllowed) {
		t.Errorf("the banned writes: %v", err)
	}
	if _, done, err := a.Unban(account(carol)); err != nil || !done || a.Role(account(carol)) != Plain {
		t.Fatal("unban", done, err)
	}
	pull(t, b, a)
	must[Entry](t)(b.Leave())
	pull(t, a, b)
	if a.Role(account(bob)) != Left {
		t.Errorf("bob is %q", a.Role(account(bob)))
	}
	check(t, a)
}

// check lets git and Verify look at a repository.
func check(t *testing.T, r *Repository) {
	t.Helper()
	out := git(t, r.store.dir, "fsck", "--strict", "--no-dangling")
	if s := strings.TrimSpace(out); s != "" {
		t.Errorf("git fsck: %s", s)
	}
	n, err := r.Verify()
	if err != nil {
		t.Error(err)
	}
	if want := strings.TrimSpace(git(t, r.store.dir, "rev-list", "--count", "main")); fmt.Sprint(n) != want {
		t.Errorf("%d commits, git counts %s", n, want)
	}
	head := r.Head()
	again, err := Open(r.store.dir, r.author, r.now)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.Head() != head || again.ID() != r.ID() || again.Mode() != r.Mode() {
		t.Error("opened again it is another")
	}
	a, b := must[[]Entry](t)(r.Log(0)), must[[]Entry](t)(again.Log(0))
	if fmt.Sprint(a) != fmt.Sprint(b) {
		t.Error("opened again the log differs")
	}
}

func TestOneToOne(t *testing.T) {
	other := account(bob)
	a := create(t, alice, commit.OneToOne, &other)
	b := clone(t, a, bob)
	must[Entry](t)(b.Join())
	must[Entry](t)(b.Say(commit.Text("hi")))
	pull(t, a, b)
	if _, err := a.Invite(account(carol)); !errors.Is(err, ErrNotAllowed) {
		t.Errorf("a third: %v", err)
	}
	check(t, a)
}

func TestModes(t *testing.T) {
	for _, c := range []struct {
		mode          commit.Mode
		memberInvites bool
		joinUninvited bool
	}{
		{commit.AdminInvitesOnly, false, false},
		{commit.InvitesOnly, true, false},
		{commit.Public, true, true},
	} {
		t.Run(c.mode.String(), func(t *testing.T) {
			a := create(t, alice, c.mode, nil)
			b := member(t, a, bob)
			if _, err := b.Invite(account(carol)); (err == nil) != c.memberInvites {
				t.Errorf("a member invites: %v", err)
			}
			d, err := Clone(t.TempDir()+"/c", author(dave), a.ID(), a.Head(), everything(t, a), a.now)
			if (err == nil) != c.joinUninvited {
				t.Fatalf("cloning uninvited: %v", err)
			}
			if err == nil {
				defer d.Close()
				must[Entry](t)(d.Join())
				pull(t, a, d)
				if a.Role(account(dave)) != Plain {
					t.Error("dave is not in")
				}
			}
			check(t, a)
		})
	}
}

// Both write at the same time: each merges, and in the end both have the same.
func TestMerge(t *testing.T) {
	a := create(t, alice, commit.InvitesOnly, nil)
	b := member(t, a, bob)
	pull(t, b, a)
	for i := range 3 {
		must[Entry](t)(a.Say(commit.Text(fmt.Sprint("a", i))))
		must[Entry](t)(b.Say(commit.Text(fmt.Sprint("b", i))))
	}
	must[Entry](t)(a.Invite(account(carol)))
	must[Entry](t)(a.SetProfile(Profile{Title: "merged"}))
	o := pull(t, b, a)
	if o.Merged == nil || len(o.New) != 6 {
		t.Fatalf("%+v", o)
	}
	if o := pull(t, a, b); o.Merged != nil {
		t.Error("a merges what it could follow")
	}
	if a.Head() != b.Head() || a.Profile().Title != "merged" || b.Role(account(carol)) != Invited {
		t.Error("they differ")
	}
	if x, y := fmt.Sprint(a.Linearised()), fmt.Sprint(b.Linearised()); x != y {
		t.Error("orders differ")
	}
	check(t, a)
}

// Criss-cross merges: several best common ancestors.
func TestCrissCross(t *testing.T) {
	a := create(t, alice, commit.InvitesOnly, nil)
	b := member(t, a, bob)
	pull(t, b, a)
	for i := range 4 {
		must[Entry](t)(a.Say(commit.Text(fmt.Sprint("a", i))))
		if i == 2 {
			must[Entry](t)(a.Invite(account(carol)))
		}
		must[Entry](t)(b.Say(commit.Text(fmt.Sprint("b", i))))
		atA, atB := a.Head(), b.Head()
		fromA, fromB := everything(t, a), everything(t, b)
		must[Outcome](t)(a.Integrate(atB, fromB, nil))
		must[Outcome](t)(b.Integrate(atA, fromA, nil))
		if n := len(a.k.graph.mergeBases(atA, atB)); i > 0 && n != 2 && n != 1 {
			t.Errorf("%d merge bases", n)
		}
	}
	pull(t, a, b)
	pull(t, b, a)
	if a.Head() != b.Head() || b.Role(account(carol)) != Invited {
		t.Error("they differ")
	}
	check(t, a)
	check(t, b)
	// git finds the same common ancestors.
	g := a.k.graph
	merges := 0
	for id, n := range g {
		if len(n.parents) != 2 {
			continue
		}
		merges++
		want := strings.Fields(git(t, a.store.dir, "merge-base", "--all", n.parents[0].String(), n.parents[1].String()))
		got := g.mergeBases(n.parents[0], n.parents[1])
		if len(got) != len(want) {
			t.Errorf("merge %s: bases %v, git says %v", id, got, want)
		}
		for _, w := range want {
			if !strings.Contains(fmt.Sprint(got), w) {
				t.Errorf("merge %s: bases %v, git says %v", id, got, want)
			}
		}
		list := strings.Fields(git(t, a.store.dir, "rev-list", n.parents[0].String(), "^"+n.parents[1].String()))
		if got := g.beyond(n.parents[0], n.parents[1:]); len(got) != len(list) {
			t.Errorf("beyond: %d commits, git says %d", len(got), len(list))
		}
	}
	if merges < 6 {
		t.Errorf("%d merges", merges)
	}
}

func TestProfileConflict(t *testing.T) {
	a := create(t, alice, commit.InvitesOnly, nil)
	// The same account on the same device, cut in two.
	b := clone(t, a, alice)
	must[Entry](t)(a.SetProfile(Profile{Title: "left"}))
	must[Entry](t)(b.SetProfile(Profile{Title: "right"}))
	want := a.Profile().Title
	if b.Head().String() > a.Head().String() {
		want = "right"
	}
	if o := pull(t, a, b); o.Merged == nil {
		t.Fatal("not merged")
	}
	if got := a.Profile().Title; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	check(t, a)
}

// Objects that were put together are the same objects.
func TestCompact(t *testing.T) {
	a := create(t, alice, commit.InvitesOnly, nil)
	for i := range 30 {
		must[Entry](t)(a.Say(commit.Text(fmt.Sprint(i))))
	}
	if err := a.store.compact(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	if out := git(t, a.store.dir, "count-objects"); !strings.HasPrefix(out, "0 objects") {
		t.Errorf("git counts %s", out)
	}
	must[Entry](t)(a.Say(commit.Text("after")))
	check(t, a)
}

func TestProfileText(t *testing.T) {
	p := Profile{Title: "Weekly: meeting", Description: "a\nb", Avatar: []byte{1, 2, 3}, HostAccount: "x", HostDevice: "y"}
	got := parseProfile(p.vcard())
	if got.Title != p.Title || got.Description != "a b" || !bytes.Equal(got.Avatar, p.Avatar) || got.HostDevice != "y" {
		t.Errorf("%+v", got)
	}
}

// What others may have us store has a bound; nothing of what is too much is kept, and we go on ourselves.
func TestFull(t *testing.T) {
	a := create(t, alice, commit.InvitesOnly, nil)
	b := member(t, a, bob)
	pull(t, b, a)
	stored, err := a.store.size()
	if err != nil {
		t.Fatal(err)
	}
	a.most = stored + 4000
	for range 20 {
		must[Entry](t)(b.Say(commit.Text(strings.Repeat("x", 1000))))
	}
	before := a.Head()
	if _, err := a.Integrate(b.Head(), everything(t, b), nil); !errors.Is(err, ErrFull) {
		t.Errorf("took 20 kB more than there is room for: %v", err)
	}
	if n, err := a.store.size(); err != nil || n != stored || a.Head() != before {
		t.Errorf("%d bytes are stored, %d were (%v)", n, stored, err)
	}
	must[Entry](t)(a.Say(commit.Text("we go on")))
	a.most = maxStored
	pull(t, a, b)
	check(t, a)
	if n, err := a.store.size(); err != nil || n < stored+20_000 {
		t.Errorf("%d bytes are counted (%v)", n, err)
	}
}

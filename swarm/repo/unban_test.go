package repo

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"pgregory.net/rapid"

	"rendezvous/swarm/commit"
)

// Lines that were merged crosswise have two best common ancestors; a banned member does not come back by them.
func TestBannedMemberMergesThemselvesIn(t *testing.T) {
	a := create(t, alice, commit.InvitesOnly, nil)
	member(t, a, bob)
	f := forge(t, a)
	before, old := f.head, maps.Clone(f.tree)
	// While a member Bob writes two lines and merges them, twice. One merge is published, the other kept.
	x, y := f.commit(bob, commit.Text("x").Text(), before), f.commit(bob, commit.Text("y").Text(), before)
	published := f.commit(bob, commit.Merge(y.ID).Text(), x.ID, y.ID)
	kept := f.commit(bob, commit.Merge(x.ID).Text(), y.ID, x.ID)
	if _, err := a.Integrate(published.ID, f.objects, nil); err != nil {
		t.Fatal(err)
	}
	if _, done, err := a.Ban(account(bob)); !done || err != nil {
		t.Fatal(done, err)
	}
	g := forge(t, a)
	maps.Copy(g.objects, f.objects)
	g.tree = old
	g.commit(bob, commit.Merge(kept.ID).Text(), a.Head(), kept.ID)
	if _, err := a.Integrate(g.head, g.objects, nil); err == nil {
		t.Error("the merge was taken")
	}
	if role := a.Role(account(bob)); role != Banned {
		t.Errorf("bob is %s", role)
	}
}

// model says by the obvious rule who is banned after a commit: whoever was banned by one of its ancestors, and by none
// after that let in again.
type model struct {
	parents map[plumbing.Hash][]plumbing.Hash
	event   map[plumbing.Hash]string // "ban 1", "lift 1"
}

func (m *model) ancestors(id plumbing.Hash) map[plumbing.Hash]bool {
	seen := map[plumbing.Hash]bool{}
	for todo := []plumbing.Hash{id}; len(todo) > 0; {
		x := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !seen[x] {
			seen[x] = true
			todo = append(todo, m.parents[x]...)
		}
	}
	return seen
}

// banned returns whether somebody must be banned at a commit, and whether they must not. Neither, where one line
// lifted a ban and another, not knowing of that, banned them again.
func (m *model) banned(id plumbing.Hash, who int) (must, mustNot bool) {
	all := m.ancestors(id)
	var bans, lifts []plumbing.Hash
	for x := range all {
		switch m.event[x] {
		case fmt.Sprint("ban ", who):
			bans = append(bans, x)
		case fmt.Sprint("lift ", who):
			lifts = append(lifts, x)
		}
	}
	if len(bans) == 0 {
		return false, true
	}
	open := func(list, by []plumbing.Hash) bool { // one of the list that none of the others comes after
		return slices.ContainsFunc(list, func(x plumbing.Hash) bool {
			return !slices.ContainsFunc(by, func(y plumbing.Hash) bool { return m.ancestors(y)[x] })
		})
	}
	banOpen, liftOpen := open(bans, lifts), open(lifts, bans)
	return banOpen && !liftOpen, liftOpen && !banOpen
}

// Random histories of honest and banned authors: of all merges that anybody could make, taking each file from either
// side, none that is accepted makes a ban undone or done.
func TestNoMergeUndoesABan(t *testing.T) {
	origin := create(t, alice, commit.InvitesOnly, nil)
	for _, who := range []int{bob, carol, dave} {
		member(t, origin, who)
	}
	base := forge(t, origin)
	rapid.Check(t, func(rt *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		objects := maps.Clone(base.objects)
		k := newChecker(origin.ID(), overlay{extra: objects})
		if _, err := k.checkNew(base.head); err != nil {
			rt.Fatal(err)
		}
		m := &model{parents: map[plumbing.Hash][]plumbing.Hash{base.head: nil}, event: map[plumbing.Hash]string{}}
		trees := map[plumbing.Hash]files{base.head: base.tree}
		all := []plumbing.Hash{base.head}
		accepted := 0
		for range rapid.IntRange(5, 40).Draw(rt, "commits") {
			f := &forger{t: t, objects: objects, time: base.time}
			at := all[r.IntN(len(all))]
			if r.IntN(2) == 0 { // a late one
				at = all[len(all)-1-r.IntN(min(4, len(all)))]
			}
			f.tree = maps.Clone(trees[at])
			who, target := []int{alice, bob, carol, dave}[r.IntN(4)], []int{bob, carol}[r.IntN(2)]
			parents, event, text := []plumbing.Hash{at}, "", commit.Text(fmt.Sprint(r.Uint64())).Text()
			id := account(target).String()
			member, banned := filePath("members", id), bannedPath("members", id)
			switch r.IntN(6) {
			case 0: // the only admin's vote decides
				who = alice
				lift := f.tree.roleOf(id) == Banned
				vote := commit.Vote(id).Text()
				path := votePath(lift, "members", id, account(alice).String())
				f.tree[path] = f.blob("")
				v := f.commit(who, vote, at)
				if take(k, v.ID) != nil {
					continue
				}
				m.parents[v.ID] = parents
				parents = []plumbing.Hash{v.ID}
				delete(f.tree, path)
				if lift {
					f.tree[member] = f.tree[banned]
					delete(f.tree, banned)
					event, text = fmt.Sprint("lift ", target), commit.Member(commit.ActionUnban, id).Text()
				} else {
					f.tree[banned] = f.tree[member]
					delete(f.tree, member)
					event, text = fmt.Sprint("ban ", target), commit.Member(commit.ActionBan, id).Text()
				}
			case 1, 2, 3, 4:
				other := all[r.IntN(len(all))]
				parents, text = []plumbing.Hash{at, other}, commit.Merge(other).Text()
				how, theirs := r.IntN(3), trees[other]
				for _, c := range diff(f.tree, theirs) {
					if how == 0 || how == 1 && r.IntN(2) == 0 {
						if f.tree[c.path] = c.to; c.to.IsZero() {
							delete(f.tree, c.path)
						}
					}
				}
			}
			c := f.commit(who, text, parents...)
			if k.graph[c.ID] != nil || take(k, c.ID) != nil {
				continue
			}
			accepted++
			m.parents[c.ID], m.event[c.ID], trees[c.ID] = parents, event, maps.Clone(f.tree)
			all = append(all, c.ID)
			for _, who := range []int{bob, carol} {
				role := f.tree.roleOf(account(who).String())
				must, mustNot := m.banned(c.ID, who)
				if must && role != Banned || mustNot && role == Banned {
					rt.Fatalf("after %d commits %d is %q; must be banned: %v, must not: %v", accepted, who, role, must, mustNot)
				}
			}
		}
	})
}

// take has a checker check a commit, and keep it if it is valid.
func take(k *checker, id plumbing.Hash) error {
	_, err := k.checkNew(id)
	return err
}

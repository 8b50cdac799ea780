package swarm

import (
	"fmt"
	"strings"
	"testing"

	"rendezvous/internal/eventually"
	"rendezvous/swarm/commit"
	"rendezvous/swarm/repo"
)

// Three who were cut apart and all have something to say need two merges. A few
// more happen when two of them merge at the same time; they must not go on
// merging each other's merges.
func TestMergesDoNotChase(t *testing.T) {
	t.Parallel() // it mostly waits for merges
	const rounds = 4
	w := newWorld(t, 3)
	all := w.group(3)
	agree(t, all...)
	before := merges(t, all[0])
	for round := range rounds {
		w.cutAll(true)
		for i, c := range all {
			must[repo.Entry](t)(c.Say(commit.Text(fmt.Sprint(round, i))))
		}
		w.cutAll(false)
		for _, h := range w.hosts {
			h.swarm.mu.Lock()
			clear(h.swarm.met)
			h.swarm.mu.Unlock()
			for _, o := range w.hosts {
				if o != h {
					h.swarm.Met(o.peer)
				}
			}
		}
		eventually.True(t, "everything everywhere", func() bool {
			for _, c := range all {
				if strings.Count(said(t, c), "|")+1 != 3*(round+1) {
					return false
				}
			}
			return true
		})
		agree(t, all...)
	}
	n := merges(t, all[0]) - before
	t.Logf("%d merges in %d rounds", n, rounds)
	if n > 15*rounds { // there were a hundred in each round when all merged at once
		t.Errorf("%d merges in %d rounds", n, rounds)
	}
}

func merges(t *testing.T, c *Conversation) int {
	n := 0
	for _, e := range must[[]repo.Entry](t)(c.repo.Log(0)) {
		if len(e.Parents) > 1 {
			n++
		}
	}
	return n
}

// cutAll takes all cables out, or puts them back.
func (w *world) cutAll(cut bool) {
	for a := range w.hosts {
		for b := range a {
			w.setCut(a, b, cut)
		}
	}
}

// What has come of a device is not lost if it leaves while the merge waits.
func TestMergedThoughTheOtherLeft(t *testing.T) {
	w := newWorld(t, 2)
	all := w.group(2)
	agree(t, all...)
	a, b := w.hosts[0], w.hosts[1]
	w.cutAll(true)
	must[repo.Entry](t)(all[0].Say(commit.Text("ours")))
	must[repo.Entry](t)(all[1].Say(commit.Text("theirs")))
	w.cutAll(false)
	before := a.fetched()
	a.swarm.Fetch(b.peer, all[0].ID())
	eventually.True(t, "a has fetched", func() bool { return a.fetched() > before })
	w.cutAll(true)
	eventually.True(t, "a has merged", func() bool { return said(t, all[0]) == "ours|theirs" })
}

func TestPatience(t *testing.T) {
	entry := func(kind string) repo.Entry { return repo.Entry{Message: commit.Message{Type: kind}} }
	for name, tc := range map[string]struct {
		more []repo.Entry
		want float64 // seconds at least; up to three times as much
	}{
		"only merges":           {[]repo.Entry{entry(commit.TypeMerge), entry(commit.TypeMerge)}, 3},
		"a message":             {[]repo.Entry{entry(commit.TypeText), entry(commit.TypeMerge)}, 0.5},
		"a kind we do not know": {[]repo.Entry{entry("application/new")}, 0.5},
		"somebody joins":        {[]repo.Entry{entry(commit.TypeText), entry(commit.TypeMember)}, 0},
		"a vote":                {[]repo.Entry{entry(commit.TypeVote), entry(commit.TypeText)}, 0},
	} {
		if got := patienceFor(tc.more).Seconds(); got < tc.want || got > 3*tc.want {
			t.Errorf("%s: %v s, want %v to %v", name, got, tc.want, 3*tc.want)
		}
	}
}

package repo

import (
	"container/heap"

	"github.com/go-git/go-git/v5/plumbing"

	"rendezvous/dht/value"
)

// node is what is remembered of a commit that was checked.
type node struct {
	id      plumbing.Hash
	parents []plumbing.Hash
	tree    plumbing.Hash
	time    int64
	// depth is the length of the longest line to the initial commit: a commit's
	// is greater than those of all its ancestors.
	depth   int
	account value.Key // the author's
	kind    string    // type of the message
}

// graph is the history: all checked commits by id.
type graph map[plumbing.Hash]*node

func (g graph) add(n *node) {
	for _, p := range n.parents {
		n.depth = max(n.depth, g[p].depth+1)
	}
	g[n.id] = n
}

// queue yields the deepest commit first.
type queue []*node

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].depth > q[j].depth }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(*node)) }
func (q *queue) Pop() any {
	old := *q
	n := old[len(old)-1]
	*q = old[:len(old)-1]
	return n
}

// Marks of a walk.
const (
	fromA = 1 << iota
	fromB
	below // an ancestor of a common ancestor
)

// mergeBases finds the best common ancestors: those that are no ancestors of
// another common one.
func (g graph) mergeBases(a, b plumbing.Hash) []plumbing.Hash {
	marks := map[plumbing.Hash]int{}
	q := &queue{}
	pending := 0 // in the queue and not below
	mark := func(id plumbing.Hash, m int) {
		old, seen := marks[id]
		if !seen {
			heap.Push(q, g[id])
			pending++
		} else if old&below != 0 {
			pending++ // counted anew just below
		}
		marks[id] = old | m
		if marks[id]&below != 0 {
			pending--
		}
	}
	mark(a, fromA)
	mark(b, fromB)
	var out []plumbing.Hash
	for pending > 0 {
		n := heap.Pop(q).(*node)
		m := marks[n.id]
		if m&below == 0 {
			pending--
			if m == fromA|fromB {
				out = append(out, n.id)
				m |= below
			}
		}
		for _, p := range n.parents {
			mark(p, m)
		}
	}
	return out
}

// isAncestor reports whether a is b or one of its ancestors.
func (g graph) isAncestor(a, b plumbing.Hash) bool {
	want := g[a]
	if want == nil || g[b] == nil {
		return false
	}
	seen := map[plumbing.Hash]bool{b: true}
	for todo := []plumbing.Hash{b}; len(todo) > 0; {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if id == a {
			return true
		}
		for _, p := range g[id].parents {
			if !seen[p] && g[p].depth >= want.depth {
				seen[p] = true
				todo = append(todo, p)
			}
		}
	}
	return false
}

// beyond lists the commits that lead to head and are neither among the known nor
// their ancestors, deepest first.
func (g graph) beyond(head plumbing.Hash, known []plumbing.Hash) []*node {
	const wanted, had = 1, 2
	marks := map[plumbing.Hash]int{}
	q := &queue{}
	open := 0 // in the queue, wanted and not had
	mark := func(id plumbing.Hash, m int) {
		old, seen := marks[id]
		if !seen {
			heap.Push(q, g[id])
		}
		marks[id] = old | m
		switch {
		case old != wanted && marks[id] == wanted:
			open++
		case old == wanted && marks[id] != wanted:
			open--
		}
	}
	mark(head, wanted)
	for _, id := range known {
		if g[id] != nil {
			mark(id, had)
		}
	}
	var out []*node
	for open > 0 {
		n := heap.Pop(q).(*node)
		m := marks[n.id]
		if m == wanted {
			open--
			out = append(out, n)
		}
		for _, p := range n.parents {
			mark(p, m&had|m&wanted)
		}
	}
	return out
}

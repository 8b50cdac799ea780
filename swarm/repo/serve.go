package repo

import (
	"container/heap"
	"fmt"
	"io"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"

	"rendezvous/swarm/pack"
)

// Haves lists commits that we have, newest first, to find out what to fetch: the
// newest all, older ones ever more sparsely, the initial one at last.
func (r *Repository) Haves() []plumbing.Hash {
	const dense, most = 64, 256
	all := r.Linearised()
	var out []plumbing.Hash
	for i, step := 0, 1; i < len(all) && len(out) < most-1; i += step {
		out = append(out, all[i])
		if i >= dense {
			step += step/2 + 1
		}
	}
	if first := all[len(all)-1]; len(out) == 0 || out[len(out)-1] != first {
		out = append(out, first)
	}
	return out
}

// Pack is what a peer needs to have a commit.
type Pack struct {
	from    *Repository
	objects []plumbing.Hash
}

// PackFor lists the objects that a peer lacks who wants a commit and has others. The
// error wraps ErrNotFound for a commit that is not ours, or ErrDamaged.
func (r *Repository) PackFor(want plumbing.Hash, have []plumbing.Hash) (*Pack, error) {
	r.mu.Lock()
	if r.k.graph[want] == nil {
		r.mu.Unlock()
		return nil, fmt.Errorf("swarm: %w: %s", ErrNotFound, want)
	}
	missing := r.k.graph.beyond(want, have)
	var known []plumbing.Hash // trees that the peer has
	for _, h := range have {
		if n := r.k.graph[h]; n != nil {
			known = append(known, n.tree)
		}
	}
	r.mu.Unlock()
	p := &Pack{from: r}
	seen := map[plumbing.Hash]bool{}
	enter := func(id plumbing.Hash) bool { known := seen[id]; seen[id] = true; return !known }
	for _, tree := range known {
		if err := eachObject(r.store, tree, enter, func(plumbing.Hash, pack.Object) error { return nil }); err != nil {
			return nil, fmt.Errorf("swarm: %w", r.spot(err))
		}
	}
	for _, n := range missing {
		p.objects = append(p.objects, n.id)
		err := eachObject(r.store, n.tree, enter, func(id plumbing.Hash, _ pack.Object) error {
			p.objects = append(p.objects, id)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("swarm: %w", r.spot(err))
		}
	}
	return p, nil
}

// Objects is how many objects the pack has.
func (p *Pack) Objects() int { return len(p.objects) }

// Write writes the pack. It reads one object at a time. The error wraps ErrDamaged for
// one that cannot be read, or is w's; what was written is worth nothing then.
func (p *Pack) Write(w io.Writer) error {
	pw, err := pack.NewWriter(w, len(p.objects))
	if err != nil {
		return err
	}
	for _, id := range p.objects {
		o, err := p.from.store.get(id)
		if err != nil {
			return p.from.spot(err)
		}
		if err := pw.Add(o); err != nil {
			return err
		}
	}
	return pw.Close()
}

// Object reads any object, for deltas of fetched packs.
func (r *Repository) Object(id plumbing.Hash) (pack.Object, bool) {
	o, err := r.store.get(id)
	return o, err == nil
}

// newest yields, of the commits that are free, the newest.
type newest []*node

func (q newest) Len() int { return len(q) }
func (q newest) Less(i, j int) bool {
	if q[i].time != q[j].time {
		return q[i].time > q[j].time
	}
	return q[i].id.String() > q[j].id.String()
}
func (q newest) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *newest) Push(x any)   { *q = append(*q, x.(*node)) }
func (q *newest) Pop() any {
	old := *q
	n := old[len(old)-1]
	*q = old[:len(old)-1]
	return n
}

func (g graph) linearise(head plumbing.Hash) []plumbing.Hash {
	children := map[plumbing.Hash]int{}
	for stack, seen := []plumbing.Hash{head}, map[plumbing.Hash]bool{head: true}; len(stack) > 0; {
		n := g[stack[len(stack)-1]]
		stack = stack[:len(stack)-1]
		for _, p := range n.parents {
			children[p]++
			if !seen[p] {
				seen[p] = true
				stack = append(stack, p)
			}
		}
	}
	out := make([]plumbing.Hash, 0, len(children)+1)
	q := &newest{g[head]}
	for q.Len() > 0 {
		n := heap.Pop(q).(*node)
		out = append(out, n.id)
		for _, p := range n.parents {
			if children[p]--; children[p] == 0 {
				heap.Push(q, g[p])
			}
		}
	}
	return slices.Clip(out)
}

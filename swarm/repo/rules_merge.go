package repo

import (
	"errors"
	"fmt"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
)

// merge checks that each path is as one of the parents has it, and as that one which changed it where only one did
// since they parted.
func (s *step) merge(a, b files) error {
	if role := s.after.roleOf(s.account); !role.Belongs() {
		return fmt.Errorf("the author %s is no member", s.account)
	}
	device := s.commit.Device.String()
	if a.deviceBanned(device) || b.deviceBanned(device) {
		return fmt.Errorf("the author's device %s is banned", device)
	}
	bases := s.graph.mergeBases(s.commit.Parents[0], s.commit.Parents[1])
	if len(bases) == 0 {
		return errors.New("it joins histories that have nothing in common")
	}
	before := &ancestry{checker: s.checker, bases: map[[2]plumbing.Hash][]plumbing.Hash{}}
	paths := map[string]bool{}
	for _, f := range []files{a, b, s.after} {
		for p := range f {
			paths[p] = true
		}
	}
	for p := range paths {
		got := s.after[p]
		if got != a[p] && got != b[p] {
			return fmt.Errorf("%s is as in neither parent", p)
		}
		if a[p] == b[p] {
			continue
		}
		was, err := before.of(p, bases, 0)
		if err != nil {
			return err
		}
		sameA, sameB := slices.Contains(was, a[p]), slices.Contains(was, b[p])
		if sameA && !sameB && got != b[p] || sameB && !sameA && got != a[p] {
			return fmt.Errorf("%s goes back to what it was", p)
		}
	}
	for _, f := range []files{a, b} {
		if f.roleOf(s.account) != Banned {
			continue
		}
		// The other line has lifted the ban, or the rule above would have kept it.
		was, err := before.of(bannedOf(f, s.account), bases, 0)
		if err != nil {
			return err
		}
		if slices.Contains(was, plumbing.ZeroHash) {
			return fmt.Errorf("the author %s is banned", s.account)
		}
	}
	return nil
}

// bannedOf is the path by which an account is banned in a tree.
func bannedOf(f files, account string) string {
	for _, kind := range []string{"admins", "members", "invited"} {
		if p := bannedPath(kind, account); !f[p].IsZero() {
			return p
		}
	}
	return ""
}

// ancestry tells what a path was where two lines of history parted.
type ancestry struct {
	*checker
	bases map[[2]plumbing.Hash][]plumbing.Hash
}

const (
	// deepest is how often lines that were merged crosswise are followed back for one path, and mostBases the pairs of
	// them that are looked at for one merge. Honest ones end where the path was the same on both lines.
	deepest   = 8
	mostBases = 1024
)

var errCrossed = errors.New("it crosses too many merges that changed the same files")

// of returns what a path may have been at the best common ancestors of two commits. Lines that were merged crosswise
// have several: as git does, these are merged in their turn, over their own common ancestors. It is one
// value, unless both sides of such a merge had changed the path.
func (y *ancestry) of(path string, bases []plumbing.Hash, depth int) ([]plumbing.Hash, error) {
	var values []plumbing.Hash
	for _, id := range bases {
		f, err := y.tree(y.graph[id].tree)
		if err != nil {
			return nil, err
		}
		switch v := f[path]; {
		case len(values) == 0:
			values = []plumbing.Hash{v}
		case len(values) == 1 && values[0] == v:
		default:
			if depth == deepest {
				return nil, errCrossed
			}
			common, err := y.common(bases[0], id)
			if err != nil {
				return nil, err
			}
			was, err := y.of(path, common, depth+1)
			if err != nil {
				return nil, err
			}
			if !slices.Contains(values, v) {
				values = append(values, v)
			}
			changed := slices.DeleteFunc(slices.Clone(values), func(x plumbing.Hash) bool { return slices.Contains(was, x) })
			if len(changed) > 0 {
				values = changed
			}
		}
	}
	return values, nil
}

// common returns the best common ancestors of two commits.
func (y *ancestry) common(a, b plumbing.Hash) ([]plumbing.Hash, error) {
	key := [2]plumbing.Hash{a, b}
	if out, ok := y.bases[key]; ok {
		return out, nil
	}
	if len(y.bases) == mostBases {
		return nil, errCrossed
	}
	out := y.graph.mergeBases(a, b)
	y.bases[key] = out
	return out, nil
}

package repo

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"rendezvous/swarm/pack"
)

// Bounds on trees.
const (
	maxFiles = 100_000 // in one tree, all folders together
	maxDepth = 5
)

// files is a whole tree: the blob of every path.
type files map[string]plumbing.Hash

// emptyBlob is the id of a file without content.
var emptyBlob = pack.Object{Type: plumbing.BlobObject}.ID()

// getter reads objects.
type getter interface {
	get(plumbing.Hash) (pack.Object, error)
}

func typed(g getter, id plumbing.Hash, want plumbing.ObjectType) ([]byte, error) {
	o, err := g.get(id)
	if err != nil {
		return nil, err
	}
	if o.Type != want {
		return nil, fmt.Errorf("object %s is a %s, not a %s", id, o.Type, want)
	}
	return o.Data, nil
}

// readTree reads a tree with all its folders, and refuses whatever has no place
// in a conversation: links, executables, submodules, odd names.
func readTree(g getter, root plumbing.Hash) (files, error) {
	out := files{}
	if err := readFolder(g, root, "", 1, out); err != nil {
		return nil, fmt.Errorf("tree %s: %w", root, err)
	}
	return out, nil
}

func readFolder(g getter, id plumbing.Hash, prefix string, depth int, out files) error {
	if depth > maxDepth {
		return errors.New("folders too deep")
	}
	data, err := typed(g, id, plumbing.TreeObject)
	if err != nil {
		return err
	}
	if len(data) == 0 && prefix != "" {
		return fmt.Errorf("empty folder %.100q", prefix)
	}
	last := ""
	for len(data) > 0 {
		head, rest, ok := bytes.Cut(data, []byte{0})
		mode, name, ok2 := strings.Cut(string(head), " ")
		if !ok || !ok2 || len(rest) < 20 {
			return errors.New("malformed")
		}
		var entry plumbing.Hash
		copy(entry[:], rest)
		data = rest[20:]
		path := prefix + name
		order := name
		if mode == "40000" {
			order += "/"
		}
		if err := checkName(name); err != nil {
			return fmt.Errorf("%.100q: %w", path, err)
		}
		if last != "" && order <= last || strings.TrimSuffix(last, "/") == name {
			return fmt.Errorf("%.100q is out of order", path)
		}
		last = order
		switch mode {
		case "100644":
			if _, err := parsePath(path); err != nil {
				return err
			}
			if len(out) >= maxFiles {
				return errors.New("too many files")
			}
			out[path] = entry
		case "40000":
			if err := readFolder(g, entry, path+"/", depth+1, out); err != nil {
				return err
			}
		case "120000":
			return fmt.Errorf("%.100q is a symbolic link", path)
		case "160000":
			return fmt.Errorf("%.100q is a submodule", path)
		default:
			return fmt.Errorf("%.100q has mode %.10q", path, mode)
		}
	}
	return nil
}

func checkName(name string) error {
	switch {
	case name == "" || name == "." || name == "..":
		return errors.New("no name for a file")
	case strings.EqualFold(name, ".git"):
		return errors.New("a file may not be called .git")
	case strings.ContainsAny(name, "/\\:\x00"):
		return errors.New("a path within a name")
	}
	return nil
}

// writeTree makes the tree objects of f and returns the root's id. It passes
// each object to put.
func writeTree(f files, put func(pack.Object) (plumbing.Hash, error)) (plumbing.Hash, error) {
	return writeFolder(f, "", slices.Sorted(maps.Keys(f)), put)
}

type entry struct {
	mode, name string
	id         plumbing.Hash
}

// writeFolder writes the folder prefix, which holds the sorted paths.
func writeFolder(f files, prefix string, paths []string, put func(pack.Object) (plumbing.Hash, error)) (plumbing.Hash, error) {
	var entries []entry
	for i := 0; i < len(paths); {
		name, _, sub := strings.Cut(paths[i][len(prefix):], "/")
		if !sub {
			entries = append(entries, entry{"100644", name, f[paths[i]]})
			i++
			continue
		}
		folder := prefix + name + "/"
		end := i
		for end < len(paths) && strings.HasPrefix(paths[end], folder) {
			end++
		}
		id, err := writeFolder(f, folder, paths[i:end], put)
		if err != nil {
			return plumbing.ZeroHash, err
		}
		entries = append(entries, entry{"40000", name, id})
		i = end
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.order(), b.order()) })
	var b bytes.Buffer
	for _, e := range entries {
		b.WriteString(e.mode + " " + e.name + "\x00")
		b.Write(e.id[:])
	}
	return put(pack.Object{Type: plumbing.TreeObject, Data: b.Bytes()})
}

// order is the name as git sorts it: folders as if they ended in a slash.
func (e entry) order() string {
	if e.mode == "40000" {
		return e.name + "/"
	}
	return e.name
}

// entries splits a tree that was checked before.
func entries(data []byte) []entry {
	var out []entry
	for {
		head, rest, ok := bytes.Cut(data, []byte{0})
		if !ok || len(rest) < 20 {
			return out
		}
		mode, name, _ := strings.Cut(string(head), " ")
		e := entry{mode: mode, name: name}
		copy(e.id[:], rest)
		out, data = append(out, e), rest[20:]
	}
}

// change is one path that differs between two trees; the zero hash is absence.
type change struct {
	path     string
	from, to plumbing.Hash
}

func (c change) added() bool   { return c.from.IsZero() }
func (c change) removed() bool { return c.to.IsZero() }

// diff lists what differs, by path.
func diff(from, to files) []change {
	var out []change
	for p, h := range from {
		if to[p] != h {
			out = append(out, change{p, h, to[p]})
		}
	}
	for p, h := range to {
		if _, ok := from[p]; !ok {
			out = append(out, change{p, plumbing.ZeroHash, h})
		}
	}
	slices.SortFunc(out, func(a, b change) int { return strings.Compare(a.path, b.path) })
	return out
}

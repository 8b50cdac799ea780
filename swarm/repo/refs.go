package repo

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"rendezvous/swarm/commit"
	"rendezvous/swarm/pack"
)

// mainRef is the only branch.
const mainRef = "refs/heads/main"

// head is the commit that the branch names. The error wraps ErrDamaged if it names none.
func (st *store) head() (plumbing.Hash, error) {
	text, err := os.ReadFile(filepath.Join(st.dir, mainRef))
	if errors.Is(err, fs.ErrNotExist) {
		if id, ok := st.packedRef(); ok {
			return id, nil
		}
	}
	if err == nil {
		id := strings.TrimSpace(string(text))
		if plumbing.IsHash(id) {
			return plumbing.NewHash(id), nil
		}
		err = fmt.Errorf("it names %.50q", id)
	}
	return plumbing.ZeroHash, fmt.Errorf("%w: branch main: %w", ErrDamaged, err)
}

// packedRef finds the branch where "git pack-refs" puts it.
func (st *store) packedRef() (plumbing.Hash, bool) {
	text, err := os.ReadFile(filepath.Join(st.dir, "packed-refs"))
	if err != nil {
		return plumbing.ZeroHash, false
	}
	for line := range bytes.Lines(text) {
		id, name, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		if name == mainRef && plumbing.IsHash(id) {
			return plumbing.NewHash(id), true
		}
	}
	return plumbing.ZeroHash, false
}

func (st *store) setHead(id plumbing.Hash) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	path := filepath.Join(st.dir, mainRef)
	if err := st.disk.MkdirAll(filepath.Dir(path)); err != nil {
		return fmt.Errorf("branch main: %w", err)
	}
	if err := st.disk.Write(path, []byte(id.String()+"\n")); err != nil {
		return fmt.Errorf("branch main: %w", err)
	}
	return nil
}

// tips lists the commits that can be read and that no other one follows, the newest first. If the branch is lost, the
// first of them is what it named, or what came after that.
func (st *store) tips() ([]plumbing.Hash, error) {
	found := map[plumbing.Hash]time.Time{}
	followed := map[plumbing.Hash]bool{}
	err := st.each(func(id plumbing.Hash, o pack.Object) {
		if o.Type != plumbing.CommitObject {
			return
		}
		if c, err := commit.Parse(o.Data); err == nil {
			found[id] = c.Time
			for _, p := range c.Parents {
				followed[p] = true
			}
		}
	})
	if err != nil {
		return nil, err
	}
	var out []plumbing.Hash
	for id := range found {
		if !followed[id] {
			out = append(out, id)
		}
	}
	slices.SortFunc(out, func(a, b plumbing.Hash) int {
		if c := found[b].Compare(found[a]); c != 0 {
			return c
		}
		return bytes.Compare(a[:], b[:])
	})
	return out, nil
}

// target is the commit that the branch names, or should: others may have told us of it, in extra. It is the zero hash if
// we know of none. lost says that the branch itself has to be written.
func (st *store) target(extra map[plumbing.Hash]pack.Object) (head plumbing.Hash, lost bool, err error) {
	id, err := st.head()
	if err == nil {
		_, there := extra[id]
		if _, err := st.get(id); there || !errors.Is(err, ErrNotFound) { // also what is damaged
			return id, false, nil
		}
	}
	tips, err := st.tips()
	if err != nil || len(tips) == 0 {
		return plumbing.ZeroHash, true, err
	}
	return tips[0], true, nil
}

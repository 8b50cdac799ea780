package repo

import (
	"errors"
	"fmt"
)

// vote checks a vote: one new empty file named after the voter.
func (s *step) vote() error {
	changes := s.others()
	if len(changes) == 0 {
		return nil // daemons write it when they vote twice
	}
	c := changes[0]
	l, err := parsePath(c.path)
	if err != nil {
		return err
	}
	target := s.message.Get("uri")
	switch {
	case len(changes) > 1 || l.folder != votesFolder:
		return fmt.Errorf("a vote changes %s", names(changes))
	case !c.added() || c.to != emptyBlob:
		return fmt.Errorf("%s is not new and empty", c.path)
	case l.voter != s.account:
		return fmt.Errorf("%s votes as %s", s.account, l.voter)
	case l.id != target:
		return fmt.Errorf("a vote about %.100q says %s", target, l.id)
	case l.id == s.account || l.id == s.commit.Device.String():
		return errors.New("a vote about oneself")
	}
	if err := s.admin(); err != nil {
		return err
	}
	there := filePath(l.kind, l.id)
	if l.unban {
		there = bannedPath(l.kind, l.id)
	}
	if _, ok := s.before[there]; !ok {
		return fmt.Errorf("a vote about %s, which does not exist", there)
	}
	return nil
}

// ban checks that a ban, or its lifting, was voted for: by at least half of the
// admins. The votes go, the file moves.
func (s *step) ban(lift bool) error {
	if err := s.admin(); err != nil {
		return err
	}
	target := s.message.Get("uri")
	votes, kind := 0, ""
	moved := map[string]bool{}
	for _, c := range s.others() {
		l, err := parsePath(c.path)
		if err != nil {
			return err
		}
		switch {
		case l.folder == votesFolder && c.removed() && l.unban == lift && l.id == target && (kind == "" || kind == l.kind):
			kind = l.kind
			if s.before.roleOf(l.voter) == Admin {
				votes++
			}
		case l.folder == devicesFolder && c.removed() && l.id != target && !lift && s.deviceOf(c.from, target):
		default:
			moved[c.path] = true
		}
	}
	if kind == "" || 2*votes < s.before.admins() {
		return fmt.Errorf("%d votes of %d admins", votes, s.before.admins())
	}
	from, to := filePath(kind, target), bannedPath(kind, target)
	if lift {
		from, to = to, from
	}
	for p := range moved {
		if p != from && p != to {
			return fmt.Errorf("a ban changes %s", p)
		}
	}
	blob, ok := s.before[from]
	_, still := s.after[from]
	_, already := s.before[to]
	if !ok || still || already || s.after[to] != blob {
		return fmt.Errorf("a ban does not move %s to %s", from, to)
	}
	return nil
}

// merge checks that each path is as one of the parents has it, and as that one
// which changed it where only one did.
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
	var base files
	if len(bases) == 1 { // else git itself would make up one
		var err error
		if base, err = s.tree(s.graph[bases[0]].tree); err != nil {
			return err
		}
	}
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
		if base == nil || a[p] == b[p] {
			continue
		}
		if a[p] == base[p] && got != b[p] || b[p] == base[p] && got != a[p] {
			return fmt.Errorf("%s goes back to what it was", p)
		}
	}
	return nil
}

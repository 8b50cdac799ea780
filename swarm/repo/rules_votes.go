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

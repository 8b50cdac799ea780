package repo

import (
	"errors"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"

	"rendezvous/swarm/commit"
)

// step is one commit while it is checked.
type step struct {
	*checker
	commit        *commit.Commit
	message       commit.Message
	account       string // the author's
	before, after files
	changes       []change
}

// own is the author's device file.
func (s *step) own() string { return filePath("devices", s.commit.Device.String()) }

// others are the changes besides the author's adding or renewing its own
// device's certificate, which any commit may do.
func (s *step) others() []change {
	var out []change
	for _, c := range s.changes {
		if c.path != s.own() || c.removed() {
			out = append(out, c)
		}
	}
	return out
}

// only finds the one change that the path is about; others must not be.
func only(changes []change, path string) (change, error) {
	if len(changes) != 1 || changes[0].path != path {
		return change{}, fmt.Errorf("it must change %s and nothing else, not %s", path, names(changes))
	}
	return changes[0], nil
}

func names(changes []change) string {
	if len(changes) == 0 {
		return "nothing"
	}
	s := changes[0].path
	if len(changes) > 1 {
		s += fmt.Sprintf(" and %d more", len(changes)-1)
	}
	return s
}

func (s *step) initial() error {
	if s.commit.ID != s.id {
		return errors.New("a second initial commit")
	}
	m := s.message
	if m.Type != commit.TypeInitial {
		return fmt.Errorf("the initial commit is a %.50q", m.Type)
	}
	if m.Mode < commit.OneToOne || m.Mode > commit.Public {
		return fmt.Errorf("conversations of mode %d are not understood", m.Mode)
	}
	want := map[string]bool{filePath("admins", s.account): true, s.own(): true}
	invited := m.Get("invited")
	if m.Mode == commit.OneToOne {
		if !isID("invited", invited) || invited == s.account {
			return errors.New("a one-to-one conversation without the other one")
		}
		want[filePath("invited", invited)] = true
	}
	for p, blob := range s.after {
		if !want[p] {
			return fmt.Errorf("the initial commit holds %s", p)
		}
		if p == filePath("invited", invited) && blob != emptyBlob {
			return fmt.Errorf("%s is not empty", p)
		}
	}
	if len(s.after) != len(want) {
		return errors.New("the initial commit is not complete")
	}
	s.mode, s.people = m.Mode, []string{s.account, invited}
	return nil
}

// single checks a commit with one parent.
func (s *step) single() error {
	m := s.message
	join := m.Type == commit.TypeMember && m.Get("action") == commit.ActionJoin
	if role := s.before.roleOf(s.account); !role.Belongs() && !join {
		return fmt.Errorf("the author %s is no member", s.account)
	}
	if s.before.deviceBanned(s.commit.Device.String()) {
		return fmt.Errorf("the author's device %s is banned", s.commit.Device)
	}
	switch m.Type {
	case commit.TypeInitial:
		return errors.New("a second initial commit")
	case commit.TypeVote:
		return s.vote()
	case commit.TypeUpdateProfile:
		return s.profile()
	case commit.TypeMember:
		switch m.Get("action") {
		case commit.ActionAdd:
			return s.add()
		case commit.ActionJoin:
			return s.join()
		case commit.ActionRemove:
			return s.leave()
		case commit.ActionBan:
			return s.ban(false)
		case commit.ActionUnban:
			return s.ban(true)
		}
		return fmt.Errorf("unknown action %.50q", m.Get("action"))
	}
	return s.say()
}

func (s *step) admin() error {
	if s.before.roleOf(s.account) != Admin {
		return fmt.Errorf("%s is no admin", s.account)
	}
	return nil
}

// say checks messages: they leave the tree as it is.
func (s *step) say() error {
	for _, c := range s.others() {
		l, err := parsePath(c.path)
		renewed := err == nil && !c.added() && !c.removed() && l.id == s.account &&
			(l.folder == adminsFolder || l.folder == membersFolder)
		if !renewed {
			return fmt.Errorf("a message changes %s", c.path)
		}
		if _, err := s.accountFile(s.account, c.to); err != nil {
			return err
		}
	}
	if edit := s.message.Get("edit"); edit != "" || s.message.Type == commit.TypeEdited {
		return s.edit(edit)
	}
	return nil
}

// edit checks that a message replaces one of the author's own.
func (s *step) edit(of string) error {
	n := s.graph[plumbing.NewHash(of)]
	if n == nil || n.id.String() != of {
		return fmt.Errorf("it edits %.40q, which does not exist", of)
	}
	if n.account.String() != s.account {
		return fmt.Errorf("it edits a message of %s", n.account)
	}
	switch {
	case n.kind == commit.TypeText && s.message.Type != commit.TypeFile:
	case n.kind == commit.TypeFile && s.message.Type == commit.TypeFile:
	default:
		return fmt.Errorf("a %.50q edits a %.50q", s.message.Type, n.kind)
	}
	return nil
}

func (s *step) profile() error {
	if err := s.admin(); err != nil {
		return err
	}
	c, err := only(s.others(), "profile.vcf")
	if err != nil {
		return err
	}
	if c.removed() {
		return errors.New("it removes the profile")
	}
	data, err := typed(s.objects, c.to, plumbing.BlobObject)
	if err == nil && len(data) > MaxProfile {
		err = fmt.Errorf("a profile of %d bytes", len(data))
	}
	return err
}

func (s *step) add() error {
	uri := s.message.Get("uri")
	if !isID("invited", uri) {
		return fmt.Errorf("it invites %.100q", uri)
	}
	c, err := only(s.others(), filePath("invited", uri))
	if err != nil {
		return err
	}
	if !c.added() || c.to != emptyBlob {
		return fmt.Errorf("%s is not new and empty", c.path)
	}
	if role := s.before.roleOf(uri); role != None {
		return fmt.Errorf("it invites %s, who is %s already", uri, role)
	}
	switch {
	case s.mode == commit.OneToOne && uri != s.people[0] && uri != s.people[1]:
		return errors.New("a third in a one-to-one conversation")
	case s.mode == commit.AdminInvitesOnly:
		return s.admin()
	}
	return nil
}

func (s *step) join() error {
	uri := s.message.Get("uri")
	if uri != s.account {
		return fmt.Errorf("%s joins as %.100q", s.account, uri)
	}
	switch role := s.before.roleOf(uri); {
	case role == Invited:
	case role == None && s.mode == commit.Public:
	default:
		return fmt.Errorf("%s joins without being invited", uri)
	}
	member, invited := filePath("members", uri), filePath("invited", uri)
	for _, c := range s.others() {
		switch {
		case c.path == member && c.added():
		case c.path == invited && c.removed():
		default:
			return fmt.Errorf("joining changes %s", c.path)
		}
	}
	blob, joined := s.after[member]
	if _, still := s.after[invited]; still || !joined {
		return errors.New("joining is not complete")
	}
	_, err := s.accountFile(uri, blob)
	return err
}

// leave checks the removal of oneself; everybody else goes by votes.
func (s *step) leave() error {
	uri := s.message.Get("uri")
	if uri != s.account {
		return fmt.Errorf("%s removes %.100q", s.account, uri)
	}
	for _, c := range s.others() {
		l, err := parsePath(c.path)
		if err != nil || !c.removed() {
			return fmt.Errorf("leaving changes %s", c.path)
		}
		switch l.folder {
		case adminsFolder, membersFolder, invitedFolder:
			if l.id == uri {
				continue
			}
		case devicesFolder:
			if s.deviceOf(c.from, uri) {
				continue
			}
		}
		return fmt.Errorf("leaving changes %s", c.path)
	}
	if s.after.roleOf(uri) != None {
		return errors.New("leaving is not complete")
	}
	return nil
}

// deviceOf reports whether a device's file was issued by an account that was
// there before.
func (s *step) deviceOf(blob plumbing.Hash, account string) bool {
	cert, ok := s.member(s.before, account)
	if !ok {
		return false
	}
	device, err := s.certificate(blob)
	return err == nil && s.vouches(device, blob, account, cert) == nil
}

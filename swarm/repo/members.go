package repo

import (
	"cmp"
	"slices"

	"rendezvous/dht/value"
)

// Role is what an account is in a conversation.
type Role string

// The roles.
const (
	Admin   Role = "admin"
	Plain   Role = "member"
	Invited Role = "invited"
	Banned  Role = "banned"
	Left    Role = "left"
	None    Role = ""
)

// Belongs reports whether the role may read and write.
func (r Role) Belongs() bool { return r == Admin || r == Plain }

// Member is an account and what it may do, at one commit.
type Member struct {
	Account value.Key
	Role    Role
}

// roleOf reads the role of an account out of a tree.
func (f files) roleOf(account string) Role {
	for _, kind := range []string{"admins", "members", "invited"} {
		if _, ok := f[bannedPath(kind, account)]; ok {
			return Banned
		}
	}
	if _, ok := f[filePath("admins", account)]; ok {
		return Admin
	}
	if _, ok := f[filePath("members", account)]; ok {
		return Plain
	}
	if _, ok := f[filePath("invited", account)]; ok {
		return Invited
	}
	return None
}

func (f files) deviceBanned(device string) bool {
	_, ok := f[bannedPath("devices", device)]
	return ok
}

func (f files) admins() int {
	n := 0
	for p := range f {
		if l, err := parsePath(p); err == nil && l.folder == adminsFolder {
			n++
		}
	}
	return n
}

// members lists everybody the tree names.
func (f files) members() []Member {
	var out []Member
	seen := map[string]bool{}
	for p := range f {
		l, err := parsePath(p)
		if err != nil || l.id == "" || l.folder == votesFolder || l.kind == "devices" || seen[l.id] {
			continue
		}
		seen[l.id] = true
		if k, err := value.ParseKey(l.id); err == nil {
			out = append(out, Member{k, f.roleOf(l.id)})
		}
	}
	slices.SortFunc(out, func(a, b Member) int { return cmp.Compare(a.Account.String(), b.Account.String()) })
	return out
}

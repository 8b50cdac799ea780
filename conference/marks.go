package conference

import (
	"maps"

	"rendezvous/moderation"
)

// marks are identities that something holds for until the meeting ends. The value
// says whether the one meant had proven to be who they said: if not, the mark holds only for
// callers who cannot prove it either, so that nobody suffers for what was done in their name.
type marks map[string]bool

// rememberedMost is the most identities that are kept in one place.
const rememberedMost = 10000

// add marks a member's identity, if they have any.
func (k marks) add(m *Member) {
	id := m.caller.Identity
	if _, there := k[id]; id != "" && (there || len(k) < rememberedMost) {
		k[id] = k[id] || m.caller.Proven
	}
}

// shunned are the networks of browsers that were banned in this meeting, and which identity was. Others come from
// there too, so a newcomer whom nobody knows waits in the lobby, and is not turned away.
type shunned map[string]string

// add marks the network of a disposable identity that is banned.
func (s shunned) add(identity, network string) {
	if _, there := s[network]; network != "" && (there || len(s) < rememberedMost) {
		s[network] = identity
	}
}

// lift forgets what the ban of an identity meant for others.
func (s shunned) lift(identity string) {
	maps.DeleteFunc(s, func(_, banned string) bool { return banned == identity })
}

// meant reports whether a caller is one of them who cannot be told from who was banned.
func (s shunned) meant(c Caller, role moderation.Role, trusted bool) bool {
	_, marked := s[c.network()]
	return marked && !trusted && role < moderation.Moderator
}

// network is the network that a ban of the caller holds for; "" if it holds for none.
func (c *Caller) network() string {
	if !c.Disposable || c.Source == "" {
		return ""
	}
	return network(c.Source)
}

// meant reports whether a mark holds for a caller.
func (k marks) meant(c Caller) bool {
	proven, marked := k[c.Identity]
	return marked && (proven || !c.Proven)
}

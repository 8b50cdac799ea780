package conference

// marks are identities that something holds for until the meeting ends. The value
// says whether the one meant had proven to be who he said: if not, the mark holds only for
// callers who cannot prove it either, so that nobody suffers for what was done in his name.
type marks map[string]bool

// rememberedMost is the most identities that are kept in one place.
const rememberedMost = 10000

// add marks a member's identity, if he has any.
func (k marks) add(m *Member) {
	id := m.caller.Identity
	if _, there := k[id]; id != "" && (there || len(k) < rememberedMost) {
		k[id] = k[id] || m.caller.Proven
	}
}

// meant reports whether a mark holds for a caller.
func (k marks) meant(c Caller) bool {
	proven, marked := k[c.Identity]
	return marked && (proven || !c.Proven)
}

package conference

import "rendezvous/moderation"

// RoleOf is what somebody with a proven identity may do in the room, whether they are there
// or not, and whether they are banned from it. Who is there has the role they have now.
func (r *Room) RoleOf(identity string) (role moderation.Role, banned bool) {
	identity = r.host.canonical(identity)
	r.mu.Lock()
	defer r.mu.Unlock()
	_, banned = r.bans[identity]
	here := false
	for _, m := range r.members {
		if m.caller.Proven && m.caller.Identity == identity && !m.waiting && (!here || m.role > role) {
			role, here = m.role, true
		}
	}
	if !here {
		role, _ = r.roleOf(Caller{Identity: identity, Proven: true})
	}
	return role, banned
}

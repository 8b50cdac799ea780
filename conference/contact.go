package conference

// NoticeContact is to moderators: somebody asks to be a contact of the room's account on another
// network. Text: their name; empty: such a request has been decided, by whomever.
const NoticeContact NoticeKind = "contact"

// TellModerators posts a notice to the moderators who are present.
func (r *Room) TellModerators(n Notice) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tell(n, leads)
}

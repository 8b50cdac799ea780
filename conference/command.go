package conference

import (
	"strings"

	"rendezvous/moderation"
)

// command carries out a chat command. What came of it is told to who gave it alone: the
// line itself is not chat.
func (r *Room) command(by actor, line string) error {
	line = strings.TrimSpace(line)
	if line == "/help" {
		by.member.box.post(Notice{NoticeAnnouncement, moderation.CommandHelp()})
		return nil
	}
	o, err := by.member.Room().Info().ParseCommand(line)
	if err == nil {
		err = r.each(by, o)
	}
	if err != nil {
		by.member.box.post(Notice{NoticeRefused, err.Error()})
	}
	return err
}

// ParseCommand reads a chat command; whom it names is sought among the participants. The error is
// in words for the person.
func (i *Info) ParseCommand(line string) (moderation.Order, error) {
	return moderation.ParseCommand(line, func(name string) (string, error) {
		p, err := i.Find(name)
		if err != nil {
			return "", err
		}
		return p.ID, nil
	})
}

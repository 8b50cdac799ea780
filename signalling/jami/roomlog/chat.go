package roomlog

import (
	"strings"
	"time"

	"rendezvous/conference"
	"rendezvous/dht/value"
	"rendezvous/moderation"
	"rendezvous/swarm"
	"rendezvous/swarm/commit"
)

// door is the door of what members of the conversation say and order in the room.
const door = "swarm"

// Ages of messages, by the clock of who wrote them. A message can arrive late: its author
// or we were away.
const (
	maxLineAge  = 10 * time.Minute // that is still said in the room, if no meeting has been on since it was written
	maxOrderAge = 2 * time.Minute  // of a command that is still obeyed
)

// write puts a line of the room's chat into the conversation, and reports whether it is there.
func (m *Log) write(e spooled) bool {
	_, ok := m.say(commit.Text(spoken(e.Name, e.Message.Text)))
	if ok {
		m.cfg.Metrics.line("out")
		m.spool.done(e.id)
	}
	return ok
}

// entry takes a message of somebody else.
func (m *Log) entry(e entry) {
	if e.conversation != m.own.Load() && m.caller(e) == nil {
		return // where we are guests
	}
	switch e.Message.Type {
	case commit.TypeText, commit.TypeEdited, commit.TypeFile:
		if _, full := m.in.add(e); full {
			m.cfg.Metrics.drop("line-in")
		}
	}
}

// read says a member's message in the room, or obeys it.
func (m *Log) read(e entry) {
	identity := "jami:" + e.Account.String()
	role, banned := m.cfg.Room.RoleOf(identity)
	if banned {
		return
	}
	if granted := m.Grant(identity); granted != nil {
		role = max(role, *granted)
	}
	by := conference.Operator{Name: m.name(e), Identity: identity, Door: door, Role: role}
	if e.conversation != m.own.Load() {
		p := m.caller(e)
		if p == nil {
			return
		}
		by.Name, by.Door = p.Name, "jami" // the conversation of all is yet to have it
	}
	body := strings.TrimSpace(e.Message.Get("body"))
	plain := e.Message.Type == commit.TypeText && e.Message.Get("edit") == "" && e.Message.Get("react-to") == ""
	if plain && moderation.IsCommand(body) {
		m.obey(e, by, body)
		return
	}
	if !m.fresh(e.Time) {
		return
	}
	text := heard(e.Message, func(id string) string { return original(e.conversation, id) })
	if plain && strings.HasPrefix(text, "//") {
		text = text[1:] // an ordinary line that begins with a slash
	}
	if text == "" {
		return
	}
	if err := m.cfg.Room.Order(by, moderation.Order{Action: moderation.Chat, Text: text}); err != nil {
		m.log.Info("a line of the conversation is not said in the room", "from", by.Identity, "reason", err)
		return
	}
	m.cfg.Metrics.line("in")
}

// caller is the participant who writes in the one-to-one conversation with the room: that is where the
// chat beside a call leads in clients of the room's contacts. nil: it is another conversation, or
// they were not in the room when they wrote it, which was between the two then.
func (m *Log) caller(e entry) *conference.Participant {
	if e.conversation.Repository().Mode() != commit.OneToOne {
		return nil
	}
	info := m.cfg.Room.Info()
	for i := range info.Participants {
		if p := &info.Participants[i]; p.Identity == "jami:"+e.Account.String() && p.Door == "jami" && !p.Waiting && !e.Time.Before(p.Joined) {
			return p
		}
	}
	return nil
}

// fresh reports whether a message is of the present meeting, or nearly new.
func (m *Log) fresh(t time.Time) bool {
	if d := m.state.get().Meeting; d != nil && !t.Before(d.Began.Truncate(time.Second)) {
		return true
	}
	return time.Since(t) < maxLineAge
}

// original is the text of an earlier message, for quoting.
func original(c *swarm.Conversation, id string) string {
	e, err := entryOf(c, id)
	if err != nil {
		return ""
	}
	if e.Message.Type == commit.TypeFile {
		return e.Message.Get("displayName")
	}
	return e.Message.Get("body")
}

// obey gives the order that a command stands for, and answers what became of it.
func (m *Log) obey(e entry, by conference.Operator, line string) {
	if age := time.Since(e.Time); age > maxOrderAge || age < -maxOrderAge {
		m.log.Info("a command that came too late is not obeyed", "from", by.Identity, "age", age.Round(time.Second))
		return
	}
	answer := "Done."
	if line == "/help" {
		answer = strings.TrimSpace(moderation.CommandHelp())
	} else if err := m.command(by, line); err != nil {
		answer = err.Error()
	}
	if _, err := e.conversation.Say(commit.Reply(answer, e.ID)); err != nil {
		m.cfg.Metrics.fail()
		m.log.Error("a command cannot be answered", "error", err)
	}
}

func (m *Log) command(by conference.Operator, line string) error {
	o, err := m.cfg.Room.Info().ParseCommand(line)
	if err != nil {
		return err
	}
	return m.cfg.Room.Order(by, o)
}

// name is what a member is called: as they call themselves in the message, or in their profile.
func (m *Log) name(e entry) string {
	name := moderation.CleanName(e.Name)
	if name == "" || strings.EqualFold(e.Name, e.Device.String()) { // as daemons write an empty one
		name = m.names[e.Account]
	}
	if name == "" {
		name = "Jami " + e.Account.String()[:8]
	}
	return name
}

// accountOf is the account of a Jami caller's identity.
func accountOf(identity string) (value.Key, bool) {
	id, ok := strings.CutPrefix(identity, "jami:")
	if !ok {
		return value.Key{}, false
	}
	k, err := value.ParseKey(id)
	return k, err == nil
}

package moderation

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// command is one chat command: how it is written, and the order that it means.
type command struct {
	name  string
	form  string // what follows the name, as the help shows it
	about bool   // the first argument is a participant
	order func(rest string) (Order, error)
}

func onOff(a Action, on bool) func(string) (Order, error) {
	return func(string) (Order, error) { return Order{Action: a, On: on}, nil }
}

func withText(a Action) func(string) (Order, error) {
	return func(rest string) (Order, error) { return Order{Action: a, On: true, Text: rest}, nil }
}

// switched is a command that takes "on" or "off".
func switched(a Action) func(string) (Order, error) {
	return func(rest string) (Order, error) {
		switch rest {
		case "", "on":
			return Order{Action: a, On: true}, nil
		case "off":
			return Order{Action: a}, nil
		}
		return Order{}, errors.New("say on or off")
	}
}

// commands are in the order of the help.
var commands = []command{
	{"mute", "NAME", true, onOff(Mute, true)},
	{"unmute", "NAME", true, onOff(Mute, false)},
	{"muteall", "", false, onOff(MuteAll, true)},
	{"unmuteall", "", false, onOff(MuteAll, false)},
	{"muteothers", "", false, onOff(MuteOthers, true)},
	{"mutenoisy", "", false, onOff(MuteNoisy, true)},
	{"remove", "NAME", true, withText(Remove)},
	{"ban", "NAME [forever]", true, withText(Ban)},
	{"lock", "", false, onOff(Lock, true)},
	{"unlock", "", false, onOff(Lock, false)},
	{"lobby", "on|off", false, switched(Lobby)},
	{"admit", "NAME", true, onOff(Admit, true)},
	{"admitall", "", false, onOff(AdmitAll, true)},
	{"deny", "NAME", true, onOff(Deny, true)},
	{"hand", "", false, onOff(Hand, true)},
	{"lower", "[NAME]", true, onOff(Hand, false)},
	{"floor", "NAME", true, onOff(Floor, true)},
	{"nofloor", "NAME", true, onOff(Floor, false)},
	{"lecture", "on|off", false, switched(Lecture)},
	{"layout", strings.Join(Words[Layout](), "|"), false, withText(SetLayout)},
	{"pin", "NAME", true, onOff(Pin, true)},
	{"unpin", "", false, onOff(Pin, false)},
	{"hidenonvideo", "on|off", false, switched(HideNonVideo)},
	{"rename", "NAME = NEW NAME", true, withText(Rename)},
	{"role", "NAME = ROLE", true, withText(SetRole)},
	{"record", "start|pause|resume|stop", false, withText(Record)},
	{"announce", "TEXT", false, withText(Announce)},
	{"call", "ADDRESS", false, withText(Dial)},
	{"move", "NAME = ROOM", true, withText(Move)},
	{"end", "", false, onOff(End, true)},
}

// CommandHelp lists the chat commands, one a line.
func CommandHelp() string {
	var b strings.Builder
	for _, c := range commands {
		fmt.Fprintf(&b, "/%s", strings.TrimSpace(c.name+" "+c.form))
		b.WriteByte('\n')
	}
	return b.String()
}

// IsCommand reports whether a line of chat is meant as a command: it begins with one slash
// and a word. "//" begins an ordinary line with a slash.
func IsCommand(line string) bool {
	return len(line) > 1 && line[0] == '/' && line[1] >= 'a' && line[1] <= 'z'
}

// ParseCommand reads a chat command; find returns the id of the participant whom a name
// means. The error is in words for the person.
func ParseCommand(line string, find func(name string) (id string, err error)) (Order, error) {
	name, rest, _ := strings.Cut(strings.TrimPrefix(line, "/"), " ")
	rest = strings.TrimSpace(rest)
	i := slices.IndexFunc(commands, func(c command) bool { return c.name == name })
	if i < 0 {
		return Order{}, wrong("There is no command /%.40s. /help lists them.", name)
	}
	c := commands[i]
	target := ""
	if c.about {
		who := rest
		switch {
		case strings.Contains(c.form, "="):
			before, after, ok := strings.Cut(rest, "=")
			if !ok {
				return Order{}, wrong("Write it as /%s %s.", c.name, c.form)
			}
			who, rest = strings.TrimSpace(before), strings.TrimSpace(after)
		case c.name == "ban" && strings.HasSuffix(rest, " forever"):
			who, rest = strings.TrimSpace(strings.TrimSuffix(rest, "forever")), "forever"
		default:
			rest = ""
		}
		if who == "" && !strings.HasPrefix(c.form, "[") {
			return Order{}, wrong("Write it as /%s %s.", c.name, c.form)
		}
		if who != "" {
			var err error
			if target, err = find(strings.Trim(who, `"`)); err != nil {
				return Order{}, err
			}
		}
	}
	o, err := c.order(rest)
	if err != nil {
		return Order{}, wrong("Write it as /%s %s: %s.", c.name, c.form, err)
	}
	o.Target = target
	return o, nil
}

// wrong is a command that was not understood, in words for who wrote it.
func wrong(format string, args ...any) error {
	return &Refusal{Reason: fmt.Sprintf(format, args...)}
}

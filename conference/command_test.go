package conference

import (
	"strings"
	"testing"

	"rendezvous/conference/settings"
	"rendezvous/moderation"
)

func TestChatCommands(t *testing.T) {
	r := newRoomOf(t, settings.Room{ModeratorPIN: "99"})
	mod, emod := join(t, r, Caller{Name: "Mo", PIN: "99"})
	ann, eann := join(t, r, Caller{Name: "Ann"})
	must(t, mod, moderation.Order{Action: moderation.Chat, Text: "/mute ann"})
	eann.wait(t, "the mute", func() bool {
		p, err := r.Info().Find(ann.ID())
		return err == nil && p.Muted
	})
	if err := ann.Order(moderation.Order{Action: moderation.Chat, Text: "/lock"}); err == nil {
		t.Error("somebody who is no moderator has locked the room by a command")
	}
	eann.waitNotice(t, NoticeRefused)
	if err := mod.Order(moderation.Order{Action: moderation.Chat, Text: "/mute nobody"}); err == nil {
		t.Error("a command about nobody is done")
	}
	if n := emod.waitNotice(t, NoticeRefused); !strings.Contains(n.Text, "nobody") {
		t.Errorf("told %q", n.Text)
	}
	must(t, mod, moderation.Order{Action: moderation.Chat, Text: "/help"})
	if n := emod.waitNotice(t, NoticeAnnouncement); !strings.Contains(n.Text, "/mute NAME") {
		t.Errorf("the help is %q", n.Text)
	}
	must(t, mod, moderation.Order{Action: moderation.Chat, Text: "//not a command"})
	eann.wait(t, "the line", func() bool { return len(eann.chats) == 1 })
	if got := eann.chats[0].Text; got != "/not a command" {
		t.Errorf("the line is %q", got)
	}
}

package conference

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rendezvous/conference/audit"
	"rendezvous/conference/settings"
	"rendezvous/moderation"
)

// A page that asks for what it may not, again and again, fills neither the audit nor the conversation.
func TestRepeatedRefusalsAreMerged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, Config{}, settings.Room{SelfUnmute: false})
		defer h.Close()
		r := h.Rooms()[0]
		mod, _ := joinAs(t, r, "mod", moderation.Moderator)
		eve, _ := join(t, r, Caller{Name: "Eve"})
		must(t, mod, moderation.Order{Action: moderation.Mute, Target: eve.ID(), On: true})
		for range 6000 {
			if eve.SetSelfMuted(false) == nil {
				t.Fatal("unmuted")
			}
		}
		if n := len(r.Audit(0)); n != 2 {
			t.Fatalf("%d entries, want the mute and one refusal", n)
		}
		time.Sleep(repeatWindow)
		if eve.SetSelfMuted(false) == nil {
			t.Fatal("unmuted")
		}
		list := r.Audit(0)
		if n := len(list); n != 4 || !strings.HasSuffix(list[2].Reason, " (39 times more)") {
			t.Fatalf("a window later: %+v", list)
		}
		mustNot(t, eve, moderation.Order{Action: moderation.Lock, On: true}, "")
		eve.Leave(EndLeft)
		if list = r.Audit(0); list[len(list)-1].Order.Action != moderation.Lock || list[len(list)-1].Result != audit.Refused {
			t.Errorf("at the end: %+v", list)
		}
	})
}

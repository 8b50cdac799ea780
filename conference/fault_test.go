package conference

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rendezvous/conference/settings"
	"rendezvous/mixer"
	"rendezvous/mixer/audio"
	"rendezvous/moderation"
)

// faulty shows a room without clocks of its own what the mixer would say of its members.
func faulty(r *Room, what map[*Member]audio.Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	activity := make(map[string]mixer.Activity)
	for m, t := range what {
		activity[m.ID()] = mixer.Activity{Talking: true, Level: 20, Fault: t}
	}
	r.observe(activity, nil, r.tilesVersion)
}

func TestRoomMutesForFault(t *testing.T) {
	howling, echoing := audio.Fault{Howling: true}, audio.Fault{Echo: 240 * time.Millisecond}
	for _, c := range []struct {
		name   string
		cfg    settings.Room
		what   audio.Fault
		muted  bool
		reason string // in the audit log
		told   string // to the moderators
		self   string // to the one it is about
	}{
		{"howling", settings.Room{MuteHowling: true}, howling, true, "howling", "a howls", "it howls"},
		{"howling, not configured", settings.Room{}, howling, false, "", "", ""},
		{"echo, to be told", settings.Room{}, echoing, false, "", "a's microphone repeats the meeting", "Use headphones"},
		{"echo, to be muted", settings.Room{Echo: settings.EchoMute}, echoing, true, "echo", "a's microphone repeats the meeting", "Use headphones"},
		{"echo, off", settings.Room{Echo: settings.EchoOff}, echoing, false, "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.cfg.SelfUnmute = true
			r := newRoomOf(t, c.cfg)
			_, emod := joinAs(t, r, "mod", moderation.Moderator)
			a, ea := joinAs(t, r, "a", moderation.Speaker)
			b, eb := joinAs(t, r, "b", moderation.Speaker)
			r.mu.Lock() // the room's own observations, of silence, do not count here
			close(r.stop)
			r.stop = make(chan struct{})
			r.mu.Unlock()
			for range 3 { // it lasts
				faulty(r, map[*Member]audio.Fault{a: c.what, b: {}})
			}
			if silenced(r, a) != c.muted || see(t, r, a.ID()).Muted != c.muted || silenced(r, b) {
				t.Errorf("muted: a %v, want %v; b %v", silenced(r, a), c.muted, silenced(r, b))
			}
			// What follows is told after all of it.
			r.mu.Lock()
			r.tell(Notice{NoticeAnnouncement, "end"}, everybody)
			r.mu.Unlock()
			for who, want := range map[*ear]string{emod: c.told, ea: c.self, eb: ""} {
				who.waitNotice(t, NoticeAnnouncement)
				who.mu.Lock()
				var got []string
				for _, n := range who.notices {
					if n.Kind == NoticeNoise || n.Kind == NoticeMuted {
						got = append(got, n.Text)
					}
				}
				who.mu.Unlock()
				if want == "" && len(got) > 0 || want != "" && (len(got) != 1 || !strings.Contains(got[0], want)) {
					t.Errorf("told %q, want one with %q", got, want)
				}
			}
			audits := r.Audit(0)
			if !c.muted {
				if len(audits) > 0 {
					t.Errorf("audit: %+v", audits)
				}
				return
			}
			if len(audits) != 1 || audits[0].Door != "room" || audits[0].Target != a.ID() || audits[0].Reason != c.reason {
				t.Errorf("audit: %+v", audits)
			}
			if err := a.SetSelfMuted(false); err != nil || silenced(r, a) { // they have put on headphones
				t.Errorf("they cannot unmute themselves: %v", err)
			}
			faulty(r, map[*Member]audio.Fault{a: {}, b: {}})
			if silenced(r, a) {
				t.Error("muted without a reason")
			}
		})
	}
}

// Whose microphone repeats the meeting repeats what howls in it, too: that is not theirs, unless it goes on.
func TestEchoOfHowling(t *testing.T) {
	r := newRoomOf(t, settings.Room{MuteHowling: true})
	joinAs(t, r, "mod", moderation.Moderator)
	a, _ := joinAs(t, r, "a", moderation.Speaker)
	b, _ := joinAs(t, r, "b", moderation.Speaker)
	r.mu.Lock() // the room's own observations, of silence, do not count here
	close(r.stop)
	r.stop = make(chan struct{})
	r.mu.Unlock()
	both := map[*Member]audio.Fault{a: {Howling: true}, b: {Howling: true, Echo: 240 * time.Millisecond}}
	for range 3 {
		faulty(r, both)
	}
	if !silenced(r, a) || silenced(r, b) {
		t.Errorf("muted: who howls %v, who repeats it %v", silenced(r, a), silenced(r, b))
	}
	r.mu.Lock()
	r.howled = r.howled.Add(-howlEchoes - time.Second)
	r.mu.Unlock()
	faulty(r, both)
	if !silenced(r, b) {
		t.Error("it goes on, and they are not muted")
	}
}

// From the packets on: a microphone that howls is muted within seconds, and the tone of a test is not.
func TestHowlingPhoneIsMuted(t *testing.T) { synctest.Test(t, testHowlingPhoneIsMuted) }

func testHowlingPhoneIsMuted(t *testing.T) {
	h := newHost(t, Config{}, settings.Room{MuteHowling: true})
	r := h.Rooms()[0]
	_, emod, ear := call(t, r, "mod", moderation.Moderator, 0)
	steady, _, _ := call(t, r, "steady", moderation.Speaker, 500)
	_, _, loud := call(t, r, "loud", moderation.Speaker, 1800)
	ear.after(t, 500, time.Now(), true)
	began := time.Now()
	loud.volume.Store(31000)
	n := emod.waitNotice(t, NoticeNoise)
	if !strings.HasPrefix(n.Text, "loud howls") {
		t.Errorf("moderators are told %q", n.Text)
	}
	gone := ear.after(t, 1800, began, false)
	t.Logf("a howling microphone is muted after %v", gone.Round(time.Millisecond))
	if see(t, r, steady.ID()).Muted {
		t.Error("a tone of -12 dB is taken for howling")
	}
	ear.after(t, 500, time.Now(), true)
}

package moderation

import (
	"errors"
	"testing"
)

var (
	host      = Person{ID: "host", Role: Host}
	mod       = Person{ID: "mod", Role: Moderator}
	mod2      = Person{ID: "mod2", Role: Moderator}
	speaker   = Person{ID: "speaker", Role: Speaker}
	speaker2  = Person{ID: "speaker2", Role: Speaker}
	muted     = Person{ID: "muted", Role: Speaker, Muted: true}
	listener  = Person{ID: "listener", Role: Listener}
	observer  = Person{ID: "observer", Role: Observer}
	guest     = Person{ID: "guest", Role: Speaker, Waiting: true}
	gone      = Person{ID: "gone", Role: Speaker, Gone: true}
	outside   = Person{Role: Moderator} // an operator
	outsideHi = Person{Role: Host}
)

// Whole rows that the table must give, as literal sentences.
func TestDecide(t *testing.T) {
	usual := Room{Moderators: 2, Policy: RecordOnOrder, Recording: RecordingOff}
	lastMod := Room{Moderators: 1}
	who := func(p Person) *Person { return &p }
	cases := []struct {
		name   string
		actor  Person
		order  Order
		target *Person
		room   Room
		want   string // "": allowed
	}{
		{"moderator mutes speaker", mod, Order{Action: Mute, On: true}, who(speaker), usual, ""},
		{"moderator mutes moderator", mod, Order{Action: Mute, On: true}, who(mod2), usual, ""},
		{"moderator mutes host", mod, Order{Action: Mute, On: true}, who(host), usual, "You cannot do this to a host."},
		{"host mutes moderator", host, Order{Action: Mute, On: true}, who(mod), usual, ""},
		{"speaker mutes other", speaker, Order{Action: Mute, On: true}, who(speaker2), usual, "Your role (speaker) does not allow this."},
		{"speaker mutes themselves", speaker, Order{Action: Mute, On: true}, who(speaker), usual, ""},
		{"muted unmutes themselves", muted, Order{Action: Mute}, who(muted), usual, "A moderator has muted you."},
		{"muted unmutes themselves, allowed", muted, Order{Action: Mute}, who(muted), Room{SelfUnmute: true}, ""},
		{"speaker hides their camera", speaker, Order{Action: Mute, On: true, Media: "video"}, who(speaker), usual, "Turn your camera or screen off yourself."},
		{"moderator hides a camera", mod, Order{Action: Mute, On: true, Media: "video"}, who(speaker), usual, ""},
		{"listener mutes all", listener, Order{Action: MuteAll, On: true}, nil, usual, "Your role (listener) does not allow this."},
		{"operator mutes all", outside, Order{Action: MuteAll, On: true}, nil, usual, ""},
		{"mute somebody in the lobby", mod, Order{Action: Mute, On: true}, who(guest), usual, "The participant is in the lobby."},
		{"mute nobody", mod, Order{Action: Mute, On: true, Target: "x"}, nil, usual, "The participant is not in this meeting."},
		{"mute somebody gone", mod, Order{Action: Mute, On: true}, who(gone), usual, "The participant has left."},

		{"remove speaker", mod, Order{Action: Remove}, who(speaker), usual, ""},
		{"remove from the lobby", mod, Order{Action: Remove}, who(guest), usual, ""},
		{"remove host", mod, Order{Action: Remove}, who(host), usual, "You cannot do this to a host."},
		{"remove oneself", mod, Order{Action: Remove}, who(mod), usual, "You cannot do this to yourself."},
		{"remove the last moderator from outside", outside, Order{Action: Remove}, who(mod), lastMod, "The meeting would be left without a moderator."},
		{"host removes the last moderator", outsideHi, Order{Action: Remove}, who(mod), lastMod, ""},
		{"remove one of two moderators", mod, Order{Action: Remove}, who(mod2), usual, ""},
		{"ban somebody gone", mod, Order{Action: Ban, On: true, Target: "gone"}, who(gone), usual, ""},
		{"ban nobody", mod, Order{Action: Ban, On: true, Target: "x"}, nil, usual, "The participant is not in this meeting."},
		{"lift a ban", mod, Order{Action: Ban, Target: "sip:x@y"}, nil, usual, ""},
		{"speaker lifts a ban", speaker, Order{Action: Ban, Target: "sip:x@y"}, nil, usual, "Your role (speaker) does not allow this."},

		{"lock", mod, Order{Action: Lock, On: true}, nil, usual, ""},
		{"speaker unlocks", speaker, Order{Action: Lock}, nil, usual, "Your role (speaker) does not allow this."},
		{"admit", mod, Order{Action: Admit}, who(guest), usual, ""},
		{"admit somebody present", mod, Order{Action: Admit}, who(speaker), usual, "The participant is not in the lobby."},
		{"admit oneself", guest, Order{Action: Admit}, who(guest), usual, "You are in the lobby."},
		{"deny a host who waits", mod, Order{Action: Deny}, &Person{ID: "h", Role: Host, Waiting: true}, usual, "You cannot do this to a host."},
		{"chat from the lobby", guest, Order{Action: Chat, Text: "hi"}, nil, usual, "You are in the lobby."},
		{"order after leaving", Person{ID: "x", Role: Host, Gone: true}, Order{Action: End}, nil, usual, "You are no longer in the meeting."},

		{"raise one's hand", listener, Order{Action: Hand, On: true}, who(listener), usual, ""},
		{"observer raises their hand", observer, Order{Action: Hand, On: true}, who(observer), usual, "Your role (observer) does not allow this."},
		{"moderator raises a hand", mod, Order{Action: Hand, On: true}, who(listener), usual, "Only its owner can raise a hand."},
		{"moderator lowers a hand", mod, Order{Action: Hand}, who(listener), usual, ""},
		{"speaker lowers a hand", speaker, Order{Action: Hand}, who(listener), usual, "Your role (speaker) does not allow this."},
		{"take the floor", listener, Order{Action: Floor, On: true}, who(listener), usual, "A moderator gives the floor. Raise your hand."},
		{"give the floor back", listener, Order{Action: Floor}, who(listener), usual, ""},
		{"give the floor", mod, Order{Action: Floor, On: true}, who(listener), usual, ""},
		{"give an observer the floor", mod, Order{Action: Floor, On: true}, who(observer), usual, "An observer only watches. Change the role first."},

		{"make a moderator", mod, Order{Action: SetRole, Text: "moderator"}, who(speaker), usual, ""},
		{"make a host", mod, Order{Action: SetRole, Text: "host"}, who(speaker), usual, "You cannot give more rights than you have."},
		{"make oneself host", mod, Order{Action: SetRole, Text: "host"}, who(mod), usual, "You cannot give more rights than you have."},
		{"make oneself moderator", speaker, Order{Action: SetRole, Text: "moderator"}, who(speaker), usual, "Your role (speaker) does not allow this."},
		{"demote a host", mod, Order{Action: SetRole, Text: "speaker"}, who(host), usual, "You cannot do this to a host."},
		{"last moderator steps down", mod, Order{Action: SetRole, Text: "speaker"}, who(mod), lastMod, "The meeting would be left without a moderator."},
		{"one of two steps down", mod, Order{Action: SetRole, Text: "speaker"}, who(mod), usual, ""},
		{"no such role", mod, Order{Action: SetRole, Text: "king"}, who(speaker), usual, "role takes one of: observer, listener, speaker, moderator, host."},
		{"rename oneself", listener, Order{Action: Rename, Text: "Ann"}, who(listener), usual, ""},
		{"rename another", speaker, Order{Action: Rename, Text: "Ann"}, who(listener), usual, "Your role (speaker) does not allow this."},
		{"rename to nothing", mod, Order{Action: Rename, Text: " \u202e "}, who(listener), usual, "A name is needed."},

		{"record", mod, Order{Action: Record, Text: "start"}, nil, usual, ""},
		{"record twice", mod, Order{Action: Record, Text: "start"}, nil, Room{Policy: RecordOnOrder, Recording: RecordingOn}, "The meeting is already being recorded."},
		{"start a paused one", mod, Order{Action: Record, Text: "start"}, nil, Room{Policy: RecordOnOrder, Recording: RecordingPaused}, "The recording is paused; resume it."},
		{"stop none", mod, Order{Action: Record, Text: "stop"}, nil, usual, "The meeting is not being recorded."},
		{"stop a paused one", mod, Order{Action: Record, Text: "stop"}, nil, Room{Policy: RecordOnOrder, Recording: RecordingPaused}, ""},
		{"pause a paused one", mod, Order{Action: Record, Text: "pause"}, nil, Room{Policy: RecordAuto, Recording: RecordingPaused}, "The meeting is not being recorded."},
		{"resume a running one", mod, Order{Action: Record, Text: "resume"}, nil, Room{Policy: RecordAuto, Recording: RecordingOn}, "The recording is not paused."},
		{"stop what must be", mod, Order{Action: Record, Text: "stop"}, nil, Room{Policy: RecordAlways, Recording: RecordingOn}, "This room is always recorded."},
		{"record where it is forbidden", host, Order{Action: Record, Text: "start"}, nil, Room{Policy: RecordNever}, "This room is not recorded."},
		{"dial", mod, Order{Action: Dial, Text: "sip:a@b"}, nil, Room{Dial: true}, ""},
		{"dial where it is off", mod, Order{Action: Dial, Text: "sip:a@b"}, nil, Room{}, "This room does not call out."},

		{"chat", listener, Order{Action: Chat, Text: "hello"}, nil, usual, ""},
		{"observer chats", observer, Order{Action: Chat, Text: "hello"}, nil, usual, "Your role (observer) does not allow this."},
		{"voice activity", observer, Order{Action: VoiceActivity, On: true}, who(observer), usual, ""},
		{"voice activity of another", host, Order{Action: VoiceActivity, On: true}, who(speaker), usual, "One can do this only for oneself."},
		{"pin", mod, Order{Action: Pin, On: true}, who(speaker), usual, ""},
		{"unpin somebody gone", mod, Order{Action: Pin, Target: "x"}, nil, usual, ""},
		{"speaker pins themselves", speaker, Order{Action: Pin, On: true}, who(speaker), usual, "Your role (speaker) does not allow this."},
		{"pin sound", mod, Order{Action: Pin, On: true, Media: "audio"}, who(speaker), usual, "Sound cannot be pinned."},
		{"no such order", host, Order{Action: "dance"}, nil, usual, `There is no order "dance".`},
		{"no such layout", mod, Order{Action: SetLayout, Text: "heap"}, nil, usual, "layout takes one of: auto, grid, one-big, one-big-with-small, side-by-side."},
		{"bad limit", mod, Order{Action: Limits, Text: "soon"}, nil, usual, `a duration looks like 90m or 1h30m (0 for none), not "soon"`},
		{"move", mod, Order{Action: Move, Text: "other"}, who(speaker), usual, ""},
		{"speaker moves themselves", speaker, Order{Action: Move, Text: "other"}, who(speaker), usual, "Your role (speaker) does not allow this."},
		{"end", mod, Order{Action: End}, nil, usual, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := Decide(c.actor, c.order, c.target, c.room)
			got := ""
			if err != nil {
				got = err.Error()
				if r := new(Refusal); !errors.As(err, &r) || r.Order.Action != c.order.Action {
					t.Errorf("error is %#v, not a Refusal of the order", err)
				}
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestHeard(t *testing.T) {
	lecture := Room{Lecture: true}
	for _, c := range []struct {
		name string
		p    Person
		r    Room
		want bool
	}{
		{"speaker", speaker, Room{}, true},
		{"speaker in a lecture", speaker, lecture, false},
		{"speaker with the floor", Person{Role: Speaker, Floor: true}, lecture, true},
		{"muted with the floor", Person{Role: Speaker, Floor: true, Muted: true}, lecture, false},
		{"moderator in a lecture", mod, lecture, true},
		{"muted host", Person{Role: Host, Muted: true}, Room{}, false},
		{"listener", listener, Room{}, false},
		{"listener with the floor", Person{Role: Listener, Floor: true}, Room{}, true},
		{"observer with the floor", Person{Role: Observer, Floor: true}, Room{}, false},
		{"in the lobby", Person{Role: Host, Waiting: true}, Room{}, false},
	} {
		if got := Heard(c.p, c.r); got != c.want {
			t.Errorf("%s: heard %v, want %v", c.name, got, c.want)
		}
	}
}

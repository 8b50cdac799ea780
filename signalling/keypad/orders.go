package keypad

import (
	"time"

	"rendezvous/conference"
	"rendezvous/internal/prompts"
	"rendezvous/moderation"
)

// Orders are what a caller can do with their keys in a room: a star, then a digit. They belong to
// the goroutine that converses with them.
type Orders struct {
	pad    *Pad
	member *conference.Member
	info   func() *conference.Info

	star     time.Time // when the star was pressed
	allMuted bool
}

// Orders are those of a caller who is in a room now; info is the newest that the room has told
// them, nil before there was anything.
func (p *Pad) Orders(m *conference.Member, info func() *conference.Info) *Orders {
	return &Orders{pad: p, member: m, info: info}
}

// keyPause is how long after the star the digit is waited for.
const keyPause = 5 * time.Second

// Press takes a key: the star, then within keyPause what is to be done. Other keys are passed over.
func (k *Orders) Press(key rune, now time.Time) {
	if key == '*' {
		k.star = now
		return
	}
	if k.star.IsZero() || now.Sub(k.star) > keyPause {
		return // digits alone mean nothing here
	}
	k.star = time.Time{}
	if do := roomAction(key); do != nil {
		do(k)
	}
}

func (k *Orders) order(o moderation.Order, done prompts.Prompt) bool {
	if err := k.member.Order(o); err != nil {
		k.pad.log.Debug("order refused", "action", o.Action, "error", err)
		k.pad.Say(prompts.NotAllowed)
		return false
	}
	if done != "" {
		k.pad.Say(done)
	}
	return true
}

// roomAction is what the key after the star does. Those of moderators are refused
// to others by the room.
//
//	*0  help
//	*2  how many are here
//	*3  start or stop the recording (moderators)
//	*4  let in those who wait in the lobby (moderators)
//	*5  mute or unmute all (moderators)
//	*6  mute or unmute oneself
//	*7  lock or open the room (moderators)
//	*9  raise or lower one's hand
func roomAction(key rune) func(*Orders) {
	switch key {
	case '0':
		return (*Orders).help
	case '2':
		return (*Orders).count
	case '3':
		return (*Orders).record
	case '4':
		return (*Orders).admitAll
	case '5':
		return (*Orders).muteAll
	case '6':
		return (*Orders).muteSelf
	case '7':
		return (*Orders).lock
	case '9':
		return (*Orders).hand
	}
	return nil
}

func (k *Orders) help() {
	list := []prompts.Prompt{prompts.Help}
	if self, ok := k.self(); ok && self.Role >= moderation.Moderator {
		list = append(list, prompts.HelpModerator)
	}
	k.pad.Say(list...)
}

func (k *Orders) newest() *conference.Info {
	if info := k.info(); info != nil {
		return info
	}
	return &conference.Info{}
}

// self is the caller as the newest snapshot shows them.
func (k *Orders) self() (conference.Participant, bool) {
	info := k.newest()
	for i := range info.Participants {
		if info.Participants[i].ID == k.member.ID() {
			return info.Participants[i], true
		}
	}
	return conference.Participant{}, false
}

func (k *Orders) count() {
	n := 0
	for _, p := range k.newest().Participants {
		if !p.Waiting {
			n++
		}
	}
	k.pad.Say(append([]prompts.Prompt{prompts.Here}, prompts.Number(n)...)...)
}

// record says nothing itself: the room tells everybody.
func (k *Orders) record() {
	what := "start"
	if k.newest().Recording == moderation.RecordingOn {
		what = "stop"
	}
	k.order(moderation.Order{Action: moderation.Record, Text: what}, "")
}

func (k *Orders) admitAll() {
	k.order(moderation.Order{Action: moderation.AdmitAll}, prompts.LetIn)
}

func (k *Orders) muteAll() {
	word := prompts.AllMuted
	if k.allMuted {
		word = prompts.AllUnmuted
	}
	if k.order(moderation.Order{Action: moderation.MuteAll, On: !k.allMuted}, word) {
		k.allMuted = !k.allMuted
	}
}

func (k *Orders) muteSelf() {
	self, _ := k.self()
	on := !self.SelfMuted && !self.Muted
	if err := k.member.SetSelfMuted(on); err != nil {
		k.pad.Say(prompts.NotAllowed)
		return
	}
	if on {
		k.pad.Say(prompts.Muted)
	} else {
		k.pad.Say(prompts.Unmuted)
	}
}

func (k *Orders) lock() {
	on := !k.newest().Locked
	word := prompts.RoomUnlocked
	if on {
		word = prompts.RoomLocked
	}
	k.order(moderation.Order{Action: moderation.Lock, On: on}, word)
}

func (k *Orders) hand() {
	self, _ := k.self()
	on := self.Hand == nil
	word := prompts.HandDown
	if on {
		word = prompts.HandUp
	}
	k.order(moderation.Order{Action: moderation.Hand, On: on}, word)
}

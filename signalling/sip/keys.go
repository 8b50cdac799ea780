package sip

import (
	"time"

	"rendezvous/conference"
	"rendezvous/internal/prompts"
	"rendezvous/moderation"
)

// roomKeys are what a caller can do with the keys of his telephone in a room:
// a star, then a digit. It belongs to the call's goroutine.
type roomKeys struct {
	call   *call
	member *conference.Member

	star     time.Time // when the star was pressed
	allMuted bool
}

// keyPause is how long after the star the digit is waited for.
const keyPause = 5 * time.Second

func (k *roomKeys) press(key rune, now time.Time) {
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

func (k *roomKeys) order(o moderation.Order, done prompts.Prompt) bool {
	if err := k.member.Order(o); err != nil {
		k.call.log.Debug("order refused", "action", o.Action, "err", err)
		k.call.say(prompts.NotAllowed)
		return false
	}
	if done != "" {
		k.call.say(done)
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
func roomAction(key rune) func(*roomKeys) {
	switch key {
	case '0':
		return (*roomKeys).help
	case '2':
		return (*roomKeys).count
	case '3':
		return (*roomKeys).record
	case '4':
		return (*roomKeys).admitAll
	case '5':
		return (*roomKeys).muteAll
	case '6':
		return (*roomKeys).muteSelf
	case '7':
		return (*roomKeys).lock
	case '9':
		return (*roomKeys).hand
	}
	return nil
}

func (k *roomKeys) help() {
	list := []prompts.Prompt{prompts.Help}
	if self, ok := k.call.self(k.member); ok && self.Role >= moderation.Moderator {
		list = append(list, prompts.HelpModerator)
	}
	k.call.say(list...)
}

func (k *roomKeys) info() *conference.Info {
	if info := k.call.latestInfo.Load(); info != nil {
		return info
	}
	return &conference.Info{}
}

func (k *roomKeys) count() {
	n := 0
	for _, p := range k.info().Participants {
		if !p.Waiting {
			n++
		}
	}
	k.call.say(append([]prompts.Prompt{prompts.Here}, prompts.Number(n)...)...)
}

// record says nothing itself: the room tells everybody.
func (k *roomKeys) record() {
	what := "start"
	if k.info().Recording == moderation.RecordingOn {
		what = "stop"
	}
	k.order(moderation.Order{Action: moderation.Record, Text: what}, "")
}

func (k *roomKeys) admitAll() {
	k.order(moderation.Order{Action: moderation.AdmitAll}, prompts.LetIn)
}

func (k *roomKeys) muteAll() {
	word := prompts.AllMuted
	if k.allMuted {
		word = prompts.AllUnmuted
	}
	if k.order(moderation.Order{Action: moderation.MuteAll, On: !k.allMuted}, word) {
		k.allMuted = !k.allMuted
	}
}

func (k *roomKeys) muteSelf() {
	self, _ := k.call.self(k.member)
	on := !self.SelfMuted && !self.Muted
	if err := k.member.SetSelfMuted(on); err != nil {
		k.call.say(prompts.NotAllowed)
		return
	}
	if on {
		k.call.say(prompts.Muted)
	} else {
		k.call.say(prompts.Unmuted)
	}
}

func (k *roomKeys) lock() {
	on := !k.info().Locked
	word := prompts.RoomUnlocked
	if on {
		word = prompts.RoomLocked
	}
	k.order(moderation.Order{Action: moderation.Lock, On: on}, word)
}

func (k *roomKeys) hand() {
	self, _ := k.call.self(k.member)
	on := self.Hand == nil
	word := prompts.HandDown
	if on {
		word = prompts.HandUp
	}
	k.order(moderation.Order{Action: moderation.Hand, On: on}, word)
}

package sip

import (
	"context"
	"errors"
	"strings"
	"time"

	"rendezvous/conference"
	"rendezvous/internal/prompts"
)

// Limits of the menu.
const (
	tries     = 3  // wrong rooms or PINs before the call is ended
	maxDigits = 32 // of a room number or PIN
)

// converse is the caller's way through menu and room. It returns when the call is over.
func (c *call) converse() {
	leave := c.door.cfg.Host.Foyer(c.leg)
	c.leg.Play(make([]int16, leadIn*prompts.SampleRate/time.Second))
	room := c.to.room
	if room == nil {
		if room = c.askRoom(); room == nil {
			c.farewell(prompts.TryLater)
			leave()
			return
		}
	}
	member, ears := c.enter(room, leave)
	if member == nil {
		return
	}
	c.member.Store(member)
	if c.joined != nil {
		close(c.joined)
	}
	c.stay(member, ears)
}

// askRoom has the caller key in a room; nil if he does not manage or hangs up.
func (c *call) askRoom() *conference.Room {
	c.say(prompts.Welcome)
	for range tries {
		digits, ok := c.ask(prompts.EnterRoom)
		if !ok {
			return nil
		}
		if room := c.door.roomByKeys(digits); digits != "" && room != nil {
			return room
		}
		if digits != "" {
			c.say(prompts.UnknownRoom)
		}
	}
	return nil
}

// enter joins the caller to the room, and asks for the PIN if the room does.
// leave takes him out of the foyer. It returns nil if he is not let in.
func (c *call) enter(room *conference.Room, leave func()) (*conference.Member, *ears) {
	pin := c.to.pin
	for asked := 0; ; {
		leave()
		ears := newEars(c)
		member, err := room.Join(c.over, c.identified(pin), c.leg, ears)
		if err == nil {
			return member, ears
		}
		leave = c.door.cfg.Host.Foyer(c.leg)
		var refusal *conference.Refusal
		if !errors.As(err, &refusal) || refusal.Code != conference.RefusedPIN {
			c.log.Info("not let in", "err", err)
			if refusal != nil {
				c.why = string(refusal.Code)
			}
			c.farewell(refusalPrompt(refusal))
			leave()
			return nil, nil
		}
		if pin != "" {
			c.say(prompts.WrongPIN)
		}
		if asked++; asked > tries {
			c.farewell(prompts.TryLater)
			leave()
			return nil, nil
		}
		var ok bool
		if pin, ok = c.ask(prompts.EnterPIN); !ok {
			leave()
			return nil, nil
		}
	}
}

func refusalPrompt(r *conference.Refusal) prompts.Prompt {
	if r != nil {
		switch r.Code {
		case conference.RefusedLocked:
			return prompts.Locked
		case conference.RefusedBanned:
			return prompts.Banned
		case conference.RefusedFull:
			return prompts.Full
		case conference.RefusedClosed:
			return prompts.Closed
		case conference.RefusedDraining:
			return prompts.Draining
		case conference.RefusedNoRoom:
			return prompts.UnknownRoom
		}
	}
	return prompts.TryLater
}

// ask plays a question and collects keys until the hash key or a pause. ok is
// false if the call is over.
func (c *call) ask(question prompts.Prompt) (digits string, ok bool) {
	played := c.say(question)
	var got strings.Builder
	// The pause counts from the end of the question, then from each key.
	var pause <-chan time.Time
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-played:
			played = nil
			timer.Reset(c.door.cfg.KeyTimeout)
			pause = timer.C
		case key := <-c.keys:
			c.leg.StopPlaying() // who knows the question need not hear it out
			switch {
			case key == '#':
				return got.String(), true
			case key == '*':
				got.Reset() // begin again
			case got.Len() < maxDigits:
				got.WriteRune(key)
			}
			timer.Reset(c.door.cfg.KeyTimeout)
			pause = timer.C
		case <-pause:
			return got.String(), true
		case <-c.over.Done():
			return "", false
		}
	}
}

const (
	// farewellTime bounds how long the last words are waited for.
	farewellTime = 15 * time.Second
	// leadIn is the silence before the first words: phones take a moment to open
	// their ears. trailOff is the time their jitter buffers take to play the last ones.
	leadIn   = 300 * time.Millisecond
	trailOff = 500 * time.Millisecond
)

// farewell says something, waits until it was heard, and leaves the call to be hung up.
func (c *call) farewell(list ...prompts.Prompt) {
	ctx, cancel := context.WithTimeout(c.over, farewellTime)
	defer cancel()
	select {
	case <-c.say(list...):
	case <-ctx.Done():
	}
	select {
	case <-time.After(trailOff):
	case <-ctx.Done():
	}
}

// say plays recordings to this caller alone, after what is being played already.
func (c *call) say(list ...prompts.Prompt) <-chan struct{} {
	return c.leg.Play(c.door.prompts.Say(list...))
}

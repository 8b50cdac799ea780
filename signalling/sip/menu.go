package sip

import (
	"errors"
	"time"

	"rendezvous/conference"
	"rendezvous/internal/prompts"
	"rendezvous/signalling/keypad"
)

// leadIn is the silence before the first words: phones take a moment to open their ears.
const leadIn = 300 * time.Millisecond

// converse is the caller's way through menu and room. It returns when the call is over.
func (c *call) converse() {
	c.pad.Outside()
	defer c.pad.Inside()
	room := c.to.room
	if room == nil {
		if room = c.askRoom(); room == nil {
			c.pad.Farewell(c.over, prompts.TryLater)
			return
		}
	}
	member, listener := c.enter(room)
	if member == nil {
		return
	}
	c.member.Store(member)
	if c.joined != nil {
		close(c.joined)
	}
	c.stay(member, listener)
}

// askRoom has the caller key in a room; nil if they do not manage or hang up.
func (c *call) askRoom() *conference.Room {
	c.pad.Say(prompts.Welcome)
	for range keypad.Tries {
		digits, err := c.pad.Ask(c.over, prompts.EnterRoom)
		if err != nil {
			return nil
		}
		if room := c.door.roomByKeys(digits); digits != "" && room != nil {
			return room
		}
		if digits != "" {
			c.pad.Say(prompts.UnknownRoom)
		}
	}
	return nil
}

// enter joins the caller to the room, and asks for the PIN if the room does. It returns nil if
// they are not let in.
func (c *call) enter(room *conference.Room) (*conference.Member, *roomListener) {
	var e *roomListener
	join := func(pin string) (*conference.Member, error) {
		e = newRoomListener(c)
		return room.Join(c.over, c.identified(pin), c.leg, e)
	}
	c.pad.Inside()
	member, err := join(c.to.pin)
	if err != nil {
		member, err = c.pad.AskPIN(c.over, err, c.to.pin, join)
	}
	if err == nil {
		return member, e
	}
	if refusal, ok := errors.AsType[*conference.Refusal](err); ok {
		c.why = string(refusal.Code)
	}
	if c.over.Err() == nil {
		c.log.Info("not let in", "error", err)
	}
	return nil, nil
}

package call

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"rendezvous/conference"
	"rendezvous/internal/prompts"
)

// enter asks the room to take the caller in. Where it wants a PIN first that is no error: it is
// asked for when they can hear us.
func (c *Call) enter(name, agent string) error {
	c.caller = conference.Caller{
		Door: "jami", Address: "jami:" + c.party.Account, Identity: "jami:" + c.party.Account, Proven: true,
		ToldInside: true, Name: name, Connection: "Jami", Agent: agent, Session: c.session, Device: c.party.Device,
	}
	if c.party.Addr.IsValid() {
		c.caller.Source = c.party.Addr.String()
	}
	m, err := c.join("")
	var refusal *conference.Refusal
	if errors.As(err, &refusal) && refusal.Code == conference.RefusedPIN {
		c.refused = err
		return nil
	}
	if err != nil {
		return err
	}
	c.member.Store(m)
	return nil
}

func (c *Call) join(pin string) (*conference.Member, error) {
	caller := c.caller
	caller.PIN = pin
	return c.cfg.Join(c.ctx, caller, c.leg, c)
}

// converse has the caller give the PIN, if the room wants one, and obeys their keys in the room. It
// is a goroutine of the call's.
func (c *Call) converse() {
	member := c.member.Load()
	if member == nil {
		if member = c.askPIN(); member == nil {
			return
		}
		c.arrived <- member
	}
	orders := c.pad.Orders(member, c.latest.Load)
	// Of a recording they are told aloud as well: not every client shows what is written during a call.
	var media, told <-chan struct{}
	for {
		select {
		case <-c.recorded:
			media = c.heard
		case <-media:
			media, told = nil, c.pad.Tell(prompts.RecordingOn)
		case <-told:
			told = nil
			member.Informed()
		case key := <-c.pad.Keys():
			orders.Press(key, time.Now())
		case <-c.ctx.Done():
			return
		}
	}
}

// askPIN ends the call and returns nil if the caller is not let in.
func (c *Call) askPIN() *conference.Member {
	select {
	case <-c.heard:
	case <-c.ctx.Done():
		return nil
	}
	defer c.pad.Inside()
	// Not all clients have keys to press in a call.
	c.say("This room needs a PIN: key it in or write it here.")
	m, err := c.pad.AskPIN(c.ctx, c.refused, "", c.join)
	if err != nil {
		c.end(fmt.Errorf("not let in: %w", err))
		return nil
	}
	return m
}

// typePIN takes a text of digits as if they had been pressed.
func (c *Call) typePIN(text string) {
	text = strings.TrimSpace(text)
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return
	}
	for _, key := range text + "#" {
		c.pad.Press(key)
	}
}

// settle is for a caller who has given the PIN: the room learns what they have said of themselves.
func (c *Call) settle(m *conference.Member) {
	c.member.Store(m)
	if c.selfMuted {
		if err := m.SetSelfMuted(true); err != nil {
			c.log.Debug("mute state", "error", err)
		}
	}
	if c.recording {
		m.SetRecording(true)
	}
	c.rename()
	signal(c.news.changed)
}

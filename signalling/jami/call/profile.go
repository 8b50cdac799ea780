package call

import (
	"crypto/sha256"
	"math/rand/v2"
	"strings"

	"github.com/emiago/sipgo/sip"

	"rendezvous/conference"
	"rendezvous/moderation"
	"rendezvous/signalling/jami/vcard"
)

// maxIntroduced bounds the devices that are remembered to have the profile.
const maxIntroduced = 4096

// sendProfile sends the room's name and picture to the device, in pieces as clients do within
// calls, unless it has had them already. Daemons that share a conversation with the room get
// them there; this is for all others.
func (c *Call) sendProfile() {
	if c.cfg.Profile == nil {
		return
	}
	card := c.cfg.Profile()
	version := sha256.Sum256(card)
	device := c.party.Device
	c.server.mu.Lock()
	last, known := c.server.introduced[device]
	c.server.mu.Unlock()
	if known && last == version {
		return
	}
	for _, p := range vcard.Cut(card, rand.Uint32()) {
		if !c.tell(sip.MESSAGE, p.Type, p.Body) {
			return // the next call is another chance
		}
	}
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	if len(c.server.introduced) >= maxIntroduced {
		clear(c.server.introduced)
	}
	c.server.introduced[device] = version
}

// takeProfile takes a piece of the caller's profile. A name in it, where it differs from what
// their device called them in the INVITE, is what they are called in the room: as if they had renamed
// themselves, once in a call, and not if somebody has renamed them before. It proves nothing.
func (c *Call) takeProfile(r *sip.Request) {
	if c.profileTaken {
		return
	}
	text, complete := c.cards.Add(r.ContentType().Value(), r.Body())
	if !complete {
		return
	}
	c.profileTaken = true
	card, err := vcard.Parse(text)
	if err != nil {
		c.cfg.Metrics.refuse("profile")
		c.server.complain(c.party, "profile not understood", err)
		return
	}
	c.cardName = moderation.CleanName(card.Name)
	c.rename()
}

// rename calls the caller in the room what their profile calls them, once they are there.
func (c *Call) rename() {
	member := c.member.Load()
	if member == nil {
		return
	}
	called := ownName(c.latest.Load(), member.ID())
	if came := c.cameAs.Load(); came != nil && *came != called {
		return // somebody has renamed them before
	}
	if c.cardName == "" || strings.EqualFold(c.cardName, called) {
		return
	}
	c.order(moderation.Order{Action: moderation.Rename, Target: member.ID(), Text: c.cardName})
}

// ownName is what the room calls a participant, empty before it is known.
func ownName(info *conference.Info, id string) string {
	if info == nil {
		return ""
	}
	for _, p := range info.Participants {
		if p.ID == id {
			return p.Name
		}
	}
	return ""
}

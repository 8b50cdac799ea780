package call

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"rendezvous/conference"
	"rendezvous/moderation"
)

// orderType is the content type of conference orders (docs/jami/conference.md#orders).
const orderType = "application/confOrder+json"

// maxOrder bounds one conference order, in bytes; jamid's SIP messages end at 8000.
const maxOrder = 16 << 10

// ParseOrders reads a conference order of either version and says it in the room's
// terms. info tells who is meant. An order about somebody who is not there is left out.
// It fails for what is no JSON object, longer than 16 KiB, or of a version that is not known.
func ParseOrders(body []byte, info *conference.Info, self string) ([]moderation.Order, error) {
	if len(body) > maxOrder {
		return nil, errors.New("conference order too large")
	}
	var top map[string]json.RawMessage
	if err := json.Unmarshal(body, &top); err != nil {
		return nil, fmt.Errorf("conference order: %w", err)
	}
	p := orderParser{info: info, self: self}
	if raw, ok := top["version"]; ok {
		var version int
		if err := json.Unmarshal(raw, &version); err != nil || version != 1 {
			return nil, fmt.Errorf("conference order: version %s is not known", raw)
		}
	}
	for _, key := range sortedKeys(top) {
		switch key {
		case "version", "muteState", "handState":
		case "layout":
			p.layout(top[key])
		case "activeParticipant":
			p.pin(p.byAccount(text(top[key])), "video", true)
		case "muteParticipant":
			p.each(text(top[key]), moderation.Order{Action: moderation.Mute, On: truth(top["muteState"])})
		case "hangupParticipant":
			p.each(text(top[key]), moderation.Order{Action: moderation.Remove})
		case "handRaised":
			p.each(text(top[key]), moderation.Order{Action: moderation.Hand, On: truth(top["handState"])})
		default:
			p.account(key, top[key])
		}
	}
	return p.orders, nil
}

type orderParser struct {
	info   *conference.Info
	self   string // the participant who gave the order
	orders []moderation.Order
}

func (p *orderParser) layout(raw json.RawMessage) {
	var n int
	if json.Unmarshal(raw, &n) != nil || n < 0 || n >= len(jamiLayouts) {
		return
	}
	p.orders = append(p.orders, moderation.Order{Action: moderation.SetLayout, Text: string(jamiLayouts[n])})
}

// byAccount returns the participants who go by that account id or uri.
func (p *orderParser) byAccount(account string) []*conference.Participant {
	account = strings.TrimSuffix(account, "@ring.dht")
	var found []*conference.Participant
	for i := range p.info.Participants {
		x := &p.info.Participants[i]
		if account != "" && strings.TrimSuffix(uriOf(x), "@ring.dht") == account {
			found = append(found, x)
		}
	}
	return found
}

// each gives the same order about all of an account's participants.
func (p *orderParser) each(account string, o moderation.Order) {
	for _, x := range p.byAccount(account) {
		o.Target = x.ID
		p.orders = append(p.orders, o)
	}
}

// pin makes the first of who the active stream, or nobody.
func (p *orderParser) pin(who []*conference.Participant, media string, on bool) {
	o := moderation.Order{Action: moderation.Pin, Media: media, On: on}
	if len(who) > 0 {
		o.Target = who[0].ID
	} else {
		o.On = false
	}
	p.orders = append(p.orders, o)
}

type deviceOrder struct {
	RaiseHand *bool                      `json:"raiseHand"`
	Hangup    json.RawMessage            `json:"hangup"`
	Medias    map[string]json.RawMessage `json:"medias"`
}

type mediaOrder struct {
	MuteAudio     *bool `json:"muteAudio"`
	MuteVideo     *bool `json:"muteVideo"`
	Active        *bool `json:"active"`
	VoiceActivity *bool `json:"voiceActivity"`
}

// account reads what a version 1 order says of one account. jamid writes the orders about
// streams at both levels, of the account and of the device; each stream's is taken once.
func (p *orderParser) account(account string, raw json.RawMessage) {
	var a struct {
		Devices map[string]deviceOrder     `json:"devices"`
		Medias  map[string]json.RawMessage `json:"medias"`
	}
	if json.Unmarshal(raw, &a) != nil {
		return
	}
	people := p.byAccount(account)
	medias := a.Medias
	for _, device := range sortedKeys(a.Devices) {
		d := a.Devices[device]
		i := slices.IndexFunc(people, func(x *conference.Participant) bool { return deviceOf(x) == device })
		if i >= 0 {
			target := people[i].ID
			if d.RaiseHand != nil {
				p.orders = append(p.orders, moderation.Order{Action: moderation.Hand, Target: target, On: *d.RaiseHand})
			}
			if len(d.Hangup) > 0 {
				p.orders = append(p.orders, moderation.Order{Action: moderation.Remove, Target: target})
			}
		}
		if medias == nil {
			medias = d.Medias
		}
	}
	for _, stream := range sortedKeys(medias) {
		p.media(people, stream, medias[stream])
	}
}

func (p *orderParser) media(people []*conference.Participant, stream string, raw json.RawMessage) {
	var m mediaOrder
	if json.Unmarshal(raw, &m) != nil {
		return
	}
	var who *conference.Participant
	kind := "video"
	for _, x := range people {
		switch stream {
		case streamID(x, "main", true), streamID(x, "", false):
			who = x
		case streamID(x, "screen", true):
			who, kind = x, "screen"
		}
	}
	if who == nil {
		return
	}
	if m.MuteAudio != nil {
		p.orders = append(p.orders, moderation.Order{Action: moderation.Mute, Target: who.ID, Media: "audio", On: *m.MuteAudio})
	}
	if m.MuteVideo != nil {
		p.orders = append(p.orders, moderation.Order{Action: moderation.Mute, Target: who.ID, Media: kind, On: *m.MuteVideo})
	}
	if m.Active != nil {
		p.pin([]*conference.Participant{who}, kind, *m.Active)
	}
	if m.VoiceActivity != nil && who.ID == p.self {
		p.orders = append(p.orders, moderation.Order{Action: moderation.VoiceActivity, Target: who.ID, On: *m.VoiceActivity})
	}
}

func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// truth reads a boolean that old clients write as a string.
func truth(raw json.RawMessage) bool {
	var b bool
	if json.Unmarshal(raw, &b) == nil {
		return b
	}
	return text(raw) == "true"
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

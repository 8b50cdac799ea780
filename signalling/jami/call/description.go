package call

import (
	"errors"
	"fmt"
	"slices"

	"github.com/pion/ice/v2"

	"rendezvous/mixer/leg"
	"rendezvous/signalling/sdp"
)

// maxMedia is how many media one call may have; each may have two ICE agents.
const maxMedia = 8

// description is a peer's session description with what it says for ICE.
type description struct {
	*sdp.Session
	remote remoteICE
	first  []int // of each medium, the id of its first ICE component
}

// parseDescription reads a peer's session description.
func parseDescription(body []byte) (*description, error) {
	s, err := sdp.Parse(body)
	if err != nil {
		return nil, err
	}
	if len(s.Media) > maxMedia {
		return nil, fmt.Errorf("session description has %d media, more than %d", len(s.Media), maxMedia)
	}
	d := &description{Session: s}
	d.remote.candidates = make(map[int][]ice.Candidate)
	d.remote.ufrag, _ = s.Attribute("ice-ufrag")
	d.remote.pwd, _ = s.Attribute("ice-pwd")
	enabled := 0
	for _, m := range s.Media {
		first := 2*enabled + 1
		if isEnabled(m) {
			enabled++
		}
		if ids := d.readICE(m); len(ids) > 0 {
			first = slices.Min(ids)
		}
		d.first = append(d.first, first)
	}
	if err := d.checkComponents(); err != nil {
		return nil, err
	}
	if len(d.remote.ufrag) > 256 || len(d.remote.pwd) > 256 { // RFC 8839 §5.4
		return nil, errors.New("session description: ICE credentials too long")
	}
	return d, nil
}

// isEnabled reports whether a section is of a medium that has ICE components.
func isEnabled(m *sdp.Media) bool { return m.Port != 0 && (m.Kind == "audio" || m.Kind == "video") }

// checkComponents makes sure that no two media want the same paths.
func (d *description) checkComponents() error {
	used := make(map[int]bool)
	for i, m := range d.Media {
		if !isEnabled(m) {
			continue
		}
		first := d.first[i]
		if used[first] || used[first+1] {
			return fmt.Errorf("session description: two media share ICE component %d", first)
		}
		used[first], used[first+1] = true, true
	}
	return nil
}

// readICE reads a section's candidates and returns their component ids. Newer daemons accept credentials here too,
// and may write them.
func (d *description) readICE(m *sdp.Media) (ids []int) {
	for _, a := range m.Attributes {
		switch a.Key {
		case "ice-ufrag":
			if d.remote.ufrag == "" {
				d.remote.ufrag = a.Value
			}
		case "ice-pwd":
			if d.remote.pwd == "" {
				d.remote.pwd = a.Value
			}
		case "candidate":
			id, c, ok := parseCandidate(a.Value)
			if ok && len(d.remote.candidates[id]) < maxCandidates {
				d.remote.candidates[id] = append(d.remote.candidates[id], c)
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// plan is what becomes of each medium of an offer.
type plan struct {
	media []sdp.Medium
	first []int // of each medium, the id of its first ICE component
}

// plan decides about the media of an offer: the first sound, and two videos, of which the first is answered with the
// room's picture and the second is a shared screen that is only taken.
func (c *Call) plan(d *description) (plan, error) {
	media, err := sdp.Answer(d.Session, c.policy())
	if err != nil {
		return plan{}, err
	}
	p := plan{media, d.first}
	p.heedHold(d)
	return p, nil
}

// agree narrows what we offered down to what the answer takes. Each side sends with the payload numbers of the other's
// description; the ids of components are ours, as the answerer takes those of the offer.
func (p *plan) agree(d *description) error {
	media, err := sdp.Accept(p.media, d.Session, offerPolicy())
	if err != nil {
		return fmt.Errorf("answer to our call: %w", err)
	}
	if d.remote.ufrag == "" {
		return errors.New("answer to our call: no ICE in it")
	}
	p.media = media
	p.heedHold(d)
	return nil
}

// heedHold is for a device that holds the call: it names its video as sent and not received, and sends nothing at
// all, so that nothing is to be waited for.
func (p *plan) heedHold(d *description) {
	for i := range min(len(p.media), len(d.Media)) {
		if p.media[i].Kind == leg.Video && d.Direction(d.Media[i]) == sdp.SendOnly {
			p.media[i].Receive = nil
		}
	}
}

// sendsPicture tells whether the peer is to receive video.
func (p *plan) sendsPicture() bool {
	return slices.ContainsFunc(p.media, func(m sdp.Medium) bool { return m.Kind == leg.Video && m.Send.Name != "" })
}

// components are the ids of the ICE components that the plan's media need.
func (p *plan) components() (ids []int) {
	for i := range p.media {
		if p.media[i].Active {
			ids = append(ids, p.first[i], p.first[i]+1)
		}
	}
	return ids
}

// refuse takes a medium out of a plan.
func (p *plan) refuse(i int, s *sdp.Media) {
	p.media[i] = sdp.Medium{Section: s.Kind, Proto: s.Proto, Formats: s.Formats}
}

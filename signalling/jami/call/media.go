package call

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"

	"rendezvous/mixer/leg"
	"rendezvous/signalling/sdes"
)

// iceTime bounds a call's connectivity checks; pjnath gives up after about as long.
const iceTime = 35 * time.Second

// medium is one m-line of a call: its pipe, its RTP session and its stream in the leg.
type medium struct {
	kind      leg.Kind
	label     string
	endpoint  *endpoint
	session   *leg.Session
	transport *transport
	stream    *leg.Stream
	master    sdes.Crypto // our key in use
	offered   sdes.Crypto // our key in the newest description
}

// newMedium attaches one medium to the call's leg. Nothing flows before its pipe has
// connections.
func (c *Call) newMedium(index int, label string, l *line, receive []leg.Codec, send leg.Codec) (*medium, error) {
	m := &medium{kind: l.kind, label: label, endpoint: newEndpoint()}
	m.endpoint.stamp = l.kind == leg.Video
	ssrc := newSSRC()
	var err error
	m.session, err = leg.NewSession(m.endpoint, leg.SessionConfig{
		Kind: l.kind, SSRC: ssrc, CNAME: c.cfg.Device, Receive: receive, Send: send, SeparateRTCP: true,
	})
	if err != nil {
		return nil, fmt.Errorf("media of a Jami call: %w", err)
	}
	m.transport = newTransport(m.session, m.endpoint, func() { c.askKeyFrame(index) })
	m.stream, err = c.leg.Attach(leg.Media{
		Kind: l.kind, Label: label, Transport: m.transport, Receive: receive, Send: send, SSRC: ssrc,
		MaxSendBitrate: jamiMax, NoRepair: true, // jamid repeats nothing
	})
	if err != nil {
		m.endpoint.close()
		_ = m.session.Close()
		return nil, fmt.Errorf("media of a Jami call: %w", err)
	}
	return m, nil
}

// is reports whether the medium is what a line of a new description calls for.
func (m *medium) is(kind leg.Kind, label string) bool { return m.kind == kind && m.label == label }

func (m *medium) close() {
	m.endpoint.close()
	m.stream.Close()
	// It can only say that it is closed already.
	_ = m.session.Close()
}

// newSSRC is a random SSRC (RFC 3550 §8.1).
func newSSRC() uint32 {
	var b [4]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return binary.BigEndian.Uint32(b[:])
}

// plan is what becomes of each line of an offer.
type plan struct {
	own     []ownLine
	labels  []string
	receive [][]leg.Codec
	send    []leg.Codec
}

// plan decides about the lines of an offer: the first sound, and two videos, of which
// the first is answered with the room's picture and the second is a shared screen that is only taken.
func (c *Call) plan(d *description) plan {
	var p plan
	sounds, videos := 0, 0
	for i := range d.lines {
		l := &d.lines[i]
		o := ownLine{line: line{kind: l.kind, media: l.media, proto: l.proto, formats: l.formats, first: l.first}}
		codec, event, ok := l.choose(c.cfg.H265)
		label := "main"
		switch {
		case !ok || !l.enabled() || !l.crypto.Present() || l.proto != secureProfile && l.proto != "RTP/SAVPF":
			ok = false
		case l.kind == leg.Audio:
			ok = sounds == 0
			sounds++
		case l.kind == leg.Video:
			if videos == 1 {
				label = "screen"
			}
			ok = videos < 2
			videos++
		}
		var receive []leg.Codec
		var send leg.Codec
		if ok {
			o.accepted = true
			o.codecs = []leg.Codec{codec}
			if event.Name != "" {
				o.codecs = append(o.codecs, event)
			}
			if l.sends() && !l.held() {
				receive = o.codecs
			}
			if l.receives() && label == "main" && codec.Name != "H265" {
				send = codec
			}
			o.direction = ourDirection(l.sends(), send.Name != "")
			o.master = newMaster()
		}
		p.own = append(p.own, o)
		p.labels = append(p.labels, label)
		p.receive = append(p.receive, receive)
		p.send = append(p.send, send)
	}
	return p
}

// sendsPicture tells whether the peer is to receive video.
func (p *plan) sendsPicture() bool {
	for i, o := range p.own {
		if o.kind == leg.Video && p.send[i].Name != "" {
			return true
		}
	}
	return false
}

func ourDirection(receive, send bool) string {
	switch {
	case receive && send:
		return "sendrecv"
	case receive:
		return "recvonly"
	case send:
		return "sendonly"
	}
	return "inactive"
}

// keepOnly refuses those lines of a plan that have no paths yet: the description that it is
// made from brings no ICE for them.
func (c *Call) keepOnly(p *plan) {
	for i := range p.own {
		if o := &p.own[i]; o.accepted && (i >= len(c.media) || c.media[i] == nil || !c.media[i].is(o.kind, p.labels[i])) {
			o.accepted = false
		}
	}
}

// apply makes the call's media what the plan says: new ones are attached, changed ones
// updated, those that are gone closed.
func (c *Call) apply(d *description, p plan) error {
	c.mediaMu.Lock()
	defer c.mediaMu.Unlock()
	c.news.picture.Store(p.sendsPicture())
	for i := range p.own {
		o := &p.own[i]
		var m *medium
		if i < len(c.media) {
			m = c.media[i]
		} else {
			c.media = append(c.media, nil)
		}
		if !o.accepted {
			if m != nil {
				m.close()
				c.media[i] = nil
			}
			continue
		}
		if m != nil && m.is(o.kind, p.labels[i]) {
			m.stream.Update(p.receive[i], p.send[i])
		} else {
			if m != nil {
				m.close()
			}
			var err error
			if m, err = c.newMedium(i, p.labels[i], &d.lines[i], p.receive[i], p.send[i]); err != nil {
				return err
			}
			c.media[i] = m
		}
		m.offered = o.master
	}
	for i := len(p.own); i < len(c.media); i++ {
		if c.media[i] != nil {
			c.media[i].close()
			c.media[i] = nil
		}
	}
	c.media = c.media[:len(p.own)]
	return nil
}

// describe fills in addresses and candidates and returns the body of our description.
func (c *Call) describe(p plan, session *iceSession) []byte {
	address := ""
	for i := range p.own {
		o := &p.own[i]
		if !o.accepted {
			continue
		}
		o.ports = [2]int{9, 9} // decoration where ICE says the rest, but zero would mean off
		if session == nil {
			continue
		}
		for k := range 2 {
			component := session.component(o.first + k)
			if component == nil || len(component.local) == 0 {
				continue
			}
			o.lines = append(o.lines, component.lines()...)
			o.ports[k] = component.local[0].Port()
			if address == "" {
				address = component.local[0].Address()
			}
		}
	}
	if address == "" {
		address, _ = c.link.Local()
	}
	c.version++
	return writeDescription(c.origin, c.version, c.sdpName, address, session, p.own)
}

func (s *iceSession) component(id int) *iceComponent {
	for _, c := range s.components {
		if c.id == id {
			return c
		}
	}
	return nil
}

// components are the ids of the ICE components that the plan's media need.
func (p plan) components() (ids []int) {
	for _, o := range p.own {
		if o.accepted {
			ids = append(ids, o.first, o.first+1)
		}
	}
	return ids
}

// connect runs ICE and gives the media their connections.
func (c *Call) connect(session *iceSession, controlling bool, d *description) error {
	ctx, cancel := context.WithTimeout(session.ctx, iceTime)
	defer cancel()
	if err := session.connect(ctx, controlling, d.remote); err != nil {
		return err
	}
	c.mediaMu.Lock()
	defer c.mediaMu.Unlock()
	for i, m := range c.media {
		if m == nil || i >= len(d.lines) {
			continue
		}
		l := &d.lines[i]
		rtpPath, rtcpPath := session.component(l.first), session.component(l.first+1)
		if rtpPath == nil || rtcpPath == nil || rtpPath.conn == nil || rtcpPath.conn == nil {
			return fmt.Errorf("medium %d has no ICE component %d", i, l.first)
		}
		if err := m.endpoint.expect(l.crypto, true); err != nil {
			return err
		}
		m.master = m.offered
		if err := m.endpoint.use(rtpPath.conn, rtcpPath.conn, m.master); err != nil {
			return err
		}
	}
	return nil
}

// keepPaths is for a new description without new ICE: the peer may go on with its old
// key, and so do we with ours (spec/calls.md §5.3).
func (c *Call) keepPaths(d *description) error {
	for i, m := range c.media {
		if m == nil || i >= len(d.lines) || !d.lines[i].crypto.Present() {
			continue
		}
		if err := m.endpoint.expect(d.lines[i].crypto, false); err != nil {
			return err
		}
	}
	return nil
}

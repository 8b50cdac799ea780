package call

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"rendezvous/mixer/leg"
	"rendezvous/signalling/sdes"
	"rendezvous/signalling/sdp"
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
func (c *Call) newMedium(index int, a *sdp.Medium) (*medium, error) {
	m := &medium{kind: a.Kind, label: a.Label, endpoint: newEndpoint()}
	m.endpoint.stamp = a.Kind == leg.Video
	cfg := a.SessionConfig(c.cfg.Device)
	cfg.SeparateRTCP = true
	var err error
	if m.session, err = leg.NewSession(m.endpoint, cfg); err != nil {
		return nil, fmt.Errorf("media of a Jami call: %w", err)
	}
	m.transport = newTransport(m.session, m.endpoint, func() { c.askKeyFrame(index) })
	media := a.Media(m.transport, cfg.SSRC)
	if media.MaxSendBitrate == 0 || media.MaxSendBitrate > jamiMax { // no daemon sends or takes more
		media.MaxSendBitrate = jamiMax
	}
	if m.stream, err = c.leg.Attach(media); err != nil {
		m.endpoint.close()
		_ = m.session.Close()
		return nil, fmt.Errorf("media of a Jami call: %w", err)
	}
	return m, nil
}

// is reports whether the medium is what a new description calls for.
func (m *medium) is(a *sdp.Medium) bool { return m.kind == a.Kind && m.label == a.Label }

func (m *medium) close() {
	m.endpoint.close()
	m.stream.Close()
	// It can only say that it is closed already.
	_ = m.session.Close()
}

// keepOnly refuses those media of a plan that have no paths yet: the description that it is
// made from brings no ICE for them.
func (c *Call) keepOnly(d *description, p *plan) {
	for i := range p.media {
		if a := &p.media[i]; a.Active && (i >= len(c.media) || c.media[i] == nil || !c.media[i].is(a)) {
			p.refuse(i, d.Media[i])
		}
	}
}

// apply makes the call's media what the plan says: new ones are attached, changed ones
// updated, those that are gone closed.
func (c *Call) apply(p *plan) error {
	c.mediaMu.Lock()
	defer c.mediaMu.Unlock()
	c.news.picture.Store(p.sendsPicture())
	for i := range p.media {
		a := &p.media[i]
		var m *medium
		if i < len(c.media) {
			m = c.media[i]
		} else {
			c.media = append(c.media, nil)
		}
		if !a.Active {
			if m != nil {
				m.close()
				c.media[i] = nil
			}
			continue
		}
		if m != nil && m.is(a) {
			m.stream.Update(a.Receive, a.Send)
		} else {
			if m != nil {
				m.close()
			}
			var err error
			if m, err = c.newMedium(i, a); err != nil {
				return err
			}
			c.media[i] = m
		}
		m.offered = a.Crypto[0]
	}
	for i := len(p.media); i < len(c.media); i++ {
		if c.media[i] != nil {
			c.media[i].close()
			c.media[i] = nil
		}
	}
	c.media = c.media[:len(p.media)]
	return nil
}

// describe returns the body of our description, with the candidates of a session that is new.
func (c *Call) describe(p *plan, session *iceSession) []byte {
	c.version++
	head := sdp.Session{Origin: sdp.Origin{User: "rendezvous", ID: c.origin, Version: c.version}, Name: c.sdpName}
	if session != nil {
		head.Attributes = []sdp.Attribute{{Key: "ice-ufrag", Value: session.ufrag}, {Key: "ice-pwd", Value: session.pwd}}
	}
	local := make([]sdp.Local, len(p.media))
	address := ""
	for i := range p.media {
		if !p.media[i].Active {
			continue
		}
		l := &local[i]
		l.Port, l.RTCPPort = 9, 9 // decoration where ICE says the rest, but zero would mean off
		if session == nil {
			continue
		}
		for k, port := range []*int{&l.Port, &l.RTCPPort} {
			component := session.component(p.first[i] + k)
			if component == nil || len(component.local) == 0 {
				continue
			}
			for _, line := range component.lines() {
				l.Attributes = append(l.Attributes, sdp.Attribute{Key: "candidate", Value: line})
			}
			*port = component.local[0].Port()
			if address == "" {
				address = component.local[0].Address()
			}
		}
	}
	if address == "" {
		address, _ = c.link.Local()
	}
	head.Origin.Addr, _ = netip.ParseAddr(address) // both are addresses, not names
	return sdp.Write(head, p.media, local, c.policy())
}

func (s *iceSession) component(id int) *iceComponent {
	for _, c := range s.components {
		if c.id == id {
			return c
		}
	}
	return nil
}

// connect runs ICE and gives the media their connections.
func (c *Call) connect(session *iceSession, controlling bool, remote remoteICE, p *plan) error {
	ctx, cancel := context.WithTimeout(session.ctx, iceTime)
	defer cancel()
	if err := session.connect(ctx, controlling, remote); err != nil {
		return err
	}
	c.mediaMu.Lock()
	defer c.mediaMu.Unlock()
	for i, m := range c.media {
		if m == nil || i >= len(p.media) {
			continue
		}
		first := p.first[i]
		rtpPath, rtcpPath := session.component(first), session.component(first+1)
		if rtpPath == nil || rtcpPath == nil || rtpPath.conn == nil || rtcpPath.conn == nil {
			return fmt.Errorf("medium %d has no ICE component %d", i, first)
		}
		if err := m.endpoint.expect(p.media[i].RemoteKey, true); err != nil {
			return err
		}
		m.master = m.offered
		if err := m.endpoint.use(rtpPath.conn, rtcpPath.conn, m.master); err != nil {
			return err
		}
		m.transport.measure(rtpPath.echo)
	}
	return nil
}

// keepPaths is for a new description without new ICE: the peer may go on with its old
// key, and so do we with ours (docs/jami/calls.md#keys-and-counters).
func (c *Call) keepPaths(p *plan) error {
	for i, m := range c.media {
		if m == nil || i >= len(p.media) {
			continue
		}
		if err := m.endpoint.expect(p.media[i].RemoteKey, false); err != nil {
			return err
		}
	}
	return nil
}

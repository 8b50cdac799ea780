package sip

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pion/rtcp"

	"rendezvous/mixer/leg"
	"rendezvous/signalling/sdes"
	"rendezvous/signalling/sdp"
	"rendezvous/signalling/sip/rtppipe"
)

// medium is one m-line of a call: its sockets, and its stream once it is agreed.
// Sockets and stream live and die together with the line's codec.
type medium struct {
	pipe    *rtppipe.Pipe
	session *leg.Session
	stream  *leg.Stream
	agreed  sdp.Medium
}

// close ends the medium in the order that leg wants: packets first, then what reads them.
func (m *medium) close() {
	if m == nil {
		return
	}
	m.pipe.Close()
	if m.stream != nil {
		m.stream.Close()
	}
	if m.session != nil {
		m.session.Close()
	}
}

// offer opens sockets for media that we propose and makes the description of them.
// c.negotiation is held.
func (c *call) offer(media []sdp.Medium) error {
	for i := range media {
		if !media[i].Active {
			continue
		}
		if _, err := c.slot(i); err != nil {
			return err
		}
	}
	c.offered = media
	c.describe(media)
	return nil
}

// answered takes the answer to what we offered. c.negotiation is held.
func (c *call) answered(answer *sdp.Session) error {
	offered := c.offered
	c.offered = nil
	agreed, err := sdp.Accept(offered, answer, c.door.cfg.policy())
	if err != nil {
		return err
	}
	if err := c.settle(agreed); err != nil {
		return err
	}
	c.body = nil // nothing to say: ours was the offer
	return nil
}

// slot returns the medium of the m-line, with new sockets if it has none.
func (c *call) slot(i int) (*medium, error) {
	for len(c.media) <= i {
		c.media = append(c.media, nil)
	}
	if c.media[i] == nil {
		pipe, err := rtppipe.Open(c.door.ports, c.door.metrics.media, &c.consent)
		if err != nil {
			return nil, fmt.Errorf("open media: %w", err)
		}
		c.media[i] = &medium{pipe: pipe}
	}
	return c.media[i], nil
}

// settle makes what both sides agreed on true, and describes it. c.negotiation is held.
func (c *call) settle(agreed []sdp.Medium) error {
	for i := range agreed {
		a := &agreed[i]
		if !a.Active {
			if i < len(c.media) {
				c.media[i].close()
				c.media[i] = nil
			}
			continue
		}
		if i < len(c.media) && c.media[i] != nil && c.media[i].stream != nil && !sameStream(&c.media[i].agreed, a) {
			c.media[i].close()
			c.media[i] = nil
		}
		m, err := c.slot(i)
		if err != nil {
			return err
		}
		if m.stream == nil {
			err = c.attach(m, a)
		} else {
			err = c.update(m, a)
		}
		if err != nil {
			return err
		}
	}
	for i := len(agreed); i < len(c.media); i++ {
		c.media[i].close()
		c.media[i] = nil
	}
	c.agreed = agreed
	c.describe(agreed)
	c.connection.Store(c.connectionText())
	return nil
}

// sameStream reports whether a renegotiated medium can go on with the same RTP session.
func sameStream(a, b *sdp.Medium) bool {
	x, y := a.Offered[0], b.Offered[0]
	return a.Kind == b.Kind && a.Label == b.Label && x.Name == y.Name && x.ClockRate == y.ClockRate &&
		x.PayloadType == y.PayloadType && a.NACK == b.NACK && a.PLI == b.PLI && a.FIR == b.FIR && a.REMB == b.REMB
}

// attach starts a medium.
func (c *call) attach(m *medium, a *sdp.Medium) error {
	if err := c.secure(m, a); err != nil {
		return err
	}
	c.setPeer(m, a)
	cfg := a.SessionConfig(c.cname)
	session, err := leg.NewSession(m.pipe, cfg)
	if err != nil {
		return fmt.Errorf("start %s: %w", a.Kind, err)
	}
	m.session = session
	var transport leg.Transport = session
	if a.Kind == leg.Video && !a.PLI && !a.FIR {
		transport = keyFramesByInfo{session, c.askKeyFrame}
	}
	m.stream, err = c.leg.Attach(a.Media(transport, cfg.SSRC))
	if err != nil {
		return fmt.Errorf("start %s: %w", a.Kind, err)
	}
	m.agreed = *a
	c.held.Store(c.held.Load() || (a.Kind == leg.Audio && a.Direction == sdp.Inactive))
	return nil
}

// setPeer says where the peer of a medium is.
func (c *call) setPeer(m *medium, a *sdp.Medium) {
	peer := c.dialog.peer()
	if c.dialog.transport != "UDP" {
		c.consent.Give(peer) // a connection leads there
	}
	m.pipe.SetPeer(a, peer)
}

// update changes a running medium: direction, addresses, keys.
func (c *call) update(m *medium, a *sdp.Medium) error {
	if err := c.secure(m, a); err != nil {
		return err
	}
	c.setPeer(m, a)
	receive := a.Receive
	if a.Kind == leg.Audio {
		// Whoever puts a call on hold may go on sending, but it is music, and not for the room.
		held := !a.Direction.Sends() && (m.agreed.Direction.Sends() || c.held.Load())
		if held || a.Direction == sdp.Inactive {
			receive = nil
		}
		c.held.Store(held || a.Direction == sdp.Inactive)
	}
	m.stream.Update(receive, a.Send)
	if a.Kind == leg.Video && a.Direction.Sends() && !m.agreed.Direction.Sends() {
		c.leg.RequestKeyFrame()
	}
	m.agreed = *a
	return nil
}

// secure sets the keys. Where the peer repeats its key we repeat ours, so that the packet
// counters that belong to them go on.
func (c *call) secure(m *medium, a *sdp.Medium) error {
	if !a.Secure() {
		return m.pipe.SetKeys(sdes.Crypto{}, sdes.Crypto{})
	}
	old := &m.agreed
	if old.Secure() && old.RemoteKey.Same(a.RemoteKey) {
		tag := a.Crypto[0].Tag
		a.Crypto = slices.Clone(old.Crypto)
		a.Crypto[0].Tag = tag
	}
	if err := m.pipe.SetKeys(a.Crypto[0], a.RemoteKey); err != nil {
		return fmt.Errorf("encrypt %s: %w", a.Kind, err)
	}
	return nil
}

// describe writes our description of the media. c.negotiation is held.
func (c *call) describe(media []sdp.Medium) {
	local := make([]sdp.Local, len(media))
	for i := range media {
		if !media[i].Active {
			continue
		}
		port := c.media[i].pipe.Port()
		local[i] = sdp.Local{Port: port, RTCPPort: port + 1}
		if media[i].Mux {
			local[i].RTCPPort = port
		}
	}
	c.origin.Version++
	c.origin.Addr = c.door.localAddr(c.dialog.peer())
	c.body = sdp.Write(sdp.Session{Origin: c.origin}, media, local, c.door.cfg.policy())
}

// description hands out what describe wrote, once.
func (c *call) description() []byte {
	c.negotiation.Lock()
	defer c.negotiation.Unlock()
	return c.takeBody()
}

// takeBody is description with c.negotiation held.
func (c *call) takeBody() []byte {
	b := c.body
	c.body = nil
	return b
}

// connectionText says how the caller is connected, for people.
func (c *call) connectionText() string {
	parts := []string{"SIP/" + c.dialog.transport}
	for i := range c.agreed {
		a := &c.agreed[i]
		if a.Active && a.Kind == leg.Audio {
			if a.Secure() {
				parts = append(parts, "SRTP")
			}
			parts = append(parts, a.Offered[0].Name)
		}
	}
	return strings.Join(parts, ", ")
}

// closeMedia ends all media.
func (c *call) closeMedia() {
	c.negotiation.Lock()
	defer c.negotiation.Unlock()
	for _, m := range c.media {
		m.close()
	}
	c.media = nil
}

// keyFramesByInfo asks for key frames through SIP INFO (RFC 5168), for phones that
// did not say that they understand PLI or FIR.
type keyFramesByInfo struct {
	leg.Transport
	ask func()
}

func (t keyFramesByInfo) WriteRTCP(pkts []rtcp.Packet) error {
	for _, p := range pkts {
		switch p.(type) {
		case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
			t.ask()
		}
	}
	return t.Transport.WriteRTCP(pkts)
}

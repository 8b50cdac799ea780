package sdp

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"

	"rendezvous/mixer/leg"
)

// Local is where we await one medium, and what else its section says of that.
type Local struct {
	Port, RTCPPort int
	Attributes     []Attribute // at its end
}

// Write makes the text of an offer or an answer of ours: the session, of which origin, name and attributes are
// written, and the media. Its origin's address is announced for all; local has one entry per medium (of refused ones
// it is not looked at).
func Write(s Session, media []Medium, local []Local, p Policy) []byte {
	var b strings.Builder
	addr := s.Origin.Addr.WithZone("")
	ip := addressType(addr)
	fmt.Fprintf(&b, "v=0\r\no=%s %d %d IN %s %s\r\ns=%s\r\nc=IN %s %s\r\nt=0 0\r\n",
		cmp.Or(s.Origin.User, "-"), s.Origin.ID, s.Origin.Version, ip, addr, cmp.Or(s.Name, "-"), ip, addr)
	writeAttributes(&b, s.Attributes)
	for i := range media {
		writeMedium(&b, &media[i], local[i], addr, p)
	}
	return []byte(b.String())
}

func writeAttributes(b *strings.Builder, list []Attribute) {
	for _, a := range list {
		b.WriteString("a=" + a.Key)
		if a.Value != "" {
			b.WriteString(":" + a.Value)
		}
		b.WriteString("\r\n")
	}
}

func addressType(a netip.Addr) string {
	if a.Is4() {
		return "IP4"
	}
	return "IP6"
}

func writeMedium(b *strings.Builder, m *Medium, l Local, addr netip.Addr, p Policy) {
	if !m.Active {
		formats := strings.Join(m.Formats, " ")
		if formats == "" {
			formats = "0"
		}
		fmt.Fprintf(b, "m=%s 0 %s %s\r\n", m.Section, m.Proto, formats)
		if p.RefusedInactive {
			fmt.Fprintf(b, "a=%s\r\n", Inactive)
		}
		return
	}
	fmt.Fprintf(b, "m=%s %d %s", m.Section, l.Port, m.Proto)
	for _, c := range m.Offered {
		fmt.Fprintf(b, " %d", c.PayloadType)
	}
	b.WriteString("\r\n")
	if m.Kind == leg.Video && p.VideoBitrate > 0 {
		fmt.Fprintf(b, "b=AS:%d\r\n", (p.VideoBitrate+999)/1000)
	}
	for _, c := range m.Offered {
		fmt.Fprintf(b, "a=rtpmap:%d %s/%d", c.PayloadType, c.Name, c.ClockRate)
		if c.Channels > 1 {
			fmt.Fprintf(b, "/%d", c.Channels)
		}
		b.WriteString("\r\n")
		if c.Fmtp != "" {
			fmt.Fprintf(b, "a=fmtp:%d %s\r\n", c.PayloadType, c.Fmtp)
		}
	}
	if m.Kind == leg.Audio && !p.NoHints {
		b.WriteString("a=ptime:20\r\n")
	}
	if m.Mux {
		b.WriteString("a=rtcp-mux\r\n")
	}
	fmt.Fprintf(b, "a=rtcp:%d IN %s %s\r\n", l.RTCPPort, addressType(addr), addr)
	if p.DirectionFirst {
		fmt.Fprintf(b, "a=%s\r\n", m.Direction)
	}
	for _, c := range m.Crypto {
		fmt.Fprintf(b, "a=crypto:%s\r\n", c.Value())
	}
	writeFeedback(b, m)
	if m.LevelExt != 0 {
		fmt.Fprintf(b, "a=extmap:%d %s\r\n", m.LevelExt, extLevel)
	}
	if m.Label == "screen" && !p.NoHints {
		b.WriteString("a=content:slides\r\n")
	}
	if !p.DirectionFirst {
		fmt.Fprintf(b, "a=%s\r\n", m.Direction)
	}
	writeAttributes(b, l.Attributes)
}

func writeFeedback(b *strings.Builder, m *Medium) {
	for _, f := range []struct {
		on      bool
		message string
	}{
		{m.NACK, "nack"}, {m.PLI, "nack pli"}, {m.FIR, "ccm fir"},
		{m.REMB, "goog-remb"},
	} {
		if f.on {
			fmt.Fprintf(b, "a=rtcp-fb:* %s\r\n", f.message)
		}
	}
}

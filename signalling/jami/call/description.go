package call

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pion/ice/v2"
	"github.com/pion/sdp/v3"

	"rendezvous/mixer/leg"
	"rendezvous/signalling/sdes"
)

const (
	maxDescription = 32 << 10 // bytes
	maxLines       = 8        // media that one call may have (spec/calls.md §3)
	secureProfile  = "RTP/SAVP"
)

// description is a session description as far as calls between Jami devices use it.
type description struct {
	origin  uint64
	version uint64
	name    string // of the s= line
	remote  remoteICE
	lines   []line
}

// line is one m-line.
type line struct {
	kind      leg.Kind // 0 for what is neither audio nor video
	media     string   // the m-line's own word
	proto     string
	formats   []string
	port      int
	codecs    []leg.Codec // in order, those with a name
	direction string      // "sendrecv", "sendonly", "recvonly", "inactive"
	crypto    sdes.Crypto // what the sender of this description encrypts with, if there is a key
	first     int         // id of its first ICE component
}

func (l *line) enabled() bool { return l.port != 0 && l.kind != 0 }

// sends and receives say what the writer of the description does.
func (l *line) sends() bool    { return l.direction == "sendrecv" || l.direction == "sendonly" }
func (l *line) receives() bool { return l.direction == "sendrecv" || l.direction == "recvonly" }

// held reports that its writer holds the call: he names his video as sent and not received,
// and sends nothing at all (spec/calls.md §5.1).
func (l *line) held() bool { return l.kind == leg.Video && l.direction == "sendonly" }

// parseDescription reads a peer's session description.
func parseDescription(body []byte) (*description, error) {
	if len(body) > maxDescription {
		return nil, errors.New("session description too large")
	}
	var s sdp.SessionDescription
	if err := s.Unmarshal(body); err != nil {
		return nil, fmt.Errorf("session description: %w", err)
	}
	if len(s.MediaDescriptions) == 0 {
		return nil, errors.New("session description has no media")
	}
	if len(s.MediaDescriptions) > maxLines {
		return nil, fmt.Errorf("session description has %d media, more than %d", len(s.MediaDescriptions), maxLines)
	}
	d := &description{origin: s.Origin.SessionID, version: s.Origin.SessionVersion, name: string(s.SessionName)}
	d.remote.candidates = make(map[int][]ice.Candidate)
	d.remote.ufrag, _ = s.Attribute("ice-ufrag")
	d.remote.pwd, _ = s.Attribute("ice-pwd")
	direction := directionOf(s.Attributes, "sendrecv")
	enabled := 0
	for _, m := range s.MediaDescriptions {
		l := line{media: m.MediaName.Media, proto: strings.Join(m.MediaName.Protos, "/"), formats: m.MediaName.Formats,
			port: m.MediaName.Port.Value, direction: directionOf(m.Attributes, direction)}
		switch l.media {
		case "audio":
			l.kind = leg.Audio
		case "video":
			l.kind = leg.Video
		}
		l.first = 2*enabled + 1
		if l.enabled() {
			enabled++
		}
		l.readCodecs(m)
		ids := d.readAttributes(&l, m)
		if len(ids) > 0 {
			l.first = slices.Min(ids)
		}
		d.lines = append(d.lines, l)
	}
	if err := d.checkComponents(); err != nil {
		return nil, err
	}
	if len(d.remote.ufrag) > 256 || len(d.remote.pwd) > 256 { // RFC 8839 §5.4
		return nil, errors.New("session description: ICE credentials too long")
	}
	return d, nil
}

// checkComponents makes sure that no two media want the same paths.
func (d *description) checkComponents() error {
	used := make(map[int]bool)
	for i := range d.lines {
		l := &d.lines[i]
		if !l.enabled() {
			continue
		}
		if used[l.first] || used[l.first+1] {
			return fmt.Errorf("session description: two media share ICE component %d", l.first)
		}
		used[l.first], used[l.first+1] = true, true
	}
	return nil
}

// readAttributes reads keys and candidates, and returns the component ids of the latter.
func (d *description) readAttributes(l *line, m *sdp.MediaDescription) (ids []int) {
	for _, a := range m.Attributes {
		switch a.Key {
		case "crypto":
			if c, err := sdes.Parse(a.Value); err == nil && c.Suite == suite && !l.crypto.Present() {
				l.crypto = c
			}
		case "ice-ufrag": // newer daemons also accept, and may write, these here
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

func (l *line) readCodecs(m *sdp.MediaDescription) {
	names := map[string]leg.Codec{ // RFC 3551 §6
		"0": {Name: "PCMU", ClockRate: 8000}, "8": {Name: "PCMA", ClockRate: 8000}, "9": {Name: "G722", ClockRate: 8000},
	}
	fmtp := make(map[string]string)
	for _, a := range m.Attributes {
		pt, rest, ok := strings.Cut(a.Value, " ")
		if !ok {
			continue
		}
		switch a.Key {
		case "rtpmap":
			f := strings.Split(rest, "/")
			if len(f) < 2 {
				continue
			}
			rate, err := strconv.Atoi(f[1])
			if err != nil || rate < 1000 || rate > 192000 {
				continue
			}
			c := leg.Codec{Name: f[0], ClockRate: rate}
			if len(f) > 2 {
				c.Channels, _ = strconv.Atoi(f[2])
			}
			names[pt] = c
		case "fmtp":
			fmtp[pt] = rest
		}
	}
	for _, f := range l.formats {
		c, ok := names[f]
		pt, err := strconv.Atoi(f)
		if !ok || err != nil || pt < 0 || pt > 127 {
			continue
		}
		c.PayloadType, c.Fmtp = uint8(pt), fmtp[f]
		l.codecs = append(l.codecs, c)
	}
}

func directionOf(attributes []sdp.Attribute, otherwise string) string {
	for _, a := range attributes {
		switch a.Key {
		case "sendrecv", "sendonly", "recvonly", "inactive":
			return a.Key
		}
	}
	return otherwise
}

// preferred are the codecs that we take, best first, with what peers call them.
var preferred = map[leg.Kind][]string{
	leg.Audio: {"opus", "G722", "PCMA", "PCMU"},
	leg.Video: {"H264", "VP8"},
}

// choose picks the codec for a line: ours by preference; H.265, if it is taken at all, only where nothing
// else is offered, and then only to be received. event is the line's
// telephone-event, if it has one.
func (l *line) choose(h265 bool) (c, event leg.Codec, ok bool) {
	for _, x := range l.codecs {
		if x.Name == "telephone-event" && x.ClockRate == 8000 {
			event = x
		}
	}
	names := preferred[l.kind]
	if h265 {
		names = append(slices.Clone(names), "H265")
	}
	for _, name := range names {
		for _, x := range l.codecs {
			if strings.EqualFold(x.Name, name) && (name != "H265" || l.kind == leg.Video) {
				x.Name = name
				return x, event, true
			}
		}
	}
	return c, event, false
}

// ownLine is what our description says of one medium.
type ownLine struct {
	line
	accepted bool
	master   sdes.Crypto // our key
	lines    []string    // candidates; nil leaves ICE out
	ports    [2]int
}

// writeDescription writes a description as jamid reads it: credentials of ICE for the
// session, an explicit direction, a=rtcp, one key (spec/calls.md §3).
func writeDescription(origin, version uint64, name, address string, session *iceSession, lines []ownLine) []byte {
	family := "IP4"
	if strings.Contains(address, ":") {
		family = "IP6"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "v=0\r\no=rendezvous %d %d IN %s %s\r\ns=%s\r\nc=IN %s %s\r\nt=0 0\r\n",
		origin, version, family, address, name, family, address)
	if session != nil {
		fmt.Fprintf(&b, "a=ice-ufrag:%s\r\na=ice-pwd:%s\r\n", session.ufrag, session.pwd)
	}
	for _, l := range lines {
		if !l.accepted {
			formats := strings.Join(l.formats, " ")
			fmt.Fprintf(&b, "m=%s 0 %s %s\r\na=inactive\r\n", l.media, l.proto, formats)
			continue
		}
		var formats []string
		for _, c := range l.codecs {
			formats = append(formats, strconv.Itoa(int(c.PayloadType)))
		}
		fmt.Fprintf(&b, "m=%s %d %s %s\r\n", l.media, l.ports[0], secureProfile, strings.Join(formats, " "))
		for _, c := range l.codecs {
			fmt.Fprintf(&b, "a=rtpmap:%d %s/%d", c.PayloadType, c.Name, c.ClockRate)
			if c.Channels > 1 {
				fmt.Fprintf(&b, "/%d", c.Channels)
			}
			b.WriteString("\r\n")
			switch c.Name {
			case "telephone-event":
				fmt.Fprintf(&b, "a=fmtp:%d 0-15\r\n", c.PayloadType)
			case "H264":
				fmt.Fprintf(&b, "a=fmtp:%d profile-level-id=428029\r\n", c.PayloadType)
			}
		}
		fmt.Fprintf(&b, "a=rtcp:%d IN %s %s\r\na=%s\r\na=crypto:%s\r\n", l.ports[1], family, address, l.direction, l.master.Value())
		for _, c := range l.lines {
			fmt.Fprintf(&b, "a=candidate:%s\r\n", c)
		}
	}
	return []byte(b.String())
}

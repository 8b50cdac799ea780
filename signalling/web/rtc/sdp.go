package rtc

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"
)

// opusFmtp is what we ask Opus senders for (RFC 7587 section 6.1): in-band FEC, nothing
// sent in silence, one channel, as the room is mono.
const opusFmtp = "minptime=10;useinbandfec=1;usedtx=1;stereo=0"

// mimeTypeRED is what pion has no name for: payloads that repeat earlier ones (RFC 2198).
const mimeTypeRED = "audio/red"

var (
	opusMap    = regexp.MustCompile(`(?mi)^a=rtpmap:(\d+) opus/48000`)
	redMap     = regexp.MustCompile(`(?mi)^a=rtpmap:(\d+) red/48000`)
	soundLines = regexp.MustCompile(`(?m)^(m=audio \S+ \S+) ([^\r\n]*)`)
)

// repeatedType is the payload type whose payloads a RED format's parameters say it repeats ("111/111", RFC 2198 section 5);
// not ok where that is none, or several.
func repeatedType(fmtp string) (pt uint8, ok bool) {
	types := strings.Split(strings.TrimSpace(fmtp), "/")
	n, err := strconv.ParseUint(types[0], 10, 7)
	if err != nil || len(types) < 2 {
		return 0, false
	}
	for _, t := range types {
		if t != types[0] {
			return 0, false
		}
	}
	return uint8(n), true
}

// tuneAnswer puts our wishes for Opus in the place of the offerer's own, which pion
// gives back to it. It also says that lost sound may be asked for again (RFC 4585 section 4.2), which libwebrtc, known by its
// transport-cc, does both ways if an answer says so, though its offers do not. And it has RED and Opus in the order of the offer.
func tuneAnswer(answer, offer string) string {
	m := opusMap.FindStringSubmatch(answer)
	if m == nil {
		return answer
	}
	if red := redMap.FindStringSubmatch(answer); red != nil {
		answer = orderRED(answer, offer, red[1], m[1])
	}
	feedback := regexp.MustCompile(`(?m)^(a=rtcp-fb:` + m[1] + `) transport-cc *`)
	if repeat := regexp.MustCompile(`(?m)^a=rtcp-fb:` + m[1] + ` nack\s*$`); !repeat.MatchString(answer) {
		answer = feedback.ReplaceAllString(answer, "$0\r\n$1 nack")
	}
	line := regexp.MustCompile(`(?m)^a=fmtp:` + m[1] + ` [^\r\n]*`)
	if line.MatchString(answer) {
		return line.ReplaceAllString(answer, "a=fmtp:"+m[1]+" "+opusFmtp)
	}
	return answer
}

// orderRED puts the payload type red before opus in those lines of sound where the offer has them so. The first one is what a
// browser sends: Opus, or with RED Opus whose packets each repeat the one before, at nearly twice the bit rate. The browser
// decides which, by another offer if need be, as it alone knows what its network carries.
func orderRED(answer, offer, red, opus string) string {
	offered := soundLines.FindAllStringSubmatch(offer, -1)
	n := -1 // the answer's lines are those of the offer (RFC 3264 section 6)
	return soundLines.ReplaceAllStringFunc(answer, func(line string) string {
		if n++; n >= len(offered) {
			return line
		}
		before := func(types []string) bool {
			i := slices.Index(types, red)
			return i >= 0 && i < slices.Index(types, opus)
		}
		m := soundLines.FindStringSubmatch(line)
		types := strings.Fields(m[2])
		i := slices.Index(types, red)
		if i < 0 || before(types) || !before(strings.Fields(offered[n][2])) {
			return line
		}
		types = slices.Delete(types, i, i+1)
		return m[1] + " " + strings.Join(slices.Insert(types, slices.Index(types, opus), red), " ")
	})
}

// remoteDirection tells whether the remote side takes and gives media on an m-line.
func remoteDirection(offer, mid string) (takes, gives bool) {
	var parsed sdp.SessionDescription
	if err := parsed.UnmarshalString(offer); err != nil {
		return false, false
	}
	for _, m := range parsed.MediaDescriptions {
		if v, ok := m.Attribute(sdp.AttrKeyMID); !ok || v != mid {
			continue
		}
		has := func(key string) bool { _, ok := m.Attribute(key); return ok }
		switch {
		case has(sdp.AttrKeyInactive):
			return false, false
		case has(sdp.AttrKeySendOnly):
			return false, true
		case has(sdp.AttrKeyRecvOnly):
			return true, false
		}
		return true, true
	}
	return false, false
}

// iceCredentials returns the first ICE user fragment and password of a description.
func iceCredentials(text string) (ufrag, pwd string) {
	for l := range strings.SplitSeq(text, "\n") {
		l = strings.TrimRight(l, "\r")
		if v, ok := strings.CutPrefix(l, "a=ice-ufrag:"); ok && ufrag == "" {
			ufrag = v
		}
		if v, ok := strings.CutPrefix(l, "a=ice-pwd:"); ok && pwd == "" {
			pwd = v
		}
	}
	return ufrag, pwd
}

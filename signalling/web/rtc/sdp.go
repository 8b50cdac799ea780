package rtc

import (
	"regexp"
	"strings"

	"github.com/pion/sdp/v3"
)

// opusFmtp is what we ask Opus senders for (RFC 7587 section 6.1): in-band FEC, nothing
// sent in silence, one channel, as the room is mono.
const opusFmtp = "minptime=10;useinbandfec=1;usedtx=1;stereo=0"

var opusMap = regexp.MustCompile(`(?mi)^a=rtpmap:(\d+) opus/48000`)

// tuneAnswer puts our wishes for Opus in the place of the offerer's own, which pion
// gives back to it.
func tuneAnswer(answer string) string {
	m := opusMap.FindStringSubmatch(answer)
	if m == nil {
		return answer
	}
	line := regexp.MustCompile(`(?m)^a=fmtp:` + m[1] + ` [^\r\n]*`)
	if line.MatchString(answer) {
		return line.ReplaceAllString(answer, "a=fmtp:"+m[1]+" "+opusFmtp)
	}
	return answer
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

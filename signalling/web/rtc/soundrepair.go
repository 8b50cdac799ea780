package rtc

import "github.com/pion/webrtc/v3"

// repairsSound reports whether a browser sends lost sound again: those of libwebrtc do, and ask for it too, if our
// description of Opus has a=rtcp-fb nack, though theirs does not (tuneAnswer). They are known by the transport-cc of theirs.
func repairsSound(codecs []webrtc.RTPCodecParameters) bool {
	for _, c := range codecs {
		if codecName(c) != "opus" {
			continue
		}
		for _, f := range c.RTCPFeedback {
			if f.Type == webrtc.TypeRTCPFBTransportCC {
				return true
			}
		}
	}
	return false
}

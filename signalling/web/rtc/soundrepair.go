package rtc

import (
	"strings"

	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/nack"
	"github.com/pion/webrtc/v3"
)

// soundHistory is how many packets of sound are kept to be sent again: 1.3 s.
const soundHistory = 64

// soundRepair makes the interceptor that sends sound again; pictures are the leg's to send again. pion keeps room for the largest
// packets, so that the history is no longer than what is asked for.
func soundRepair(logs logFactory) (interceptor.Factory, error) {
	return nack.NewResponderInterceptor(nack.ResponderSize(soundHistory), nack.WithResponderLoggerFactory(logs),
		nack.ResponderStreamsFilter(func(info *interceptor.StreamInfo) bool {
			return strings.HasPrefix(strings.ToLower(info.MimeType), "audio/")
		}))
}

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

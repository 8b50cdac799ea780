package rtc

import (
	"strings"
	"testing"

	"github.com/pion/webrtc/v3"
)

func TestREDIsTakenForOpusAlone(t *testing.T) {
	codec := func(mime string, pt webrtc.PayloadType, fmtp string) webrtc.RTPCodecParameters {
		return webrtc.RTPCodecParameters{RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: mime, SDPFmtpLine: fmtp}, PayloadType: pt}
	}
	opus := codec("audio/opus", 111, "minptime=10")
	for fmtp, want := range map[string]uint8{"111/111": 63, "111/111/111": 63, "0/0": 0, "111": 0, "111/0": 0, "": 0, "x/x": 0, "300/300": 0} {
		codecs, pt := checkRED([]webrtc.RTPCodecParameters{opus, codec("audio/red", 63, fmtp)})
		if pt != want || codecName(codecs[0]) != "opus" || (len(codecs) == 2) != (want != 0) {
			t.Errorf("fmtp %q: %v, %d", fmtp, codecs, pt)
		}
	}
	if codecs, pt := checkRED([]webrtc.RTPCodecParameters{codec("audio/red", 63, "111/111")}); len(codecs) != 0 || pt != 0 {
		t.Errorf("RED of nothing: %v, %d", codecs, pt)
	}
}

func TestAnswerSaysThatSoundIsSentAgain(t *testing.T) {
	const of = "a=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\na=fmtp:111 minptime=10\r\n"
	answer := tuneAnswer(of, "")
	if strings.Count(answer, "a=rtcp-fb:111 nack\r\n") != 1 || !strings.Contains(answer, "a=rtcp-fb:111 transport-cc\r\n") || tuneAnswer(answer, "") != answer {
		t.Errorf("%q", answer)
	}
	if answer := tuneAnswer("a=rtpmap:109 opus/48000/2\r\n", ""); strings.Contains(answer, "nack") {
		t.Errorf("to who gives no feedback: %q", answer)
	}
}

package rtc

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/webrtc/v3"
)

func TestMissingSoundIsAskedFor(t *testing.T) {
	var m missingSound
	start := time.Unix(1e9, 0)
	arrive := func(ms int, seq uint16, repeated int, want ...uint16) {
		t.Helper()
		if got := m.arrived(seq, repeated, start.Add(time.Duration(ms)*time.Millisecond)); !slices.Equal(got, want) {
			t.Fatalf("at %d ms, packet %d: asks for %v, not for %v", ms, seq, got, want)
		}
	}
	arrive(0, 65534, 0)
	arrive(40, 0, 0, 65535) // at once, across the end of the numbers
	arrive(60, 1, 0)        // too soon to ask again
	arrive(80, 2, 0, 65535)
	arrive(85, 65535, 0)
	arrive(100, 3, 0)
	arrive(140, 5, 1)       // 4 is repeated in it
	arrive(220, 9, 1, 6, 7) // 8 likewise
	arrive(225, 6, 0)
	arrive(260, 10, 1, 7)
	arrive(300, 11, 1, 7)
	arrive(340, 12, 1) // often enough
	arrive(400, 13, 1)
	arrive(500, 100, 0, 92, 93, 94, 95, 96, 97, 98, 99) // only what may still be of use
	arrive(520, 5000, 0)                                // begun anew
	arrive(540, 5001, 0)
}

// TestAskingEnds where nobody answers, or too late; now and then it is tried again.
func TestAskingEnds(t *testing.T) {
	for _, answer := range []time.Duration{0, 30 * time.Millisecond, 250 * time.Millisecond} {
		var m missingSound
		now := time.Unix(1e9, 0)
		asked := 0
		late := make(map[time.Time]uint16)
		for seq := uint16(1); seq < 3000; seq++ { // a minute, of which each tenth packet is lost
			now = now.Add(20 * time.Millisecond)
			for at, s := range late {
				if !at.After(now) {
					m.arrived(s, 0, at)
					delete(late, at)
				}
			}
			if seq%10 == 0 {
				continue
			}
			for _, s := range m.arrived(seq, 0, now) {
				asked++
				if answer > 0 {
					late[now.Add(answer)] = s
				}
			}
		}
		switch useful := answer == 30*time.Millisecond; {
		case useful && asked < 290:
			t.Errorf("answers after %v: asked %d times for 299 packets", answer, asked)
		case !useful && (asked > 250 || asked < 10):
			t.Errorf("answers after %v: asked %d times", answer, asked)
		}
	}
}

func TestRedundantBlocks(t *testing.T) {
	for payload, want := range map[string]int{"": 0, "\x6fopus": 0, "\xef\x0f\x00\x02\x6fab": 1, "\xef\x0f\x00\x02\xef\x07\x00\x02\x6fab": 2, "\xef\xef": 0} {
		if got := redundantBlocks([]byte(payload)); got != want {
			t.Errorf("%x: %d", payload, got)
		}
	}
}

func TestREDIsTakenForOpusAlone(t *testing.T) {
	codec := func(mime string, pt webrtc.PayloadType, fmtp string) webrtc.RTPCodecParameters {
		return webrtc.RTPCodecParameters{RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: mime, SDPFmtpLine: fmtp}, PayloadType: pt}
	}
	opus := codec("audio/opus", 111, "minptime=10")
	for fmtp, want := range map[string]uint8{"111/111": 63, "111/111/111": 63, "0/0": 0, "111": 0, "111/0": 0, "": 0, "x/x": 0, "300/300": 0} {
		codecs, pt := checkRED([]webrtc.RTPCodecParameters{opus, codec("audio/red", 63, fmtp)})
		if pt != want || codecName(codecs[len(codecs)-1]) != "opus" || (len(codecs) == 2) != (want != 0) {
			t.Errorf("fmtp %q: %v, %d", fmtp, codecs, pt)
		}
	}
	if codecs, pt := checkRED([]webrtc.RTPCodecParameters{codec("audio/red", 63, "111/111")}); len(codecs) != 0 || pt != 0 {
		t.Errorf("RED of nothing: %v, %d", codecs, pt)
	}
}

func TestAnswerSaysThatSoundIsSentAgain(t *testing.T) {
	const of = "a=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\na=fmtp:111 minptime=10\r\n"
	answer := tuneAnswer(of)
	if strings.Count(answer, "a=rtcp-fb:111 nack\r\n") != 1 || !strings.Contains(answer, "a=rtcp-fb:111 transport-cc\r\n") || tuneAnswer(answer) != answer {
		t.Errorf("%q", answer)
	}
	if answer := tuneAnswer("a=rtpmap:109 opus/48000/2\r\n"); strings.Contains(answer, "nack") {
		t.Errorf("to who gives no feedback: %q", answer)
	}
}

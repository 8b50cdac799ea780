package rtc

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/pion/webrtc/v3"

	"rendezvous/mixer/leg"
)

func newTestPeer(t testing.TB) *Peer {
	t.Helper()
	e, err := NewEngine(Config{Log: slog.New(slog.DiscardHandler), UDPAddr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	l := leg.New(leg.Config{})
	p, err := e.NewPeer(PeerConfig{Log: slog.New(slog.DiscardHandler), Leg: l})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Close()
		l.Close()
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// offer is what a browser without pion's habits might send: VP8 first, several H264, RED,
// an audio level extension.
const offer = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1 2\r\na=msid-semantic: WMS\r\n" +
	"m=audio 9 UDP/TLS/RTP/SAVPF 111 63 0\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n" +
	"a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r\na=setup:actpass\r\na=mid:0\r\n" +
	"a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n" +
	"a=sendrecv\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\na=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:63 red/48000/2\r\na=rtpmap:0 PCMU/8000\r\na=ssrc:1 cname:x\r\n" +
	"m=video 9 UDP/TLS/RTP/SAVPF 96 97 102 103\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n" +
	"a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r\na=setup:actpass\r\na=mid:1\r\n" +
	"a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\na=sendrecv\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\na=rtcp-fb:96 transport-cc\r\n" +
	"a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=rtpmap:102 H264/90000\r\na=rtcp-fb:102 nack\r\na=rtcp-fb:102 transport-cc\r\na=fmtp:102 level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f\r\n" +
	"a=rtpmap:103 H264/90000\r\na=rtcp-fb:103 nack\r\na=fmtp:103 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\na=ssrc:2 cname:x\r\n"

func TestAnswerPrefersH264AndTunesOpus(t *testing.T) {
	p := newTestPeer(t)
	answer, err := p.Answer(context.Background(), offer)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"m=video 9 UDP/TLS/RTP/SAVPF 103 ",            // packetization-mode 1 of them, before VP8
		"a=fmtp:111 " + opusFmtp,                      // our wishes, not the browser's own
		"urn:ietf:params:rtp-hdrext:ssrc-audio-level", // RFC 6464
		"a=rtcp-fb:103 nack", "a=rtcp-fb:111 transport-cc", "a=candidate:", "a=end-of-candidates",
	} {
		if !strings.Contains(answer, want) {
			t.Errorf("the answer lacks %q:\n%s", want, answer)
		}
	}
	for _, not := range []string{" rtx/", " red/", "PCMU"} {
		if strings.Contains(answer, not) {
			t.Errorf("the answer has %q", not)
		}
	}
	line := p.lines["0"]
	if line.label != "main" || line.kind != leg.Audio || line.stream == nil || line.local == nil {
		t.Errorf("the audio line: %+v", line)
	}
}

// A browser that offers RED decides by its order whether it sends it: Opus with repetitions. What else it says of Opus does not matter.
func TestAnswerTakesRED(t *testing.T) {
	for _, fmtp := range []string{"minptime=10;useinbandfec=1", "minptime=10;stereo=1;usedtx=0"} {
		p := newTestPeer(t)
		o := strings.Replace(offer, "a=rtpmap:63 red/48000/2\r\n", "a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n", 1)
		o = strings.Replace(o, "minptime=10;useinbandfec=1", fmtp, 1)
		for _, order := range []struct{ offered, answered string }{{"111 63 0", "111 63"}, {"63 111 0", "63 111"}, {"0 111 63", "111 63"}} { // each a new offer
			answer, err := p.Answer(context.Background(), strings.Replace(o, " 111 63 0\r\n", " "+order.offered+"\r\n", 1))
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"m=audio 9 UDP/TLS/RTP/SAVPF " + order.answered + "\r\n", "a=fmtp:63 111/111\r\n", "a=fmtp:111 " + opusFmtp, "a=rtcp-fb:111 nack\r\n"} {
				if strings.Count(answer, want) != 1 {
					t.Errorf("%s: the answer lacks %q, or has it twice:\n%s", order.offered, want, answer)
				}
			}
			if l := p.lines["0"].local; l.red != 63 || codecName(l.codec) != "opus" {
				t.Errorf("we send %+v", l)
			}
		}
	}
}

// Lines of sound are compared one by one; where a type is missing, they stay as they are.
func TestAnswerOrdersRED(t *testing.T) {
	const types = "a=rtpmap:111 opus/48000/2\r\na=rtpmap:63 red/48000/2\r\n"
	for _, c := range []struct{ offered, answered, want string }{
		{"m=audio 9 X 63 111", "m=audio 9 X 111 63", "m=audio 9 X 63 111"},
		{"m=audio 9 X 63 0 111 8", "m=audio 9 X 0 111 8 63", "m=audio 9 X 0 63 111 8"},
		{"m=audio 9 X 111 63", "m=audio 9 X 111 63", "m=audio 9 X 111 63"},
		{"m=audio 9 X 63", "m=audio 9 X 111 63", "m=audio 9 X 111 63"},
		{"m=audio 9 X 63 111", "m=audio 9 X 111", "m=audio 9 X 111"},
		{"m=audio 9 X 111 63\r\nm=audio 9 X 63 111", "m=audio 9 X 111 63\r\nm=audio 9 X 111 63", "m=audio 9 X 111 63\r\nm=audio 9 X 63 111"},
		{"", "m=audio 9 X 111 63", "m=audio 9 X 111 63"},
	} {
		if got := tuneAnswer(c.answered+"\r\n"+types, c.offered+"\r\n"+types); got != c.want+"\r\n"+types {
			t.Errorf("%q to %q: %q", c.answered, c.offered, got)
		}
	}
}

// An offer that cannot be is the caller's mistake, and the next one is taken.
func TestBadOffers(t *testing.T) {
	for name, bad := range map[string]string{
		"nothing":         "",
		"no media":        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n",
		"codecs unknown":  strings.NewReplacer("VP8/90000", "XX/90000", "H264/90000", "YY/90000").Replace(offer),
		"no fingerprint":  strings.ReplaceAll(offer, "a=fingerprint:sha-256 ", "a=fp:"),
		"no ufrag":        strings.ReplaceAll(offer, "a=ice-ufrag", "a=ufrag"),
		"half a document": offer[:len(offer)/3],
	} {
		t.Run(name, func(t *testing.T) {
			p := newTestPeer(t)
			_, err := p.Answer(context.Background(), bad)
			if err == nil {
				t.Fatal("it is answered")
			}
			if !errors.Is(err, ErrOffer) {
				t.Errorf("not called the caller's fault: %v", err)
			}
		})
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(offer)
	f.Add(strings.ReplaceAll(offer, "a=sendrecv", "a=recvonly"))
	f.Add(strings.ReplaceAll(offer, "\r\n", "\n"))
	f.Fuzz(func(t *testing.T, s string) {
		p := newTestPeer(t)
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if answer, err := p.Answer(ctx, s); err == nil {
			iceCredentials(answer)
			_ = p.AddCandidate(webrtc.ICECandidateInit{Candidate: "candidate:1 1 udp 1 127.0.0.1 9 typ host"})
		}
		iceCredentials(tuneAnswer(s, s))
	})
}

package sdp

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"rendezvous/mixer/leg"
	"rendezvous/signalling/sdes"
)

var policy = Policy{Audio: []string{"opus", "G722", "PCMA", "PCMU"}, Video: []string{"H264", "VP8"}, SRTP: SRTPOptional}

func parse(t *testing.T, lines ...string) *Session {
	t.Helper()
	s, err := Parse([]byte("v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n" + strings.Join(lines, "\r\n") + "\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const (
	key80 = "inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd"
	opus  = "a=rtpmap:96 opus/48000/2"
)

func TestAnswerChoosesCodec(t *testing.T) {
	for _, test := range []struct {
		name, media string
		more        []string
		codec       string
		pt          uint8
	}{
		{"our favourite, wherever it stands", "m=audio 9 RTP/AVP 0 8 96", []string{opus}, "opus", 96},
		{"wide band before narrow", "m=audio 9 RTP/AVP 0 8 9", nil, "G722", 9},
		{"of the G.711 twins the peer's first", "m=audio 9 RTP/AVP 0 8", nil, "PCMU", 0},
		{"and the other way round", "m=audio 9 RTP/AVP 8 0", nil, "PCMA", 8},
		{"unknown ones are passed over", "m=audio 9 RTP/AVP 18 97 0", []string{"a=rtpmap:97 speex/16000"}, "PCMU", 0},
		{"a dynamic number for a static codec", "m=audio 9 RTP/AVP 110", []string{"a=rtpmap:110 PCMA/8000"}, "PCMA", 110},
		{"lower case names", "m=audio 9 RTP/AVP 110", []string{"a=rtpmap:110 pcmu/8000/1"}, "PCMU", 110},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := Answer(parse(t, append([]string{test.media}, test.more...)...), policy)
			if err != nil {
				t.Fatal(err)
			}
			if s := got[0].Send; s.Name != test.codec || s.PayloadType != test.pt {
				t.Errorf("sends %s as %d, want %s as %d", s.Name, s.PayloadType, test.codec, test.pt)
			}
			if r := got[0].Receive[0]; r.Name != test.codec || r.PayloadType != test.pt {
				t.Errorf("receives %s as %d", r.Name, r.PayloadType)
			}
		})
	}
}

func TestAnswerRefuses(t *testing.T) {
	for _, test := range []struct {
		name  string
		lines []string
		srtp  SRTP
		want  error
	}{
		{"no common codec", []string{"m=audio 9 RTP/AVP 18"}, SRTPOptional, ErrNoCommonCodec},
		{"no media", nil, SRTPOptional, ErrNoCommonCodec},
		{"only data", []string{"m=application 9 UDP/DTLS/SCTP webrtc-datachannel"}, SRTPOptional, ErrNoCommonCodec},
		{"plain where encryption is required", []string{"m=audio 9 RTP/AVP 0"}, SRTPRequired, ErrInsecure},
		{"encryption where it is off", []string{"m=audio 9 RTP/SAVP 0", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 " + key80}, SRTPOff, ErrInsecure},
		{"secure profile without key", []string{"m=audio 9 RTP/SAVP 0"}, SRTPOptional, ErrInsecure},
		{"secure profile with a bad key", []string{"m=audio 9 RTP/SAVP 0", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2hvcnQ="}, SRTPOptional, ErrInsecure},
		{"DTLS", []string{"m=audio 9 UDP/TLS/RTP/SAVPF 0"}, SRTPOptional, ErrInsecure},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := policy
			p.SRTP = test.srtp
			if _, err := Answer(parse(t, test.lines...), p); !errors.Is(err, test.want) {
				t.Errorf("error is %v, want %v", err, test.want)
			}
		})
	}
}

func TestAnswerTakesKeys(t *testing.T) {
	offer := parse(t, "m=audio 9 RTP/SAVP 0",
		"a=crypto:1 F8_128_HMAC_SHA1_80 "+key80,
		"a=crypto:2 AES_CM_128_HMAC_SHA1_80 "+key80+"|2^20|1:4",
		"a=crypto:3 AES_CM_128_HMAC_SHA1_32 "+key80+"|2^31 UNENCRYPTED_SRTCP",
		"a=crypto:4 AES_CM_128_HMAC_SHA1_32 "+key80+"|2^20",
		"a=crypto:5 AES_CM_128_HMAC_SHA1_80 "+key80)
	got, err := Answer(offer, policy)
	if err != nil {
		t.Fatal(err)
	}
	a := got[0]
	if !a.Secure() || a.RemoteKey.Tag != 4 || a.RemoteKey.Suite != sdes.AES128CM32 {
		t.Errorf("took line %d, %s", a.RemoteKey.Tag, a.RemoteKey.Suite)
	}
	if len(a.Crypto) != 1 || a.Crypto[0].Tag != 4 || a.Crypto[0].Suite != sdes.AES128CM32 || a.Crypto[0].Same(a.RemoteKey) {
		t.Errorf("answers with %v", a.Crypto)
	}
	text := string(Write(Session{Origin: Origin{ID: 1, Version: 1, Addr: netip.MustParseAddr("192.0.2.1")}}, got, []Local{{Port: 4000, RTCPPort: 4001}}, policy))
	if !strings.Contains(text, "m=audio 4000 RTP/SAVP 0\r\n") || !strings.Contains(text, "a=crypto:4 AES_CM_128_HMAC_SHA1_32 inline:") {
		t.Errorf("answer is\n%s", text)
	}
}

func TestAnswerVideo(t *testing.T) {
	offer := parse(t, "m=audio 5000 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/8000",
		"m=video 6000 RTP/AVPF 96 97 98 99", "b=AS:900", "b=TIAS:512000",
		"a=rtpmap:96 VP8/90000",
		"a=rtpmap:97 H264/90000", "a=fmtp:97 profile-level-id=64001f;packetization-mode=1",
		"a=rtpmap:98 H264/90000", "a=fmtp:98 profile-level-id=42e00c; packetization-mode=1",
		"a=rtpmap:99 H264/90000", "a=fmtp:99 profile-level-id=42e01f",
		"a=rtcp-fb:98 nack pli", "a=rtcp-fb:* ccm fir", "a=rtcp-fb:96 nack",
		"a=recvonly",
		"m=video 6002 RTP/AVP 96", "a=rtpmap:96 VP8/90000", "a=content:slides",
		"m=video 6004 RTP/AVP 96", "a=rtpmap:96 VP8/90000")
	got, err := Answer(offer, policy)
	if err != nil {
		t.Fatal(err)
	}
	main, slides := got[1], got[2]
	if main.Send.PayloadType != 98 || main.Label != "main" || main.Direction != SendOnly || len(main.Receive) != 0 {
		t.Errorf("main video is %+v", main)
	}
	if main.NACK || !main.PLI || !main.FIR {
		t.Errorf("feedback: nack %v, pli %v, fir %v", main.NACK, main.PLI, main.FIR)
	}
	if main.MaxBitrate != 384000 { // level 1.2 allows less than the bandwidth lines
		t.Errorf("bitrate limit %d", main.MaxBitrate)
	}
	if main.Offered[0].Fmtp != "profile-level-id=42e00c;packetization-mode=1" {
		t.Errorf("parameters answered: %q", main.Offered[0].Fmtp)
	}
	if slides.Label != "screen" || slides.Direction != RecvOnly || slides.Send.Name != "" {
		t.Errorf("slides are %+v", slides)
	}
	if got[3].Active {
		t.Error("a third video was taken")
	}
	if got[0].Offered[1].Name != "telephone-event" || got[0].Offered[1].Fmtp != "0-15" {
		t.Errorf("audio offers %+v", got[0].Offered)
	}
}

func TestAddressesAndDirections(t *testing.T) {
	for _, test := range []struct {
		name      string
		lines     []string
		remote    string
		rtcp      string
		direction Direction
	}{
		{"plain", []string{"m=audio 5000 RTP/AVP 0"}, "192.0.2.7:5000", "192.0.2.7:5001", SendRecv},
		{"RTCP elsewhere", []string{"m=audio 5000 RTP/AVP 0", "a=rtcp:6001 IN IP4 192.0.2.8"}, "192.0.2.7:5000", "192.0.2.8:6001", SendRecv},
		{"RTCP port only", []string{"m=audio 5000 RTP/AVP 0", "a=rtcp:6001"}, "192.0.2.7:5000", "192.0.2.7:6001", SendRecv},
		{"multiplexed", []string{"m=audio 5000 RTP/AVP 0", "a=rtcp-mux"}, "192.0.2.7:5000", "192.0.2.7:5000", SendRecv},
		{"its own address, IPv6", []string{"m=audio 5000 RTP/AVP 0", "c=IN IP6 2001:db8::7"}, "[2001:db8::7]:5000", "[2001:db8::7]:5001", SendRecv},
		{"hold", []string{"m=audio 5000 RTP/AVP 0", "a=sendonly"}, "192.0.2.7:5000", "192.0.2.7:5001", RecvOnly},
		{"hold the old way", []string{"m=audio 5000 RTP/AVP 0", "c=IN IP4 0.0.0.0"}, "invalid AddrPort", "invalid AddrPort", RecvOnly},
		{"inactive", []string{"m=audio 5000 RTP/AVP 0", "a=inactive"}, "192.0.2.7:5000", "192.0.2.7:5001", Inactive},
		{"direction of the session", []string{"a=recvonly", "m=audio 5000 RTP/AVP 0"}, "192.0.2.7:5000", "192.0.2.7:5001", SendOnly},
		{"a name instead of an address", []string{"m=audio 5000 RTP/AVP 0", "c=IN IP4 phone.example.org"}, "192.0.2.7:5000", "192.0.2.7:5001", SendRecv},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := Answer(parse(t, test.lines...), policy)
			if err != nil {
				t.Fatal(err)
			}
			a := got[0]
			if a.Remote.String() != test.remote || a.RemoteRTCP.String() != test.rtcp || a.Direction != test.direction {
				t.Errorf("RTP to %s, RTCP to %s, %s", a.Remote, a.RemoteRTCP, a.Direction)
			}
		})
	}
}

func TestOfferAndAccept(t *testing.T) {
	offered := Propose(policy, true)
	text := Write(Session{Origin: Origin{ID: 1, Version: 1, Addr: netip.MustParseAddr("192.0.2.1")}}, offered, []Local{{Port: 4000, RTCPPort: 4001}, {Port: 4002, RTCPPort: 4003}}, policy)
	theirs, err := Parse(text)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	peer := Policy{Audio: []string{"PCMA"}, Video: []string{"VP8"}, SRTP: SRTPOptional}
	answer, err := Answer(theirs, peer)
	if err != nil {
		t.Fatal(err)
	}
	back, err := Parse(Write(Session{Origin: Origin{ID: 2, Version: 1, Addr: netip.MustParseAddr("192.0.2.2")}}, answer, []Local{{Port: 5000, RTCPPort: 5001}, {Port: 5002, RTCPPort: 5003}}, peer))
	if err != nil {
		t.Fatal(err)
	}
	agreed, err := Accept(offered, back, policy)
	if err != nil {
		t.Fatal(err)
	}
	if agreed[0].Send.Name != "PCMA" || agreed[1].Send.Name != "VP8" || agreed[0].Direction != SendRecv {
		t.Errorf("agreed on %s and %s, %s", agreed[0].Send.Name, agreed[1].Send.Name, agreed[0].Direction)
	}
	if !agreed[0].RemoteKey.Same(answer[0].Crypto[0]) || !answer[0].RemoteKey.Same(agreed[0].Crypto[0]) {
		t.Error("the two sides do not have each other's keys")
	}
	if _, err := Accept(offered, parse(t, "m=audio 0 RTP/AVP 0"), policy); !errors.Is(err, ErrNoCommonCodec) {
		t.Errorf("refused offer: %v", err)
	}
	if _, err := Accept(offered[:1], back, policy); !errors.Is(err, ErrMismatch) {
		t.Errorf("answer with too many media: %v", err)
	}
}

// What is offered where the signalling is encrypted: keys, but no profile that telephones without SRTP refuse.
func TestOfferOverTLS(t *testing.T) {
	offered := Propose(policy, true)
	got := string(Write(Session{Origin: Origin{ID: 7, Version: 1, Addr: netip.MustParseAddr("2001:db8::1")}}, offered, []Local{{Port: 4000, RTCPPort: 4001}, {Port: 4002, RTCPPort: 4003}}, policy))
	for _, m := range offered {
		for i, c := range m.Crypto {
			got = strings.Replace(got, c.Value(), fmt.Sprintf("%d %s inline:…", i+1, c.Suite), 1)
		}
	}
	want := `v=0
o=- 7 1 IN IP6 2001:db8::1
s=-
c=IN IP6 2001:db8::1
t=0 0
m=audio 4000 RTP/AVP 96 9 8 0 101
a=rtpmap:96 opus/48000/2
a=fmtp:96 useinbandfec=1
a=rtpmap:9 G722/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=ptime:20
a=rtcp:4001 IN IP6 2001:db8::1
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:…
a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:…
a=crypto:3 AEAD_AES_128_GCM inline:…
a=sendrecv
m=video 4002 RTP/AVP 102 103 104
a=rtpmap:102 H264/90000
a=fmtp:102 profile-level-id=42e01f;packetization-mode=1
a=rtpmap:103 H264/90000
a=fmtp:103 profile-level-id=42e01f
a=rtpmap:104 VP8/90000
a=rtcp:4003 IN IP6 2001:db8::1
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:…
a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:…
a=crypto:3 AEAD_AES_128_GCM inline:…
a=rtcp-fb:* nack
a=rtcp-fb:* nack pli
a=rtcp-fb:* ccm fir
a=rtcp-fb:* goog-remb
a=sendrecv
`
	if want = strings.ReplaceAll(want, "\n", "\r\n"); got != want {
		t.Errorf("offered\n%s\nwant\n%s", got, want)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		"", "o=- 1 1 IN IP4 h\r\n", "v=1\r\n", "v=0\r\nnonsense\r\n", "v=0\r\nm=audio\r\n", "v=0\r\nm=audio x RTP/AVP 0\r\n",
		"v=0\r\nm=audio 70000 RTP/AVP 0\r\n", "v=0\r\nc=IN IP9 x\r\n", "v=0\r\nc=IN IP4 224.0.0.1\r\n", "v=0\r\no=short\r\n",
		"v=0\r\n" + strings.Repeat("m=audio 9 RTP/AVP 0\r\n", 40), "v=0\r\n" + strings.Repeat("a=x\r\n", 3000),
		"v=0\r\na=" + strings.Repeat("x", 40000),
	} {
		if _, err := Parse([]byte(text)); err == nil {
			t.Errorf("accepted %.60q", text)
		}
	}
}

// A line that cannot be read may be one with a key; errors go to logs and to peers.
func TestErrorsDoNotShowKeys(t *testing.T) {
	for _, line := range []string{"a crypto:1 AES_CM_128_HMAC_SHA1_80 " + key80, "a=crypto:1 " + key80, key80} {
		_, err := Parse([]byte("v=0\r\nm=audio 9 RTP/SAVP 0\r\n" + line + "\r\n"))
		if err != nil && strings.Contains(err.Error(), "AAEC") {
			t.Errorf("%v", err)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte("v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 5000 RTP/SAVP 0 96 101\r\n" + opus +
		"\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 " + key80 +
		"\r\na=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\nm=video 6000 RTP/AVPF 97\r\nb=AS:500\r\na=rtpmap:97 H264/90000\r\n" +
		"a=fmtp:97 profile-level-id=42e01f;packetization-mode=1\r\na=rtcp-fb:* nack pli\r\na=rtcp:7000 IN IP4 192.0.2.8\r\n"))
	f.Add([]byte("v=0\nm=audio 0 RTP/AVP 0\nc=IN IP4 0.0.0.0\na=sendonly"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Parse(b)
		if err != nil {
			return
		}
		off, required := policy, policy
		off.SRTP, required.SRTP = SRTPOff, SRTPRequired
		for _, p := range []Policy{policy, off, required, daemons} {
			if got, err := Answer(s, p); err == nil {
				check(t, s, got, p)
			}
			if got, err := Accept(Propose(p, true), s, p); err == nil {
				for _, m := range got {
					switch {
					case !m.Active:
					case len(m.Offered) == 0:
						t.Fatalf("accepted without codec: %+v", m)
					case p.SRTP == SRTPRequired && !m.Secure():
						t.Fatalf("accepted without encryption: %+v", m)
					}
				}
			}
		}
	})
}

// check says what must be true of every answer.
func check(t *testing.T, offer *Session, got []Medium, p Policy) {
	local := make([]Local, len(got))
	text := Write(Session{Origin: Origin{ID: 1, Version: 1, Addr: netip.MustParseAddr("192.0.2.1")}}, got, local, p)
	if len(got) != len(offer.Media) {
		t.Fatalf("%d media answered to %d", len(got), len(offer.Media))
	}
	for i, m := range got {
		switch {
		case !m.Active:
		case len(m.Offered) == 0:
			t.Fatalf("medium %d has no codec", i)
		case p.SRTP == SRTPRequired && !m.Secure():
			t.Fatalf("medium %d is not encrypted", i)
		case m.Send.Name != "" && !m.Remote.IsValid() && !p.ICE:
			t.Fatalf("medium %d is sent nowhere", i)
		case m.Secure() != (len(m.Crypto) == 1):
			t.Fatalf("medium %d has keys for one direction", i)
		case m.Kind != leg.Audio && m.Kind != leg.Video:
			t.Fatalf("medium %d is of kind %s", i, m.Kind)
		}
	}
	back, err := Parse(text)
	if err != nil || len(back.Media) != len(got) {
		t.Fatalf("our answer is read as %+v, %v:\n%s", back, err, text)
	}
	for i, m := range back.Media {
		if got[i].Active && back.Direction(m) != got[i].Direction || m.Kind != got[i].Section {
			t.Fatalf("medium %d is read as %s, %s:\n%s", i, m.Kind, back.Direction(m), text)
		}
	}
}

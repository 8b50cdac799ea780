package sdp

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rendezvous/mixer/leg"
	"rendezvous/signalling/sdes"
)

// daemons is a policy for peers of another dialect than telephones', as Jami's daemons are.
var daemons = Policy{
	Audio: []string{"opus", "G722", "PCMA", "PCMU"}, Video: []string{"H264", "VP8", "H265"}, SRTP: SRTPRequired,
	Dialect: Dialect{
		Suites: []sdes.Suite{sdes.AES128CM80},
		Formats: map[string][]leg.Codec{
			"opus": {{Name: "opus", PayloadType: 104, ClockRate: 48000, Channels: 2}},
			"H264": {{Name: "H264", PayloadType: 96, ClockRate: 90000, Fmtp: "profile-level-id=428029"}},
			"VP8":  {{Name: "VP8", PayloadType: 97, ClockRate: 90000}},
		},
		ICE: true, NoFeedback: true, AnyH264: true, NoHints: true, DirectionFirst: true, RefusedInactive: true,
	},
}

const crypto80 = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 " + key80

// Suites that a dialect does not have are passed over; the answer has the tag and the suite of the line that was taken.
func TestSuitesOfADialect(t *testing.T) {
	for _, test := range []struct {
		name  string
		lines []string
		tag   int // 0: refused
	}{
		{"its own", []string{"a=crypto:7 AES_CM_128_HMAC_SHA1_80 " + key80}, 7},
		{"its own after others", []string{"a=crypto:1 AES_CM_128_HMAC_SHA1_32 " + key80,
			"a=crypto:2 AEAD_AES_128_GCM inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw==", "a=crypto:3 AES_CM_128_HMAC_SHA1_80 " + key80}, 3},
		{"none", nil, 0},
		{"a shorter tag of authentication", []string{"a=crypto:1 AES_CM_128_HMAC_SHA1_32 " + key80}, 0},
		{"an identifier of the key", []string{crypto80 + "|2^20|1:4"}, 0},
		{"reports in the clear", []string{crypto80 + " UNENCRYPTED_SRTCP"}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			offer := parse(t, append([]string{"m=audio 9 RTP/SAVP 0"}, test.lines...)...)
			got, err := Answer(offer, daemons)
			if test.tag == 0 {
				require.ErrorIs(t, err, ErrInsecure)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.tag, got[0].RemoteKey.Tag)
			require.Len(t, got[0].Crypto, 1)
			require.Equal(t, test.tag, got[0].Crypto[0].Tag)
			require.Equal(t, sdes.AES128CM80, got[0].Crypto[0].Suite)
			require.False(t, got[0].Crypto[0].Same(got[0].RemoteKey))
		})
	}
	for _, c := range Propose(daemons, false)[0].Crypto {
		require.Equal(t, sdes.AES128CM80, c.Suite)
	}
}

// The answer's profile is the offer's (RFC 3264 §6), also with feedback that is not taken.
func TestProfileIsRepeated(t *testing.T) {
	for _, proto := range []string{"RTP/SAVP", "RTP/SAVPF", "RTP/AVP"} {
		for _, p := range []Policy{policy, daemons} {
			got, err := Answer(parse(t, "m=audio 9 "+proto+" 0", crypto80), p)
			require.NoError(t, err)
			require.Equal(t, proto, got[0].Proto)
			require.True(t, got[0].Secure())
		}
	}
}

// A packetization mode that is not named says that no fragments are taken, unless the peers are known not to mean that.
func TestH264WithoutPacketizationMode(t *testing.T) {
	lines := []string{"m=video 9 RTP/SAVP 96 97", crypto80, "a=rtpmap:96 H264/90000", "a=fmtp:96 profile-level-id=428029", "a=rtpmap:97 VP8/90000"}
	got, err := Answer(parse(t, lines...), policy)
	require.NoError(t, err)
	require.Equal(t, "VP8", got[0].Send.Name)
	got, err = Answer(parse(t, lines...), daemons)
	require.NoError(t, err)
	require.Equal(t, "H264", got[0].Send.Name)
	require.Equal(t, "profile-level-id=428029", got[0].Offered[0].Fmtp)

	offered := Propose(daemons, true)
	answer := parse(t, "m=audio 0 RTP/SAVP 0", "m=video 9 RTP/SAVP 96", crypto80, "a=rtpmap:96 H264/90000", "a=fmtp:96 packetization-mode=1")
	agreed, err := Accept(offered, answer, daemons)
	require.NoError(t, err)
	require.Equal(t, "H264", agreed[1].Send.Name)
}

// H.265 is taken only where that is wished for, and there is nothing else; and then only received.
func TestH265(t *testing.T) {
	only := []string{"m=video 9 RTP/SAVP 97", crypto80, "a=rtpmap:97 h265/90000"}
	_, err := Answer(parse(t, only...), policy)
	require.ErrorIs(t, err, ErrNoCommonCodec)
	got, err := Answer(parse(t, only...), daemons)
	require.NoError(t, err)
	require.Equal(t, "H265", got[0].Receive[0].Name)
	require.Equal(t, RecvOnly, got[0].Direction)
	require.Empty(t, got[0].Send.Name)
	got, err = Answer(parse(t, "m=video 9 RTP/SAVP 97 98", crypto80, "a=rtpmap:97 H265/90000", "a=rtpmap:98 VP8/90000"), daemons)
	require.NoError(t, err)
	require.Equal(t, "VP8", got[0].Send.Name)
	require.Equal(t, SendRecv, got[0].Direction)
}

// Where ICE finds the way, addresses mean nothing: neither hold, nor a common port for RTP and RTCP.
func TestICEFindsTheWay(t *testing.T) {
	lines := []string{"m=audio 9 RTP/SAVP 0", "c=IN IP4 0.0.0.0", crypto80, "a=rtcp-mux"}
	got, err := Answer(parse(t, lines...), daemons)
	require.NoError(t, err)
	require.Equal(t, SendRecv, got[0].Direction)
	require.False(t, got[0].Mux || got[0].Remote.IsValid())
	got, err = Answer(parse(t, lines...), policy)
	require.NoError(t, err)
	require.Equal(t, RecvOnly, got[0].Direction)
}

func TestNoFeedback(t *testing.T) {
	offer := parse(t, "m=audio 9 RTP/SAVPF 0", crypto80, "a=extmap:1 "+extLevel,
		"m=video 9 RTP/SAVPF 97", crypto80, "a=rtpmap:97 VP8/90000", "a=rtcp-fb:* nack", "a=rtcp-fb:* nack pli", "a=rtcp-fb:* ccm fir", "a=rtcp-fb:* goog-remb")
	for p, taken := range map[*Policy]bool{&policy: true, &daemons: false} {
		got, err := Answer(offer, *p)
		require.NoError(t, err)
		v := got[1]
		require.Equal(t, taken, got[0].LevelExt == 1)
		require.Equal(t, []bool{taken, taken, taken, taken}, []bool{v.NACK, v.PLI, v.FIR, v.REMB})
		require.Equal(t, taken, Propose(*p, true)[1].PLI)
	}
}

// Formats whose clock or channels do not fit their names are none, whoever offers them; twice the same number is once.
func TestImplausibleFormats(t *testing.T) {
	for _, lines := range [][]string{
		{"m=audio 9 RTP/SAVP 96", "a=rtpmap:96 opus/8000"},
		{"m=audio 9 RTP/SAVP 96", "a=rtpmap:96 PCMU/16000"},
		{"m=audio 9 RTP/SAVP 96", "a=rtpmap:96 H264/90000"},
		{"m=video 9 RTP/SAVP 96", "a=rtpmap:96 VP8/8000"},
		{"m=video 9 RTP/SAVP 96", "a=rtpmap:96 H265/1"},
		{"m=audio 9 RTP/SAVP 200", "a=rtpmap:200 PCMU/8000"},
		{"m=audio 9 RTP/SAVP 0", "a=rtpmap:0 PCMU/8000/-1", "a=rtpmap:0 PCMU/8000/2"},
	} {
		for _, p := range []Policy{policy, daemons} {
			_, err := Answer(parse(t, append(lines, crypto80)...), p)
			require.ErrorIs(t, err, ErrNoCommonCodec, "%q", lines)
		}
	}
	got, err := Answer(parse(t, "m=audio 9 RTP/SAVP 96 96 101 101", crypto80, "a=rtpmap:96 OPUS/48000/2", "a=rtpmap:101 TELEPHONE-EVENT/8000"), daemons)
	require.NoError(t, err)
	require.Equal(t, []leg.Codec{
		{Name: "opus", PayloadType: 96, ClockRate: 48000, Channels: 2},
		{Name: "telephone-event", PayloadType: 101, ClockRate: 8000, Channels: 1, Fmtp: "0-15"},
	}, got[0].Receive)
}

// The event of the codec's clock is taken where it is offered (RFC 4733 §2.1), as Linphone does.
func TestEventsOfTheCodecsClock(t *testing.T) {
	for _, p := range []Policy{policy, daemons} {
		got, err := Answer(parse(t, "m=audio 9 RTP/SAVP 96 99 101", crypto80, opus, "a=rtpmap:99 telephone-event/8000", "a=rtpmap:101 telephone-event/48000"), p)
		require.NoError(t, err)
		require.EqualValues(t, 101, got[0].Offered[1].PayloadType)
	}
}

// Descriptions that are not quite in order are read all the same, if it is clear what they mean.
func TestForgivingReader(t *testing.T) {
	for name, text := range map[string]string{
		"bare line feeds":           "v=0\no=- 1 1 IN IP4 192.0.2.7\ns=-\nc=IN IP4 192.0.2.7\nt=0 0\nm=audio 5000 RTP/AVP 0\n",
		"no line end":               "v=0\r\nc=IN IP4 192.0.2.7\r\nm=audio 5000 RTP/AVP 0",
		"an origin of words":        "v=0\r\no=- now later IN IP4 host.example\r\nc=IN IP4 192.0.2.7\r\nm=audio 5000 RTP/AVP 0\r\n",
		"lines out of order":        "v=0\r\nt=0 0\r\nb=X-new:1\r\nc=IN IP4 192.0.2.7\r\ns=-\r\nm=audio 5000 RTP/AVP 0\r\n",
		"unknown lines":             "v=0\r\nx=y\r\nc=IN IP4 192.0.2.7\r\nm=audio 5000 RTP/AVP 0\r\nk=prompt\r\n",
		"an unknown kind of medium": "v=0\r\nc=IN IP4 192.0.2.7\r\nm=image 9 udptl t38\r\nm=audio 5000 RTP/AVP 0\r\n",
		"an unknown bandwidth":      "v=0\r\nc=IN IP4 192.0.2.7\r\nm=audio 5000 RTP/AVP 0\r\nb=new:many\r\n",
		"spaces":                    "v=0\r\nc=IN IP4 192.0.2.7 \r\nm=audio  5000 RTP/AVP  0\r\na=sendrecv \r\n",
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Parse([]byte(text))
			require.NoError(t, err)
			got, err := Answer(s, policy)
			require.NoError(t, err)
			m := got[len(got)-1]
			require.True(t, m.Active)
			require.Equal(t, "PCMU", m.Send.Name)
			require.Equal(t, netip.MustParseAddrPort("192.0.2.7:5000"), m.Remote)
		})
	}
}

// What is written is read as what it was, the parts of a dialect included.
func TestWriteDialect(t *testing.T) {
	offer := parse(t, "m=audio 9 RTP/SAVP 104", "a=rtpmap:104 opus/48000/2", crypto80, "m=image 9 udptl t38",
		"m=video 9 RTP/SAVP 96", "a=rtpmap:96 H264/90000", crypto80, "m=video 9 RTP/SAVP 96", "a=rtpmap:96 H264/90000", crypto80)
	got, err := Answer(offer, daemons)
	require.NoError(t, err)
	head := Session{
		Origin: Origin{User: "host", ID: 7, Version: 2, Addr: netip.MustParseAddr("fe80::1%eth0")}, Name: "a call",
		Attributes: []Attribute{{"ice-ufrag", "u"}, {"ice-lite", ""}},
	}
	candidates := []Attribute{{"candidate", "H1 1 UDP 1 192.0.2.1 9 typ host"}}
	text := string(Write(head, got, []Local{{Port: 9, RTCPPort: 9, Attributes: candidates}, {}, {Port: 9, RTCPPort: 9}, {Port: 9, RTCPPort: 9}}, daemons))
	for _, m := range got {
		for _, c := range m.Crypto {
			text = strings.Replace(text, c.Value(), "KEY", 1)
		}
	}
	require.Equal(t, strings.ReplaceAll(`v=0
o=host 7 2 IN IP6 fe80::1
s=a call
c=IN IP6 fe80::1
t=0 0
a=ice-ufrag:u
a=ice-lite
m=audio 9 RTP/SAVP 104
a=rtpmap:104 opus/48000/2
a=rtcp:9 IN IP6 fe80::1
a=sendrecv
a=crypto:KEY
a=candidate:H1 1 UDP 1 192.0.2.1 9 typ host
m=image 0 udptl t38
a=inactive
m=video 9 RTP/SAVP 96
a=rtpmap:96 H264/90000
a=fmtp:96 profile-level-id=428029
a=rtcp:9 IN IP6 fe80::1
a=sendrecv
a=crypto:KEY
m=video 9 RTP/SAVP 96
a=rtpmap:96 H264/90000
a=fmtp:96 profile-level-id=428029
a=rtcp:9 IN IP6 fe80::1
a=recvonly
a=crypto:KEY
`, "\n", "\r\n"), text)
	back, err := Parse([]byte(text))
	require.NoError(t, err)
	require.Equal(t, "a call", back.Name)
	require.EqualValues(t, 2, back.Origin.Version)
	ufrag, ok := back.Attribute("ice-ufrag")
	require.True(t, ok)
	require.Equal(t, "u", ufrag)
	require.Equal(t, RecvOnly, back.Direction(back.Media[3]))
	require.Equal(t, Inactive, back.Direction(back.Media[1]))
}

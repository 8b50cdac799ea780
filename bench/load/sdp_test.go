package main

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const answerText = "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=fingerprint:sha-256 AB:CD\r\na=group:BUNDLE 0\r\n" +
	"m=audio 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=setup:active\r\na=mid:0\r\na=ice-ufrag:u\r\na=ice-pwd:p\r\n" +
	"a=rtpmap:96 opus/48000/2\r\na=extmap:3/sendrecv urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n" +
	"a=candidate:1 1 udp 2130706431 192.0.2.1 4000 typ host generation 0\r\n" +
	"a=candidate:1 2 udp 2130706430 127.0.0.1 4001 typ host\r\n" +
	"a=candidate:2 1 tcp 2130706431 127.0.0.1 4002 typ host tcptype passive\r\n" +
	"a=candidate:3 1 udp 2130706431 ::1 4003 typ host\r\n" +
	"a=candidate:4 1 UDP 2130706431 127.0.0.1 4004 typ host\r\n" +
	"a=candidate:5 1 udp 1694498815 198.51.100.7 4005 typ srflx raddr 0.0.0.0 rport 0\r\na=sendrecv\r\n"

func TestAnswer(t *testing.T) {
	a, err := parseAnswer(answerText)
	require.NoError(t, err)
	require.Equal(t, answer{
		ufrag: "u", pwd: "p", fingerprint: []byte{0xab, 0xcd}, client: true, payload: 96, level: 3,
		candidates: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:4000"), netip.MustParseAddrPort("127.0.0.1:4004")},
	}, a)
	require.Equal(t, "127.0.0.1:4004", a.nearest().String())
	for what, text := range map[string]string{
		"no session description": "",
		"refused":                strings.Replace(answerText, "m=audio 9", "m=audio 0", 1),
		"without a password":     strings.Replace(answerText, "a=ice-pwd", "a=x-pwd", 1),
		"without a fingerprint":  strings.Replace(answerText, "sha-256", "sha-1", 1),
		"without candidates":     strings.ReplaceAll(answerText, "typ host", "typ relay"),
		"no hexadecimal digits":  strings.Replace(answerText, "AB:CD", "AB:CX", 1),
	} {
		_, err := parseAnswer(text)
		require.Error(t, err, what)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(answerText)
	f.Fuzz(func(t *testing.T, text string) {
		if a, err := parseAnswer(text); err == nil && (!a.nearest().IsValid() || a.level > 15 || a.payload > 127) {
			t.Fatalf("%+v", a)
		}
	})
}

package sdp

import (
	"testing"

	"github.com/stretchr/testify/require"

	"rendezvous/mixer/leg"
)

// What a session knows of the formats holds for its life: while a call is held, nothing is sent or received,
// and the reports' clock is the right one all the same.
func TestSessionOfAHeldMedium(t *testing.T) {
	got, err := Answer(parse(t, "m=audio 5000 RTP/AVP 96 101", opus, "a=rtpmap:101 telephone-event/8000", "a=inactive"), policy)
	require.NoError(t, err)
	a := &got[0]
	require.Empty(t, a.Receive)
	cfg, other := a.SessionConfig("us"), a.SessionConfig("us")
	require.NotEqual(t, cfg.SSRC, other.SSRC)
	require.Equal(t, "us", cfg.CNAME)
	require.Equal(t, 48000, cfg.Send.ClockRate)
	require.Equal(t, a.Offered, cfg.Receive)
	require.True(t, a.PayloadTypes()[96] && a.PayloadTypes()[101])

	m := a.Media(nil, cfg.SSRC)
	require.Equal(t, leg.Media{Kind: leg.Audio, Label: "main", SSRC: cfg.SSRC, NoRepair: true}, m)
}

func TestStreamOfAPicture(t *testing.T) {
	got, err := Answer(parse(t, "m=video 5000 RTP/AVPF 96", "a=rtpmap:96 H264/90000", "b=AS:300",
		"a=fmtp:96 packetization-mode=1;profile-level-id=42e01f", "a=rtcp-fb:* nack", "a=rtcp-fb:* ccm fir"), policy)
	require.NoError(t, err)
	a := &got[0]
	cfg := a.SessionConfig("us")
	require.True(t, cfg.NACK && cfg.PLI)
	require.False(t, cfg.REMB)
	m := a.Media(nil, cfg.SSRC)
	require.Equal(t, 300_000, m.MaxSendBitrate)
	require.False(t, m.NoRepair)
	require.Equal(t, a.Send, m.Send)
}

// A peer whose answer names several formats may send any of them (RFC 3264 §7); it is sent the first.
func TestAllAnsweredFormatsAreReceived(t *testing.T) {
	offered := Propose(policy, false)
	answer := parse(t, "m=audio 5000 RTP/AVP 8 0 101", "a=rtpmap:101 telephone-event/8000",
		"m=video 5002 RTP/AVP 103 102", "a=rtpmap:102 H264/90000", "a=fmtp:102 packetization-mode=1", "a=rtpmap:103 H264/90000")
	agreed, err := Accept(offered, answer, policy)
	require.NoError(t, err)
	sound, picture := &agreed[0], &agreed[1]
	names := func(list []leg.Codec) (pts []uint8) {
		for _, c := range list {
			pts = append(pts, c.PayloadType)
		}
		return pts
	}
	require.Equal(t, "PCMA", sound.Send.Name)
	require.Equal(t, []uint8{8, 101}, names(sound.Offered), "what the next offer says")
	require.Equal(t, []uint8{8, 101, 0}, names(sound.Receive))
	require.Equal(t, []uint8{8, 101, 0}, names(sound.SessionConfig("").Receive))
	require.True(t, sound.PayloadTypes()[0] && !sound.PayloadTypes()[9])
	require.Equal(t, []uint8{103, 102}, names(picture.Receive))

	answer = parse(t, "m=audio 5000 RTP/AVP 8 0", "a=sendonly")
	agreed, err = Accept(offered, answer, policy)
	require.NoError(t, err)
	require.Equal(t, RecvOnly, agreed[0].Direction)
	require.Empty(t, agreed[0].Send.Name)
	answer = parse(t, "m=audio 5000 RTP/AVP 8 0", "a=recvonly")
	agreed, err = Accept(offered, answer, policy)
	require.NoError(t, err)
	require.Empty(t, agreed[0].Receive)
}

// Mode 0 is meant where none is named (RFC 6184 §8.1), so an answer may name it, as baresip writes it.
func TestPacketizationModeZero(t *testing.T) {
	for _, fmtp := range []string{"profile-level-id=42e01f", "packetization-mode=0;profile-level-id=42e01f"} {
		agreed, err := Accept(Propose(policy, false), parse(t, "m=audio 0 RTP/AVP 0", "m=video 5002 RTP/AVP 103", "a=rtpmap:103 H264/90000", "a=fmtp:103 "+fmtp), policy)
		require.NoError(t, err)
		require.EqualValues(t, 103, agreed[1].Offered[0].PayloadType)
	}
}

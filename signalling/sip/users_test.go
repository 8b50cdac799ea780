package sip

import (
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
	"github.com/stretchr/testify/require"
)

func TestChallenges(t *testing.T) {
	u := newUsers("example.test", map[string]string{"alice": "a-long-password"})
	now := time.Unix(1_800_000_000, 0)
	invite := func(authorization string) *sip.Request {
		lines := []string{
			"INVITE sip:demo@example.test SIP/2.0", "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1", "From: <sip:alice@example.test>;tag=1",
			"To: <sip:demo@example.test>", "Call-ID: 1", "CSeq: 1 INVITE", "Contact: <sip:alice@192.0.2.1>",
		}
		if authorization != "" {
			lines = append(lines, "Authorization: "+authorization)
		}
		msg, err := sip.ParseMessage([]byte(strings.Join(append(lines, "Content-Length: 0", "", ""), "\r\n")))
		require.NoError(t, err)
		return msg.(*sip.Request)
	}
	challenge := func(f *fault) *digest.Challenge {
		require.NotNil(t, f)
		require.Equal(t, 401, f.code)
		c, err := digest.ParseChallenge(f.headers[0].Value())
		require.NoError(t, err)
		return c
	}
	answer := func(c *digest.Challenge, uri, password string) string {
		a, err := digest.Digest(c, digest.Options{Method: "INVITE", URI: uri, Count: 1, Username: "alice", Password: password})
		require.NoError(t, err)
		return a.String()
	}
	const here, elsewhere = "sip:demo@example.test", "sip:secret@example.test"

	_, f := u.identify(invite(""), true, now)
	c := challenge(f)
	require.False(t, c.Stale)
	right := answer(c, here, "a-long-password")
	for _, wrong := range []string{answer(c, here, "another"), answer(c, elsewhere, "a-long-password")} {
		_, f = u.identify(invite(wrong), true, now)
		require.NotNil(t, f)
		require.Equal(t, 403, f.code)
	}
	name, f := u.identify(invite(right), true, now)
	require.Nil(t, f)
	require.Equal(t, "alice", name)

	_, f = u.identify(invite(right), true, now) // heard and repeated by somebody else
	require.True(t, challenge(f).Stale)
	_, f = u.identify(invite(answer(c, here, "a-long-password")), true, now.Add(nonceLife))
	require.True(t, challenge(f).Stale, "too late")
	forged := *c
	forged.Nonce = newUsers("example.test", nil).nonce(now)
	_, f = u.identify(invite(answer(&forged, here, "a-long-password")), true, now)
	require.True(t, challenge(f).Stale, "no nonce of ours")
	_, f = u.identify(invite("Digest rubbish,,="), true, now)
	require.False(t, challenge(f).Stale)

	name, f = u.identify(invite(""), false, now)
	require.Nil(t, f, "the address is of another domain")
	require.Empty(t, name)
}

func TestHideNumber(t *testing.T) {
	for name, want := range map[string]string{
		"+4930123456": "+49…456", "030 / 12 34 56 78": "030…678", "(0049) 30-123456": "004…456", "Ann": "Ann", "101": "101", "123456": "123456",
		"Room 12345678": "Room 12345678", "": "",
	} {
		if got := hideNumber(name); got != want {
			t.Errorf("%q is shown as %q, want %q", name, got, want)
		}
	}
}

package sip

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
	"github.com/stretchr/testify/require"

	"rendezvous/conference"
	"rendezvous/internal/lab/phone"
	"rendezvous/moderation"
)

// A telephone with the password is who it says and has that person's role; one without is
// refused; and a name that nobody owns is a guest's.
func TestUsersProveWhoTheyAre(t *testing.T) {
	t.Parallel()
	b := open(t, func(c *Config) {
		c.Domains, c.External = []string{"example.test"}, "127.0.0.1"
		c.Users = map[string]string{"Alice": "a-long-password"}
	})
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	alice := newPhone(t, phone.Config{User: "alice", Password: "a-long-password"})
	guest := newPhone(t, phone.Config{User: "carol"})
	for _, p := range []*phone.Phone{alice, guest} {
		require.NoError(t, p.Dial(ctx, b.uri("demo", "udp")))
	}
	eventually(t, "both in the room", func() bool { return len(b.participants(t, "demo")) == 2 })
	for _, p := range b.room(t, "demo").Info().Participants {
		if p.Name == "alice" {
			require.Equal(t, "sip:alice@example.test", p.Identity)
			require.Equal(t, moderation.Moderator, p.Role)
		} else {
			require.Equal(t, moderation.Speaker, p.Role)
		}
	}
	for _, p := range []phone.Config{{User: "alice", Password: "a-wrong-password"}, {User: "ALICE"}} {
		short, done := context.WithTimeout(ctx, 5*time.Second)
		require.Error(t, newPhone(t, p).Dial(short, b.uri("demo", "udp")))
		done()
	}
	require.Len(t, b.participants(t, "demo"), 2)
	require.NotZero(t, b.count(t, "rendezvous_sip_rejected_total", "credentials"))

	// Banned for good, he does not come in by another spelling of his name.
	require.NoError(t, b.room(t, "demo").Order(conference.Operator{Name: "test", Door: "api", Role: moderation.Host},
		moderation.Order{Action: moderation.Ban, Target: "sip:alice@example.test", On: true, Text: "forever"}))
	again := newPhone(t, phone.Config{User: "Alice", Password: "a-long-password"})
	short, done := context.WithTimeout(ctx, 5*time.Second)
	defer done()
	require.Error(t, again.Dial(short, b.uri("demo", "udp")))
}

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

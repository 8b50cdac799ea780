package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rendezvous/conference"
	"rendezvous/internal/eventually"
	"rendezvous/internal/lab/phone"
	"rendezvous/moderation"
	"rendezvous/signalling/sip"
	"rendezvous/signalling/sip/siptest"
)

// A telephone with the password is who it says and has that person's role; one without is
// refused; and a name that nobody owns is a guest's.
func TestUsersProveWhoTheyAre(t *testing.T) {
	t.Parallel()
	b := siptest.Open(t, func(c *sip.Config) {
		c.Domains, c.External = []string{"example.test"}, "127.0.0.1"
		c.Users = map[string]string{"Alice": "a-long-password"}
	})
	ctx, cancel := context.WithTimeout(t.Context(), siptest.Deadline)
	defer cancel()
	alice := newPhone(t, phone.Config{User: "alice", Password: "a-long-password"})
	guest := newPhone(t, phone.Config{User: "carol"})
	for _, p := range []*phone.Phone{alice, guest} {
		require.NoError(t, p.Dial(ctx, uri(b, "demo", "udp")))
	}
	eventually.True(t, "both in the room", func() bool { return len(b.Participants(t, "demo")) == 2 })
	for _, p := range b.Room(t, "demo").Info().Participants {
		if p.Name == "alice" {
			require.Equal(t, "sip:alice@example.test", p.Identity)
			require.Equal(t, moderation.Moderator, p.Role)
		} else {
			require.Equal(t, moderation.Speaker, p.Role)
		}
	}
	for _, p := range []phone.Config{{User: "alice", Password: "a-wrong-password"}, {User: "ALICE"}} {
		short, done := context.WithTimeout(ctx, 5*time.Second)
		require.Error(t, newPhone(t, p).Dial(short, uri(b, "demo", "udp")))
		done()
	}
	require.Len(t, b.Participants(t, "demo"), 2)
	require.NotZero(t, b.Count(t, "rendezvous_sip_rejected_total", "credentials"))

	// Banned for good, they do not come in by another spelling of their name.
	require.NoError(t, b.Room(t, "demo").Order(conference.Operator{Name: "test", Door: "api", Role: moderation.Host},
		moderation.Order{Action: moderation.Ban, Target: "sip:alice@example.test", On: true, Text: "forever"}))
	again := newPhone(t, phone.Config{User: "Alice", Password: "a-long-password"})
	short, done := context.WithTimeout(ctx, 5*time.Second)
	defer done()
	require.Error(t, again.Dial(short, uri(b, "demo", "udp")))
}

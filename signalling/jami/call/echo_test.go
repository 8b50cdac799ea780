package call

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pion/ice/v2"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// connected are both ends of an ICE session of one component, on this machine.
func connected(t *testing.T) (a, b *iceSession) {
	t.Helper()
	var ends [2]*iceSession
	var remotes [2]remoteICE
	for i := range ends {
		s, err := newICESession(t.Context(), []int{1}, iceConfig{Peer: netip.AddrFrom4([4]byte{127, 0, 0, 1})})
		require.NoError(t, err)
		t.Cleanup(s.close)
		ends[i] = s
		remotes[i] = remoteICE{s.ufrag, s.pwd, map[int][]ice.Candidate{}}
		for _, line := range s.components[0].lines() {
			id, c, ok := parseCandidate(strings.TrimPrefix(line, "a=candidate:"))
			require.True(t, ok, line)
			remotes[i].candidates[id] = append(remotes[i].candidates[id], c)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return ends[0].connect(ctx, true, remotes[1]) })
	group.Go(func() error { return ends[1].connect(ctx, false, remotes[0]) })
	require.NoError(t, group.Wait())
	return ends[0], ends[1]
}

// A peer's ICE agent answers questions while media goes its way, and neither side's agent or media sees anything of it.
func TestEchoes(t *testing.T) {
	a, b := connected(t)
	answers := make(chan time.Duration, 4)
	for _, s := range []*iceSession{a, b} {
		c := s.components[0]
		ask := func() bool {
			asked, err := c.echo.ask(time.Now())
			require.NoError(t, err)
			return asked
		}
		require.False(t, ask(), "nobody is told")
		c.echo.tell(func(trip time.Duration) { answers <- trip })
		require.False(t, ask(), "no media has gone yet")
		_, err := c.conn.Write([]byte{0x80, 96, 0, 1})
		require.NoError(t, err)
		require.True(t, ask())
		select {
		case trip := <-answers:
			require.Positive(t, trip)
			require.Less(t, trip, 10*time.Second)
		case <-time.After(20 * time.Second):
			t.Fatal("no answer")
		}
	}
	got := make([]byte, 100)
	n, err := b.components[0].conn.Read(got)
	require.NoError(t, err)
	require.Equal(t, []byte{0x80, 96, 0, 1}, got[:n])
}

// What is no answer to a question of ours goes on to the agent.
func FuzzEchoAnswered(f *testing.F) {
	f.Add([]byte{1, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
	f.Add([]byte{0x80, 96})
	f.Fuzz(func(t *testing.T, b []byte) {
		e := &echoes{}
		e.tell(func(time.Duration) { t.Fatal("nothing was asked") })
		if e.answered(b, time.Now()) {
			t.Fatal("nothing was asked")
		}
		if len(b) < 20 {
			return
		}
		e = &echoes{}
		copy(e.asked[3].id[:], b[8:20])
		e.asked[3].at = time.Now()
		answer := b[0] == 1 && (b[1] == 1 || b[1] == 0x11)
		require.Equal(t, answer, e.answered(b, time.Now()))
		require.False(t, e.answered(b, time.Now()), "once")
	})
}

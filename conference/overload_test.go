package conference

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"rendezvous/conference/settings"
)

// A host with too much to do takes in moderators and who comes back to their place, and nobody else; moderators are told why.
func TestBusyHost(t *testing.T) {
	var busy atomic.Bool
	h := newHost(t, Config{Admits: func() bool { return !busy.Load() }}, settings.Room{ModeratorPIN: "1234", Roles: settings.Roles{Moderator: []string{"web:lea"}}})
	r := h.Rooms()[0]
	again := Caller{Name: "Ann", Identity: "web:ann", Proven: true, Session: "s"}
	_, first := join(t, r, again)
	require.False(t, r.Busy(Caller{}))

	busy.Store(true)
	_, _, err := admit(r, Caller{Name: "Cid"})
	refused(t, err, RefusedBusy)
	require.True(t, r.Busy(Caller{Identity: "web:cid"}))
	require.False(t, r.Busy(Caller{Identity: "web:lea", Proven: true}))
	_, lea := join(t, r, Caller{Name: "Lea", Identity: "web:lea", Proven: true})
	join(t, r, Caller{Name: "Max", PIN: "1234"})
	join(t, r, again)
	first.waitEnded(t, EndReplaced)

	h.TellOverload("fewer pictures")
	require.Equal(t, "fewer pictures", lea.waitNotice(t, NoticeOverload).Text)
	busy.Store(false)
	join(t, r, Caller{Name: "Cid"})
}

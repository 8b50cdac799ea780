package conference

import (
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"rendezvous/conference/settings"
	"rendezvous/conference/settings/settingstest"
	"rendezvous/moderation"
)

// A room that the configuration does not name for one reload, or one start, has its bans for good when it is named again, also
// if others were saved meanwhile.
func TestBansOutliveAbsence(t *testing.T) {
	store := &memoryStore{}
	main, other := settingstest.Room(settings.Room{ID: "main"}), settingstest.Room(settings.Room{ID: "other"})
	h := newHost(t, Config{Store: store}, main, other)
	operator := Operator{Role: moderation.Host}
	ban := func(h *Host, room, identity string) error {
		r, err := h.Room(room)
		require.NoError(t, err)
		return r.Order(operator, moderation.Order{Action: moderation.Ban, Target: identity, On: true, Text: "forever"})
	}
	banned := func(h *Host, room, identity string) bool {
		r, err := h.Room(room)
		require.NoError(t, err)
		return r.Banned(Caller{Identity: identity, Proven: true})
	}
	require.NoError(t, ban(h, "main", "web:eve"))
	require.NoError(t, h.Configure([]settings.Room{other}))
	require.NoError(t, ban(h, "other", "web:mallory"))
	require.NoError(t, h.Configure([]settings.Room{main, other}))
	require.True(t, banned(h, "main", "web:eve"), "the reload has lifted a ban for good")

	// The same over a start.
	without := newHost(t, Config{Store: store}, other)
	require.NoError(t, ban(without, "other", "web:trudy"))
	again := newHost(t, Config{Store: store}, main, other)
	require.True(t, banned(again, "main", "web:eve"), "a start without the room has lifted a ban for good")
	require.True(t, banned(again, "other", "web:mallory") && banned(again, "other", "web:trudy"))

	// A room that is deleted takes its bans with it.
	made := settingstest.Room(settings.Room{ID: "made"})
	_, err := again.Create(made)
	require.NoError(t, err)
	require.NoError(t, ban(again, "made", "web:eve"))
	require.NoError(t, again.Delete("made"))
	_, err = again.Create(made)
	require.NoError(t, err)
	require.False(t, banned(again, "made", "web:eve"))
}

// Who orders a ban for good on a full disk is told that it is not for good; what is lifted is lifted for good or not at all.
func TestBanOnFullDisk(t *testing.T) {
	store := &memoryStore{}
	r := newHost(t, Config{Store: store}, settings.Room{}).Rooms()[0]
	operator := Operator{Role: moderation.Host}
	ban := moderation.Order{Action: moderation.Ban, Target: "web:eve", On: true, Text: "forever"}
	lift := moderation.Order{Action: moderation.Ban, Target: "web:eve"}
	eve := Caller{Identity: "web:eve", Proven: true}

	store.fail(syscall.ENOSPC)
	err := r.Order(operator, ban)
	require.ErrorContains(t, err, "only until the host is started again")
	require.ErrorContains(t, err, "no space left on device")
	require.True(t, r.Banned(eve), "and yet they are kept out")
	require.Empty(t, store.bans)
	last := r.Audit(1)[0]
	require.True(t, strings.Contains(last.Reason, "could not be saved"), last.Reason)

	store.fail(nil)
	require.NoError(t, r.Order(operator, ban))
	require.Len(t, store.bans, 1)
	store.fail(syscall.ENOSPC)
	require.ErrorContains(t, r.Order(operator, lift), "The ban is as before")
	require.True(t, r.Banned(eve))
	store.fail(nil)
	require.NoError(t, r.Order(operator, lift))
	require.Empty(t, store.bans)
	require.False(t, r.Banned(eve))
}

// A room is made, changed or deleted when that is on the disk, and else is as it was: it can be tried again.
func TestRoomsOnFullDisk(t *testing.T) {
	store := &memoryStore{}
	changed := 0
	h := newHost(t, Config{Store: store, RoomsChanged: func() { changed++ }}, settings.Room{})
	made := settingstest.Room(settings.Room{ID: "made", Title: "Made"})

	store.fail(syscall.ENOSPC)
	_, err := h.Create(made)
	require.ErrorIs(t, err, syscall.ENOSPC)
	_, err = h.Room("made")
	require.Error(t, err, "a room that was refused is there")
	store.fail(nil)
	_, err = h.Create(made)
	require.NoError(t, err, "once there is room on the disk")
	require.Equal(t, 1, changed)

	store.fail(syscall.ENOSPC)
	_, err = h.Change("made", func(r settings.Room) (settings.Room, error) { r.Title = "Renamed"; return r, nil })
	require.ErrorIs(t, err, syscall.ENOSPC)
	r, err := h.Room("made")
	require.NoError(t, err)
	require.Equal(t, "Made", r.Title())
	require.ErrorIs(t, h.Delete("made"), syscall.ENOSPC)
	_, err = h.Room("made")
	require.NoError(t, err, "a room that was not deleted is gone")
	require.Len(t, store.rooms, 1)
	require.Equal(t, 1, changed)

	store.fail(nil)
	require.NoError(t, h.Delete("made"))
	require.Empty(t, store.rooms)
	require.Equal(t, 2, changed)
}

// What a room made at run time is changed to holds at once and after the next start, for who comes; what cannot be is refused as a
// whole.
func TestChange(t *testing.T) {
	store := &memoryStore{}
	h := newHost(t, Config{Store: store}, settings.Room{ID: "declared", Number: "100"})
	for _, room := range []settings.Room{{ID: "200"}, {ID: "made", Number: "300"}} {
		_, err := h.Create(settingstest.Room(room))
		require.NoError(t, err)
	}
	change := func(how func(*settings.Room)) error {
		_, err := h.Change("made", func(r settings.Room) (settings.Room, error) { how(&r); return r, nil })
		return err
	}
	made, err := h.Room("made")
	require.NoError(t, err)
	join(t, made, Caller{}) // the change takes effect with somebody there
	require.NoError(t, change(func(r *settings.Room) { r.PIN, r.Number, r.Roles.Moderator = "271828", "400", []string{"web:ann"} }))
	again := newHost(t, Config{Store: store})
	for _, h := range []*Host{h, again} {
		r, err := h.Room("made")
		require.NoError(t, err)
		_, _, err = admit(r, Caller{})
		refused(t, err, RefusedPIN)
		ann, _ := join(t, r, Caller{Identity: "web:ann", Proven: true})
		require.Equal(t, moderation.Moderator, see(t, r, ann.ID()).Role)
		require.Equal(t, r, h.ByNumber("400"))
		require.Nil(t, h.ByNumber("300"))
		require.Nil(t, h.ByNumber(""))
	}
	for _, number := range []string{"100", "200"} {
		require.ErrorIs(t, change(func(r *settings.Room) { r.Title, r.Number = "Elsewhere", number }), ErrNumberTaken)
		_, err = h.Create(settingstest.Room(settings.Room{ID: "other", Number: number}))
		require.ErrorIs(t, err, ErrNumberTaken)
	}
	require.ErrorContains(t, change(func(r *settings.Room) { r.PIN = "secret" }), "pin: ")
	require.Equal(t, "made", made.Title())
	// The configuration may give a number that a room made at run time has: then it is the configuration's.
	require.NoError(t, h.Configure(settingstest.Rooms(settings.Room{ID: "declared", Number: "400"})))
	require.Equal(t, "declared", h.ByNumber("400").ID())
}

// A room made at run time that the configuration stands in the way of is left out, and not forgotten.
func TestMadeRoomIsKept(t *testing.T) {
	store := &memoryStore{rooms: settingstest.Rooms(settings.Room{ID: "main", Title: "Made"})}
	h := newHost(t, Config{Store: store}, settings.Room{ID: "main"})
	_, err := h.Create(settingstest.Room(settings.Room{ID: "another"}))
	require.NoError(t, err)
	require.Len(t, store.rooms, 2)
}

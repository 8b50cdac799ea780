package jami

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"rendezvous/conference"
	"rendezvous/conference/settings"
	"rendezvous/conference/settings/settingstest"
	"rendezvous/dht/identity/identitytest"
	"rendezvous/internal/eventually"
	"rendezvous/mixer"
	"rendezvous/mixer/leg"
	"rendezvous/signalling/jami/account"
	"rendezvous/signalling/jami/roomlog"
	"rendezvous/swarm/commit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// accounts are those of the rooms, made before.
var accounts = identitytest.Accounts(4)

// openDoor opens the door of a host with rooms, on a data folder.
func openDoor(t *testing.T, dir string, opened func(string), rooms ...string) *Door {
	t.Helper()
	d := newDoor(t, dir, opened, rooms...)
	require.NoError(t, d.Start(t.Context()))
	return d
}

// newDoor is the door of a host with rooms, on a data folder, to be opened.
func newDoor(t *testing.T, dir string, opened func(string), rooms ...string) *Door {
	t.Helper()
	cfg := conference.Config{Log: slog.New(slog.DiscardHandler), Mixer: mixer.Config{}}
	for _, r := range rooms {
		cfg.Rooms = append(cfg.Rooms, settingstest.Room(settings.Room{ID: r}))
	}
	host, err := conference.NewHost(cfg)
	require.NoError(t, err)
	d, err := New(Config{Host: host, Dir: dir, KeyBits: 1024, LegMetrics: leg.NewMetrics(nil), Opened: opened,
		Conversation: func(string) (roomlog.Policy, bool) { return roomlog.Policy{Mode: commit.InvitesOnly}, true }})
	require.NoError(t, err)
	d.patience = time.Minute
	t.Cleanup(func() {
		if err := d.Close(); !errors.Is(err, net.ErrClosed) { // by the test
			require.NoError(t, err)
		}
		host.Close()
	})
	return d
}

// The door opens before new accounts have their keys, which are made in the order of rooms. Until then nobody is told an address, and
// who asks for what an account can do is told why it cannot.
func TestKeysBehindOpenDoor(t *testing.T) {
	rooms := []string{"a", "b", "c"}
	opened := make(chan string, len(rooms))
	d := newDoor(t, t.TempDir(), func(room string) { opened <- room }, rooms...)
	var mu sync.Mutex // guards begun
	var begun []string
	turn := make(chan struct{})
	d.makeKeys = func(ctx context.Context, dir string, _ int) error {
		mu.Lock()
		begun = append(begun, filepath.Base(dir))
		n := len(begun)
		mu.Unlock()
		select {
		case <-turn:
			return accounts()[n-1].Save(filepath.Join(dir, "identity"))
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	require.NoError(t, d.Start(t.Context()))
	stranger := accounts()[3].ID().String()
	for _, id := range rooms {
		require.True(t, d.BeingMade(id))
		require.Empty(t, d.Addresses(id))
		room, err := d.cfg.Host.Room(id)
		require.NoError(t, err)
		require.ErrorIs(t, d.Dial(t.Context(), room, "jami:"+stranger), ErrBeingMade)
		_, err = d.Contacts(id)
		require.ErrorIs(t, err, ErrBeingMade)
		require.ErrorIs(t, d.AddContact(id, stranger), ErrBeingMade)
	}
	require.False(t, d.BeingMade("nobody's"))
	require.Empty(t, d.Degraded(), "nothing is wrong")
	for range rooms {
		turn <- struct{}{}
		room := <-opened
		require.False(t, d.BeingMade(room))
		require.Len(t, d.Addresses(room), 1)
		_, err := d.Contacts(room)
		require.NoError(t, err)
	}
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, rooms, slices.Sorted(slices.Values(begun)))
	if runtime.GOMAXPROCS(0) <= 2 { // there is one worker
		require.Equal(t, rooms, begun)
	}
}

// What is said in a room before its account is open, which other doors do not wait for, is answered when it is on the disk, and gets
// into the conversation; once, and in order.
func TestSaidBeforeTheAccountIsOpen(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, accounts()[0].Save(filepath.Join(dir, "a", "identity")))
	require.NoError(t, openDoor(t, dir, nil, "a").Close()) // it has its conversation
	d := newDoor(t, dir, nil, "a", "new")
	say := func(text string) {
		d.Event(conference.Event{Kind: conference.EventChat, Room: "a", Door: "web", Name: "Ann", Time: time.Now(), Message: &conference.Message{Name: "Ann", Text: text}})
	}
	say("one")
	say("two")
	kept := make(chan struct{})
	go func() {
		d.Kept("a")
		close(kept)
	}()
	d.Kept("new") // nothing is to be waited for
	require.NoError(t, d.Start(t.Context()))
	<-kept
	say("three")
	d.Kept("a")
	eventually.NoError(t, func() error {
		entries, err := d.RoomLog("a").Conversation().Repository().Log(0)
		if err != nil {
			return err
		}
		var said []string
		for _, e := range slices.Backward(entries) {
			if e.Message.Type == commit.TypeText {
				said = append(said, e.Message.Get("body"))
			}
		}
		if want := []string{"Ann: one", "Ann: two", "Ann: three"}; !slices.Equal(said, want) {
			return fmt.Errorf("the conversation has %q", said)
		}
		return nil
	})
}

// Start does not wait longer than its patience for accounts that take long to be opened: they are told of when they are.
func TestStartDoesNotWait(t *testing.T) {
	dir := t.TempDir()
	for i, room := range []string{"a", "b"} {
		require.NoError(t, accounts()[i].Save(filepath.Join(dir, room, "identity")))
	}
	opened := make(chan string, 2)
	d := newDoor(t, dir, func(room string) { opened <- room }, "a", "b")
	d.patience = 0
	policy := d.cfg.Conversation
	slow := make(chan struct{})
	d.cfg.Conversation = func(room string) (roomlog.Policy, bool) { // it is asked when an account is opened
		<-slow
		return policy(room)
	}
	require.NoError(t, d.Start(t.Context()))
	require.Empty(t, d.Addresses("a"))
	require.True(t, d.BeingMade("a") && d.Pending("a"))
	close(slow)
	require.ElementsMatch(t, []string{"a", "b"}, []string{<-opened, <-opened})
	require.Len(t, d.Addresses("a"), 1)
}

// A stop while keys are made waits for none of them and leaves nothing half; the next start makes them.
func TestStopWhileKeysAreMade(t *testing.T) {
	dir := t.TempDir()
	begun := make(chan struct{}, 2)
	d := newDoor(t, dir, nil, "a", "b")
	d.makeKeys = func(ctx context.Context, dir string, bits int) error {
		begun <- struct{}{}
		<-ctx.Done() // as long as that takes
		return account.MakeKeys(ctx, dir, bits)
	}
	require.NoError(t, d.Start(t.Context()))
	<-begun
	require.NoError(t, d.Close())
	require.False(t, d.BeingMade("a"))
	require.Empty(t, d.Degraded(), "a stop is no damage")
	for _, room := range []string{"a", "b"} {
		require.True(t, account.IsNew(filepath.Join(dir, room)))
	}
	opened := make(chan string, 2)
	d = openDoor(t, dir, func(room string) { opened <- room }, "a", "b")
	for range 2 {
		require.Len(t, d.Addresses(<-opened), 1)
	}
}

// A damaged file keeps nobody from the rooms that are whole. What is damaged of a room is left out and told, and taken in when it is
// mended; a room that is new gets its keys after the door has opened.
func TestDamagedRooms(t *testing.T) {
	dir := t.TempDir()
	for i, room := range []string{"whole", "keyless", "contactless", "speechless"} {
		require.NoError(t, accounts()[i].Save(filepath.Join(dir, room, "identity")))
	}
	key := filepath.Join(dir, "keyless", "identity", "device.key")
	require.NoError(t, os.Rename(key, key+".aside"))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "contactless", "contacts.json"), []byte(`{"contacts": [{`), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "speechless", "conversation.json"), nil, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "dht-state"), nil, 0o600)) // as a power cut leaves it

	opened := make(chan string, 8)
	d := openDoor(t, dir, func(room string) { opened <- room }, "whole", "keyless", "contactless", "speechless", "fresh")
	require.Len(t, d.Addresses("whole"), 1)
	require.Len(t, d.Addresses("speechless"), 1, "a room without its conversation can be called")
	require.Empty(t, d.Addresses("keyless"))
	require.Empty(t, d.Addresses("contactless"), "who is banned is not known")
	lacks := d.Degraded()
	require.Len(t, lacks, 3)
	require.Contains(t, lacks["keyless"], "device.key")
	require.Contains(t, lacks["contactless"], "contacts")
	require.Contains(t, lacks["speechless"], "the room has no conversation")
	require.True(t, d.Pending("keyless") && d.Pending("speechless") && !d.Pending("whole") && !d.Pending("nobody's"))

	wait := func(room string) {
		t.Helper()
		select {
		case got := <-opened:
			require.Equal(t, room, got)
		case <-time.After(30 * time.Second):
			t.Fatalf("%s is not opened", room)
		}
		require.Len(t, d.Addresses(room), 1)
	}
	wait("fresh")
	require.NoError(t, os.Rename(key+".aside", key))
	d.Sync(t.Context()) // as the next try of its own would
	require.Equal(t, []string{accounts()[1].ID().String()}, d.Addresses("keyless"), "another account than before")
	require.Len(t, d.Degraded(), 2)
}

// A room that could not be given a conversation, as on a full disk, is given it when it can be, and nobody has to start the host
// anew for it.
func TestConversationComesLater(t *testing.T) {
	dir := t.TempDir()
	folder := func(room string) string { return filepath.Join(dir, room, "conversations") }
	for i, room := range []string{"unmade", "unopened"} {
		require.NoError(t, accounts()[i].Save(filepath.Join(dir, room, "identity")))
	}
	require.NoError(t, os.Symlink("/proc/self", folder("unmade"))) // a folder in which nothing can be made
	require.NoError(t, os.WriteFile(folder("unopened"), nil, 0o600))
	opened := make(chan string, 8)
	d := openDoor(t, dir, func(room string) { opened <- room }, "unmade", "unopened")
	for _, room := range []string{"unmade", "unopened"} {
		require.Contains(t, d.Degraded()[room], "the room has no conversation")
		require.Len(t, d.Addresses(room), 1, "it can be called")
		eventually.True(t, "the log that a try has begun is given up", func() bool { return d.RoomLog(room) == nil })
		require.NoError(t, os.Remove(folder(room)))
	}
	require.NoError(t, os.Mkdir(folder("unmade"), 0o700))
	d.Sync(t.Context()) // as the next try of its own would
	for range 2 {
		select {
		case <-opened:
		case <-time.After(30 * time.Second):
			t.Fatal("a room has no conversation")
		}
	}
	require.Empty(t, d.Degraded())
	for i, room := range []string{"unmade", "unopened"} {
		require.Equal(t, []string{accounts()[i].ID().String()}, d.Addresses(room))
		require.False(t, d.Pending(room))
		state, err := os.ReadFile(filepath.Join(dir, room, "conversation.json"))
		require.NoError(t, err)
		require.Contains(t, string(state), d.RoomLog(room).Conversation().ID())
	}
}

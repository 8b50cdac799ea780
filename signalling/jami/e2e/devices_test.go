package e2e

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"rendezvous/internal/lab/jamilab"
)

// Two devices of one account ring when the room calls it. The one on which somebody answers is
// in the room, the other stops ringing; where both answer at once, one is.
func TestRoomCallsTwoDevices(t *testing.T) {
	t.Parallel() // daemons mostly wait
	jamilab.Run(t, jamilab.Options{Peers: 2, Bare: []int{2}}, func(t *testing.T, l *jamilab.Lab) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		h := openHost(t, ctx, t.TempDir())
		p1, p2 := l.Peer(1), l.Peer(2)
		if err := jamilab.Accounts(ctx, p1); err != nil {
			t.Fatal(err)
		}
		var done bool
		file := filepath.Join(t.TempDir(), "p1.gz")
		if err := p1.Call(ctx, "ConfigurationManager.exportToFile", []any{p1.Account, file, ""}, &done); err != nil || !done {
			t.Fatalf("no backup of p1: %v", err)
		}
		if err := p2.NewAccount(ctx, "p1 elsewhere", map[string]string{"Account.archivePath": file}); err != nil {
			t.Fatal(err)
		}
		if p1.URI != p2.URI || p1.Device == p2.Device {
			t.Fatalf("accounts %s and %s, devices %s and %s", p1.URI, p2.URI, p1.Device, p2.Device)
		}

		marks := []int{p1.Mark(), p2.Mark()}
		dialled := make(chan error, 1)
		go func() { dialled <- h.door.Dial(ctx, h.room, p1.URI) }()
		var calls []string
		for i, p := range l.Peers() {
			s, err := p.Wait(ctx, marks[i], "incomingCallWithMedia", nil)
			if err != nil {
				t.Fatalf("%s does not ring: %v", p.Name(), err)
			}
			calls = append(calls, s.Text(1))
		}
		if err := p2.Call(ctx, "CallManager.accept", []any{p2.Account, calls[1]}); err != nil {
			t.Fatal(err)
		}
		if err := <-dialled; err != nil {
			t.Fatal(err)
		}
		if err := p1.WaitCall(ctx, calls[0], "OVER"); err != nil {
			t.Errorf("the other device rings on: %v", err)
		}
		people := h.room.Info().Participants
		if len(people) != 1 || people[0].Device != p2.Device {
			t.Errorf("in the room: %+v", people)
		}
		h.waitPackets(t, ctx, h.packets(t)+25) // its media is up, which may be long after CURRENT
		hangUp(t, ctx, p2, calls[1])

		for _, p := range l.Peers() {
			if err := p.Set(ctx, map[string]string{"Account.autoAnswer": "true"}); err != nil {
				t.Fatal(err)
			}
		}
		if err := h.door.Dial(ctx, h.room, p1.URI); err != nil {
			t.Fatal(err)
		}
		h.waitPackets(t, ctx, h.packets(t)+100)
		if people := h.room.Info().Participants; len(people) != 1 {
			t.Errorf("in the room: %+v", people)
		}
	})
}

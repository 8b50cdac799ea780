package jami_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"rendezvous/conference"
	"rendezvous/internal/lab/jamilab"
	"rendezvous/mixer"
	"rendezvous/moderation"
	"rendezvous/signalling/jami"
)

// openRoom starts a host with one room and the Jami door, in the lab's "app" namespace.
func openRoom(t *testing.T, ctx context.Context) (*conference.Host, *jami.Door, string) {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
	host, err := conference.NewHost(conference.Config{Log: log, Mixer: mixer.Config{},
		Rooms: []conference.RoomConfig{{ID: "lobby", Title: "The Lobby", DefaultRole: moderation.Speaker, SelfUnmute: true}}})
	if err != nil {
		t.Fatal(err)
	}
	door, err := jami.New(jami.Config{Log: log, Host: host, Dir: t.TempDir(), Bootstrap: []string{jamilab.Bootstrap}, KeyBits: 2048})
	if err != nil {
		t.Fatal(err)
	}
	if err := door.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := door.Close(); err != nil {
			t.Error(err)
		}
		host.Close()
	})
	if err := door.WaitPublished(ctx, "lobby"); err != nil {
		t.Fatal(err)
	}
	return host, door, door.Addresses("lobby")[0]
}

// Two unmodified daemons call the room by its id and are in it together.
func TestDaemonsCallTheRoom(t *testing.T) {
	jamilab.Run(t, jamilab.Options{Peers: 2, Sound: true}, func(t *testing.T, l *jamilab.Lab) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		_, _, id := openRoom(t, ctx)
		for _, p := range l.Peers() {
			if err := p.NewAccount(ctx, p.Name(), nil); err != nil {
				t.Fatal(err)
			}
		}
		for _, p := range l.Peers() {
			began := time.Now()
			call, err := p.PlaceCall(ctx, id, jamilab.Media(nil))
			if err != nil {
				t.Fatal(err)
			}
			if err := p.WaitCall(ctx, call, "CURRENT"); err != nil {
				t.Fatal(err)
			}
			t.Logf("%s CURRENT after %v", p.Name(), time.Since(began))
		}
		for _, p := range l.Peers() {
			_, err := p.Wait(ctx, 0, "onConferenceInfosUpdated", func(s jamilab.Signal) bool {
				return strings.Contains(s.String(), l.Peer(1).URI) && strings.Contains(s.String(), l.Peer(2).URI)
			})
			if err != nil {
				t.Errorf("%s: no conference information that names both: %v", p.Name(), err)
			}
		}
	})
}

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

// The room calls a daemon that answers by itself, and one that declines.
func TestRoomCallsADaemon(t *testing.T) {
	jamilab.Run(t, jamilab.Options{Peers: 2, Sound: true}, func(t *testing.T, l *jamilab.Lab) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		host, door, _ := openRoom(t, ctx)
		for _, p := range l.Peers() {
			if err := p.NewAccount(ctx, p.Name(), nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Peer(1).Set(ctx, map[string]string{"Account.autoAnswer": "true"}); err != nil {
			t.Fatal(err)
		}
		room, err := host.Room("lobby")
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := door.Dial(ctx, room, l.Peer(1).URI); err != nil {
			t.Fatal(err)
		}
		t.Logf("answered after %v", time.Since(began))
		if n := len(room.Info().Participants); n != 1 {
			t.Errorf("%d participants in the room, want the called one", n)
		}
		if _, err := l.Peer(1).Wait(ctx, 0, "onConferenceInfosUpdated", func(s jamilab.Signal) bool {
			return strings.Contains(s.String(), l.Peer(1).URI)
		}); err != nil {
			t.Errorf("the called daemon has no conference information: %v", err)
		}
		mark := l.Peer(2).Mark()
		refused := make(chan error, 1)
		go func() { refused <- door.Dial(ctx, room, "jami:"+l.Peer(2).URI) }()
		s, err := l.Peer(2).Wait(ctx, mark, "incomingCallWithMedia", func(jamilab.Signal) bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Peer(2).Call(ctx, "CallManager.refuse", []any{l.Peer(2).Account, s.Text(1)}); err != nil {
			t.Fatal(err)
		}
		if err := <-refused; err == nil {
			t.Error("a call that was refused is reported as taken")
		} else {
			t.Logf("refused: %v", err)
		}
	})
}

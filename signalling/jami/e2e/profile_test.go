package e2e

import (
	"bytes"
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"rendezvous/conference/settings"
	"rendezvous/conference/settings/settingstest"
	"rendezvous/internal/lab/jamilab"
	"rendezvous/signalling/jami/vcard"
)

// picture is the beginning of a PNG file, and enough for three pieces.
var picture = append([]byte("\x89PNG\r\n\x1a\n"), bytes.Repeat([]byte("picture "), 1000)...)

// payloads are the messages that a daemon got in its call, by content type.
func payloads(p *jamilab.Peer, since int) (out []map[string]string) {
	for _, s := range p.Signals(since, "incomingMessage") {
		if m, ok := s.Args[3].(map[string]string); ok {
			out = append(out, m)
		}
	}
	return out
}

// A daemon is sent the room's name and picture in its first call and not again, until they
// change; and a caller is called what their own card says.
func TestProfilesInCalls(t *testing.T) {
	t.Parallel() // daemons mostly wait
	jamilab.Run(t, jamilab.Options{Peers: 2}, func(t *testing.T, l *jamilab.Lab) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		h := openHost(t, ctx, t.TempDir())
		p := l.Peer(1)
		if err := jamilab.Accounts(ctx, l.Peers()...); err != nil {
			t.Fatal(err)
		}
		// received waits for the room's whole card in a daemon's call.
		received := func(since int) vcard.Card {
			t.Helper()
			var j vcard.Joiner
			wait, done := context.WithTimeout(ctx, 20*time.Second)
			defer done()
			for {
				if _, err := p.Wait(wait, since, "incomingMessage", nil); err != nil {
					t.Fatalf("no card of the room comes: %v", err)
				}
				for _, m := range payloads(p, since) {
					for kind, body := range m {
						if card, ok := j.Add(kind, []byte(body)); ok {
							c, err := vcard.Parse(card)
							if err != nil {
								t.Fatal(err)
							}
							return c
						}
					}
				}
				j = vcard.Joiner{}
				select {
				case <-wait.Done():
					t.Fatalf("of the room's card came %v", payloads(p, since))
				case <-time.After(100 * time.Millisecond):
				}
			}
		}
		mark := p.Mark()
		call, _ := dial(t, ctx, p, h.id, jamilab.Media(nil))
		if c := received(mark); c.Name != "The Lobby" || !bytes.Equal(c.Picture, picture) {
			t.Errorf("the room's card is %q with a picture of %d bytes", c.Name, len(c.Picture))
		}

		// It sends its own, as clients do.
		card := vcard.Card{Name: "Petra Eins", Picture: picture}.Marshal()
		for _, piece := range vcard.Cut(card, 77) {
			kind, err := url.PathUnescape(piece.Type) // clients let their daemon escape it
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Call(ctx, "CallManager.sendTextMessage", []any{p.Account, call, map[string]string{kind: string(piece.Body)}, false}); err != nil {
				t.Fatal(err)
			}
		}
		wait, done := context.WithTimeout(ctx, 20*time.Second)
		defer done()
		for {
			people := h.room.Info().Participants
			if len(people) == 1 && people[0].Name == "Petra Eins" && people[0].Identity == "jami:"+p.URI {
				break
			}
			select {
			case <-wait.Done():
				t.Fatalf("in the room: %+v", people)
			case <-time.After(50 * time.Millisecond):
			}
		}

		// The second call brings no card again: what comes is the answer to its chat.
		hangUp(t, ctx, p, call)
		mark = p.Mark()
		call, _ = dial(t, ctx, p, h.id, jamilab.Media(nil))
		other, _ := dial(t, ctx, l.Peer(2), h.id, jamilab.Media(nil))
		h.waitPackets(t, ctx, h.packets(t)+50)
		time.Sleep(2 * time.Second) // a card would have come within them
		if err := l.Peer(2).Call(ctx, "CallManager.sendTextMessage", []any{l.Peer(2).Account, other, map[string]string{"text/plain": "hello"}, false}); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Wait(wait, mark, "incomingMessage", func(s jamilab.Signal) bool { return strings.Contains(s.String(), "hello") }); err != nil {
			t.Error(err)
		}
		for _, m := range payloads(p, mark) {
			for kind := range m {
				if strings.HasPrefix(kind, vcard.PieceType) {
					t.Errorf("sent again: %s", kind)
				}
			}
		}
		hangUp(t, ctx, p, call)

		// The room has another name after a reload, and says so.
		if err := h.host.Configure(settingstest.Rooms(settings.Room{ID: "lobby", Title: "The Attic", SelfUnmute: true})); err != nil {
			t.Fatal(err)
		}
		h.door.Sync(ctx)
		mark = p.Mark()
		dial(t, ctx, p, h.id, jamilab.Media(nil))
		if c := received(mark); c.Name != "The Attic" {
			t.Errorf("after a reload the room's card is %q", c.Name)
		}
	})
}

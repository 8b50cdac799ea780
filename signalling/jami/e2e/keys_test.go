package e2e

import (
	"context"
	"testing"
	"time"

	"rendezvous/conference"
	"rendezvous/conference/settings"
	"rendezvous/conference/settings/settingstest"
	"rendezvous/internal/lab/jamilab"
	"rendezvous/internal/prompts"
	"rendezvous/internal/sound"
)

// waitRoom waits until the room is as is wanted.
func (h *hosted) waitRoom(t *testing.T, ctx context.Context, what string, right func(people map[string]conference.Participant) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		people := map[string]conference.Participant{}
		for _, p := range h.room.Info().Participants {
			people[p.Name] = p
		}
		if right(people) {
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("waiting for %s; in the room: %+v", what, people)
		}
	}
}

// Daemons are asked for the PIN of a room, by a voice, and give it, one with keys and one in
// writing; and the keys of one who is in the room do what a telephone's do.
func pressKeys(t *testing.T, ctx context.Context, l *jamilab.Lab) {
	words, err := prompts.English()
	if err != nil {
		t.Fatal(err)
	}
	h := openHost(t, ctx, t.TempDir())
	if err := h.host.Configure(settingstest.Rooms(settings.Room{ID: "lobby", Title: "The Lobby", SelfUnmute: true, PIN: "2468"})); err != nil {
		t.Fatal(err)
	}
	p1, p2 := l.Peer(1), l.Peer(2)
	press := func(p *jamilab.Peer, keys string) {
		t.Helper()
		for _, key := range keys {
			if err := p.Call(ctx, "CallManager.playDTMF", []any{string(key)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	said := func(p prompts.Prompt) func(sound.Recording) bool {
		phrase, looked := words.Say(p), 0
		return func(s sound.Recording) bool {
			if len(s.PCM) < len(phrase) || len(s.PCM) < looked+rate/2 {
				return false
			}
			looked = len(s.PCM)
			s.PCM = s.PCM[max(0, looked-len(phrase)-2*rate):]
			// A daemon on a busy machine stutters. A phrase of other words gives 0.17 at most.
			return sound.Said(s.PCM, phrase) > 0.4
		}
	}
	ear1, ear2 := listen(t, ctx, l, p1), listen(t, ctx, l, p2)

	dial(t, ctx, p1, h.id, jamilab.Media(nil))
	call, _ := dial(t, ctx, p2, h.id, jamilab.Media(nil))
	ear1.until(0, "the question for the PIN", said(prompts.EnterPIN))
	ear2.until(0, "the question for the PIN", said(prompts.EnterPIN))
	if n := len(h.room.Info().Participants); n != 0 {
		t.Errorf("%d in the room before the PIN was given", n)
	}
	mark := ear1.mark()
	press(p1, "1357#")
	ear1.until(mark, "that the PIN is wrong", said(prompts.WrongPIN))
	press(p1, "2468#")
	h.waitRoom(t, ctx, "p1", func(people map[string]conference.Participant) bool { return len(people) == 1 && people["p1"].ID != "" })

	if err := p2.Call(ctx, "CallManager.sendTextMessage", []any{p2.Account, call, map[string]string{"text/plain": "2468"}, false}); err != nil {
		t.Fatal(err)
	}
	h.waitRoom(t, ctx, "p2", func(people map[string]conference.Participant) bool { return len(people) == 2 && people["p2"].ID != "" })

	if chat := h.room.History(); len(chat) != 0 {
		t.Errorf("the PIN is in the chat: %v", chat)
	}

	ear2.silence()
	mark, quiet := ear1.mark(), ear2.mark()
	press(p1, "*6")
	h.waitRoom(t, ctx, "p1's mute", func(people map[string]conference.Participant) bool { return people["p1"].SelfMuted })
	ear1.until(mark, "that they are muted", said(prompts.Muted))
	mark = ear1.mark()
	press(p1, "*9")
	h.waitRoom(t, ctx, "p1's hand", func(people map[string]conference.Participant) bool { return people["p1"].Hand != nil })
	ear1.until(mark, "that their hand is up", said(prompts.HandUp))
	if s := ear2.since(quiet); s.Loudness() > silent {
		t.Errorf("p2 hears what is said to p1: %.0f dB", s.Loudness())
	}
}

package call

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"rendezvous/conference"
	"rendezvous/conference/settings"
	"rendezvous/conference/settings/settingstest"
	"rendezvous/mixer/leg"
	"rendezvous/moderation"
	"rendezvous/signalling/jami/vcard"
	"rendezvous/signalling/keypad"
)

// What a device says while its owner is asked for the PIN: texts of digits are keys, what it
// says of itself the room learns later, and the rest is nothing.
func TestBeforeThePIN(t *testing.T) {
	host, err := conference.NewHost(conference.Config{Log: slog.New(slog.DiscardHandler), Rooms: settingstest.Rooms(settings.Room{SelfUnmute: true, PIN: "2468"})})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(host.Close)
	room := host.Rooms()[0]
	s, err := NewServer(Config{Account: strings.Repeat("a", 40), Device: strings.Repeat("d", 64)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	c := &Call{server: s, log: s.log, news: newNews()}
	c.ctx, c.cancel = context.WithCancelCause(t.Context())
	t.Cleanup(func() { c.cancel(errEnded) })
	c.pad, c.leg = keypad.New(keypad.Config{}, leg.Config{})
	t.Cleanup(c.leg.Close)

	send := func(kind, body string) {
		r := request(t, requestHead+"Content-Type: "+kind+"\nContent-Length: 0\n\n")
		r.SetBody([]byte(body))
		c.message(r)
	}
	for _, p := range []Primitive{MuteState, RecordingState, VoiceActivity, KeyFrame} {
		c.control(Control{Primitive: p, Stream: -1, Value: 1}.String())
	}
	send(orderType, `{"layout":2}`)
	send("text/plain", "hello")
	for _, piece := range vcard.Cut(vcard.Card{Name: "Petra Eins"}.Marshal(), 77) {
		send(piece.Type, string(piece.Body))
	}
	send("text/plain", " 2468\n")
	typed := ""
	for len(c.pad.Keys()) > 0 {
		typed += string(<-c.pad.Keys())
	}
	if typed != "2468#" {
		t.Errorf("%q was typed", typed)
	}

	in := leg.New(leg.Config{})
	t.Cleanup(in.Close)
	m, err := room.Join(t.Context(), conference.Caller{Door: "jami", Identity: "jami:b", Proven: true, Name: "p1", PIN: "2468"}, in, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Leave(conference.EndLeft) })
	c.settle(m)
	info := room.Info()
	if p := info.Participants[0]; !p.SelfMuted || !p.Recording || p.Name != "Petra Eins" {
		t.Errorf("in the room: %+v", p)
	}
	if info.Layout != moderation.LayoutAuto || len(room.History()) != 0 {
		t.Errorf("layout %v, chat %v", info.Layout, room.History())
	}
}

// Who is refused for another reason than the PIN is told so by SIP; who lacks the PIN is not refused.
func TestWhoIsAskedForThePIN(t *testing.T) {
	for code, asked := range map[conference.RefusalCode]bool{conference.RefusedPIN: true, conference.RefusedBanned: false, conference.RefusedLocked: false} {
		t.Run(string(code), func(t *testing.T) {
			refusal := &conference.Refusal{Code: code}
			c := &Call{cfg: Config{
				Join: func(context.Context, conference.Caller, *leg.Leg, conference.Listener) (*conference.Member, error) {
					return nil, fmt.Errorf("join: %w", refusal)
				}}}
			if err := c.enter("p1", ""); (err == nil) != asked || (c.refused != nil) != asked {
				t.Errorf("%v, kept %v", err, c.refused)
			}
		})
	}
}

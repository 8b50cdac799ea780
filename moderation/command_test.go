package moderation

import (
	"fmt"
	"strings"
	"testing"
)

// inTheRoom finds the two people that the tests speak of.
func inTheRoom(name string) (string, error) {
	if id, ok := map[string]string{"carl": "p3", "Anna Berg": "p2", "p3": "p3"}[name]; ok {
		return id, nil
	}
	return "", fmt.Errorf("nobody called %s", name)
}

func TestParseCommand(t *testing.T) {
	tests := []struct {
		line string
		want Order
	}{
		{"/mute carl", Order{Action: Mute, Target: "p3", On: true}},
		{`/mute "Anna Berg"`, Order{Action: Mute, Target: "p2", On: true}},
		{"/muteall", Order{Action: MuteAll, On: true}},
		{"/ban carl forever", Order{Action: Ban, Target: "p3", On: true, Text: "forever"}},
		{"/ban carl", Order{Action: Ban, Target: "p3", On: true}},
		{"/remove p3", Order{Action: Remove, Target: "p3", On: true}},
		{"/lobby off", Order{Action: Lobby}},
		{"/lock", Order{Action: Lock, On: true}},
		{"/layout one-big", Order{Action: SetLayout, On: true, Text: "one-big"}},
		{"/rename carl = Carl the Great", Order{Action: Rename, Target: "p3", On: true, Text: "Carl the Great"}},
		{"/role carl = moderator", Order{Action: SetRole, Target: "p3", On: true, Text: "moderator"}},
		{"/announce  Lunch  now ", Order{Action: Announce, On: true, Text: "Lunch  now"}},
		{"/lower", Order{Action: Hand}},
		{"/lower carl", Order{Action: Hand, Target: "p3"}},
		{"/record start", Order{Action: Record, On: true, Text: "start"}},
	}
	for _, tt := range tests {
		got, err := ParseCommand(tt.line, inTheRoom)
		if err != nil || got.Action != tt.want.Action || got.Target != tt.want.Target || got.On != tt.want.On || got.Text != tt.want.Text {
			t.Errorf("%s: %+v, %v; want %+v", tt.line, got, err, tt.want)
		}
		if err := got.Check(); err != nil {
			t.Errorf("%s makes an order that is not well formed: %v", tt.line, err)
		}
	}
	for line, want := range map[string]string{
		"/fly":         "There is no command /fly",
		"/mute":        "Write it as /mute NAME",
		"/mute zoe":    "nobody called zoe",
		"/lobby maybe": "say on or off",
		"/rename carl": "Write it as /rename NAME = NEW NAME",
	} {
		if _, err := ParseCommand(line, inTheRoom); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
	for line, want := range map[string]bool{"/mute x": true, "//mute x": false, "/": false, "hello /mute": false, "/ x": false, "": false} {
		if IsCommand(line) != want {
			t.Errorf("IsCommand(%q) = %v", line, !want)
		}
	}
}

func FuzzParseCommand(f *testing.F) {
	f.Add("/ban carl forever")
	f.Add("/rename a = b = c")
	f.Fuzz(func(t *testing.T, line string) {
		o, err := ParseCommand(line, inTheRoom)
		if err == nil && !o.Action.Known() {
			t.Fatalf("%q makes the unknown order %q", line, o.Action)
		}
	})
}

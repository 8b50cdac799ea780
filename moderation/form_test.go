package moderation

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestParseOrder(t *testing.T) {
	o, err := ParseOrder([]byte(`{"action":"mute","targets":["a","b"],"on":true,"media":"video"}`))
	want := Order{Action: Mute, Targets: []string{"a", "b"}, On: true, Media: "video"}
	if err != nil || !reflect.DeepEqual(o, want) {
		t.Errorf("got %+v, %v", o, err)
	}
	many, _ := json.Marshal(Order{Action: Mute, Targets: make([]string, MaxTargets+1)})
	for name, text := range map[string]string{
		"empty":          ``,
		"no object":      `"mute"`,
		"no action":      `{}`,
		"unknown action": `{"action":"dance"}`,
		"unknown member": `{"action":"lock","force":true}`,
		"wrong type":     `{"action":"lock","on":"true"}`,
		"trailing":       `{"action":"lock"}{"action":"lock"}`,
		"whole meeting":  `{"action":"end","targets":["a"]}`,
		"two targets":    `{"action":"mute","target":"a","targets":["b"]}`,
		"long target":    `{"action":"mute","target":"` + strings.Repeat("a", MaxID+1) + `"}`,
		"many targets":   string(many),
		"long text":      `{"action":"chat","text":"` + strings.Repeat("a", MaxText+1) + `"}`,
		"empty chat":     `{"action":"chat","text":" \n"}`,
		"negative":       `{"action":"limits","n":-1}`,
		"huge":           `{"action":"limits","n":1000000}`,
		"medium":         `{"action":"mute","media":"smell"}`,
		"too big":        `{"action":"chat","text":"a"` + strings.Repeat(" ", MaxOrderBytes) + `}`,
		"no destination": `{"action":"move","target":"a"}`,
		"control":        `{"action":"dial","text":"sip:a\r\nb"}`,
	} {
		if o, err := ParseOrder([]byte(text)); err == nil {
			t.Errorf("%s: accepted as %+v", name, o)
		}
	}
}

func TestParseLimit(t *testing.T) {
	at := func(s string) time.Time { tm, _ := time.Parse(time.RFC3339, s); return tm }
	for text, want := range map[string]Limit{
		"":      {},
		"90m":   {HasDuration: true, Duration: 90 * time.Minute},
		"0":     {HasDuration: true},
		"/":     {HasWindow: true},
		"1h30m": {HasDuration: true, Duration: 90 * time.Minute},
		"2026-05-01T09:00:00Z/2026-05-01T12:00:00Z": {HasWindow: true, From: at("2026-05-01T09:00:00Z"), Until: at("2026-05-01T12:00:00Z")},
		"/2026-05-01T12:00:00+02:00":                {HasWindow: true, Until: at("2026-05-01T12:00:00+02:00")},
	} {
		if got, err := ParseLimit(text); err != nil || got.HasDuration != want.HasDuration || got.Duration != want.Duration ||
			got.HasWindow != want.HasWindow || !got.From.Equal(want.From) || !got.Until.Equal(want.Until) {
			t.Errorf("%q: got %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"soon", "-5m", "1ms", "9000000h", "2026-05-01/2026-05-02", "2026-05-02T00:00:00Z/2026-05-01T00:00:00Z"} {
		if got, err := ParseLimit(text); err == nil {
			t.Errorf("%q: accepted as %+v", text, got)
		}
	}
}

func TestCleanName(t *testing.T) {
	for in, want := range map[string]string{
		"  Ann \t Lee\n":          "Ann Lee",
		"Ann\x00\x1b[31mred":      "Ann [31mred",
		"\u202egnitseT":           "gnitseT",
		"Bob\u200b\u2066x\ufeff":  "Bobx",
		"李雷":                      "李雷",
		"می\u200cخواهم":           "می\u200cخواهم",
		"\xff\xfe":                "",
		strings.Repeat("é", 80):   strings.Repeat("é", 64),
		strings.Repeat("ab ", 40): strings.TrimSpace(strings.Repeat("ab ", 21)) + " a",
	} {
		if got := CleanName(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestRoleText(t *testing.T) {
	text, err := json.Marshal(map[string]Role{"a": Observer, "b": Listener, "c": Speaker, "d": Moderator, "e": Host})
	if want := `{"a":"observer","b":"listener","c":"speaker","d":"moderator","e":"host"}`; err != nil || string(text) != want {
		t.Errorf("got %s, %v", text, err)
	}
	var r Role
	if err := json.Unmarshal([]byte(`"moderator"`), &r); err != nil || r != Moderator {
		t.Errorf("got %v, %v", r, err)
	}
	if err := json.Unmarshal([]byte(`"king"`), &r); err == nil || r != Moderator {
		t.Errorf("an unknown role was read as %v", r)
	}
	if _, err := json.Marshal(Role(9)); err == nil {
		t.Error("a role that does not exist was written")
	}
}

func FuzzParseOrder(f *testing.F) {
	f.Add([]byte(`{"action":"mute","target":"p1","on":true,"media":"audio"}`))
	f.Add([]byte(`{"action":"limits","n":5,"text":"2026-05-01T09:00:00Z/"}`))
	f.Add([]byte(`{"action":"rename","target":"p1","text":"\u202e x"}`))
	f.Add([]byte(`{"action":"order-tiles","targets":["a","b"]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := ParseOrder(b)
		if err != nil {
			return
		}
		if len(o.Text) > MaxText || len(o.Targets) > MaxTargets || !o.Action.Known() {
			t.Fatalf("accepted %+v", o)
		}
		again, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := ParseOrder(again); err != nil || len(back.Targets) != len(o.Targets) || back.Text != o.Text || back.Action != o.Action {
			t.Fatalf("%+v became %+v, %v", o, back, err)
		}
		if name := CleanName(o.Text); CleanName(name) != name || utf8.RuneCountInString(name) > maxName {
			t.Fatalf("name %q is not clean", name)
		}
		// Whoever gives it, deciding does not fail, and nobody in the lobby may.
		for _, p := range []Person{{Role: Host}, {ID: "p1", Role: Speaker}, {ID: "p2", Role: Observer}} {
			Decide(p, o, &Person{ID: "p1", Role: Speaker}, Room{})
			p.Waiting = true
			if Decide(p, o, nil, Room{}) == nil {
				t.Fatalf("allowed from the lobby: %+v", o)
			}
		}
	})
}

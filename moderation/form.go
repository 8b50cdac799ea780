package moderation

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Check tells whether the order is well formed: a known action with the members
// it needs, within the limits. The error is a *Refusal. Whether it may be
// given is for Decide.
func (o Order) Check() error {
	refuse := func(format string, args ...any) error {
		return &Refusal{Order: o, Reason: fmt.Sprintf(format, args...)}
	}
	rule, ok := find(o.Action)
	if !ok {
		return refuse("There is no order %.40q.", o.Action)
	}
	if rule.about == nobody && len(o.Targets) > 0 && o.Action != OrderTiles {
		return refuse("%s is about the whole meeting, not about some.", o.Action)
	}
	if len(o.Target) > MaxID || len(o.Targets) > MaxTargets || slices.ContainsFunc(o.Targets, func(t string) bool { return len(t) > MaxID }) {
		return refuse("The order names too much.")
	}
	if o.Target != "" && len(o.Targets) > 0 {
		return refuse("The order has both a target and a list of targets.")
	}
	if len(o.Text) > MaxText || !utf8.ValidString(o.Text) {
		return refuse("The text is too long or not UTF-8.")
	}
	if o.N < 0 || o.N > MaxPeople {
		return refuse("The number must be between 0 and %d.", MaxPeople)
	}
	if !slices.Contains([]string{"", "audio", "video", "screen"}, o.Media) {
		return refuse("There is no medium %.40q.", o.Media)
	}

	oneOf := func(words ...string) error {
		if slices.Contains(words, o.Text) {
			return nil
		}
		return refuse("%s takes one of: %s.", o.Action, strings.Trim(strings.Join(words, ", "), ", "))
	}
	switch o.Action {
	case Pin:
		if o.Media == "audio" {
			return refuse("Sound cannot be pinned.")
		}
	case Ban:
		return oneOf("", "meeting", "forever")
	case SetLayout:
		return oneOf(Words[Layout]()...)
	case Record:
		return oneOf("start", "pause", "resume", "stop")
	case React:
		return oneOf(Reactions()...)
	case SetRole:
		if _, err := ParseRole(o.Text); err != nil {
			return oneOf(roleNames[:]...)
		}
	case Rename:
		if CleanName(o.Text) == "" {
			return refuse("A name is needed.")
		}
	case Announce, Chat:
		if strings.TrimSpace(o.Text) == "" {
			return refuse("There is nothing to say.")
		}
	case Dial, Move:
		if o.Text == "" || len(o.Text) > MaxID || strings.ContainsFunc(o.Text, unicode.IsControl) {
			return refuse("Where to?")
		}
	case Limits:
		if _, err := ParseLimit(o.Text); err != nil {
			return refuse("%s", err)
		}
	}
	return nil
}

// Limit is the text of a Limits order: how long, or when, the room meets.
type Limit struct {
	HasDuration bool
	Duration    time.Duration // of a meeting, from its first participant; 0: no end
	HasWindow   bool
	From, Until time.Time // when the room is open; zero: unlimited on that side
}

// ParseLimit reads "" (nothing), a duration ("90m", "1h30m", "0" for none; else a second
// to 365 days) or a window of two RFC 3339 times
// ("2026-05-01T09:00:00Z/2026-05-01T12:00:00Z"), of which either may be empty. The error
// tells the person what is expected, also for a window that ends before it begins.
func ParseLimit(s string) (Limit, error) {
	if s == "" {
		return Limit{}, nil
	}
	from, until, window := strings.Cut(s, "/")
	if !window {
		d, err := time.ParseDuration(s)
		if err != nil || d < 0 || d > 365*24*time.Hour || d > 0 && d < time.Second {
			return Limit{}, fmt.Errorf("a duration looks like 90m or 1h30m (0 for none), not %.40q", s)
		}
		return Limit{HasDuration: true, Duration: d}, nil
	}
	l := Limit{HasWindow: true}
	for _, side := range []struct {
		text string
		t    *time.Time
	}{{from, &l.From}, {until, &l.Until}} {
		if side.text == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339, side.text)
		if err != nil {
			return Limit{}, fmt.Errorf("a time looks like 2026-05-01T09:00:00Z, not %.40q", side.text)
		}
		*side.t = t
	}
	if !l.From.IsZero() && !l.Until.IsZero() && !l.Until.After(l.From) {
		return Limit{}, fmt.Errorf("the window ends before it begins")
	}
	return l, nil
}

// maxName is the length of a display name in characters.
const maxName = 64

// CleanName makes what a client gave as a display name fit to be shown: one
// line of at most 64 characters, without control characters and without
// the invisible ones that reorder or hide text (a name must not pass for another).
func CleanName(s string) string {
	var b strings.Builder
	n := 0
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		word = strings.Map(func(r rune) rune {
			if r == utf8.RuneError || deceptive(r) {
				return -1
			}
			return r
		}, word)
		if word == "" {
			continue
		}
		if n > 0 && n < maxName-1 {
			b.WriteByte(' ')
			n++
		}
		for _, r := range word {
			if n == maxName {
				return b.String()
			}
			b.WriteRune(r)
			n++
		}
	}
	return strings.TrimSpace(b.String())
}

// deceptive reports format characters, except the joiners that scripts such
// as Persian and the emoji need inside words.
func deceptive(r rune) bool {
	return unicode.Is(unicode.Cf, r) && r != '\u200c' && r != '\u200d'
}

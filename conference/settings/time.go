package settings

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"rendezvous/moderation"
)

// Duration is a time.Duration that is written as config.yaml has it: "90s", "1h30m", "7d".
type Duration time.Duration

// String leaves out minutes and seconds that are zero: "10m", where time.Duration has "10m0s".
func (d Duration) String() string {
	text := time.Duration(d).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// MarshalText writes what String returns.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a duration, also a number of days. The error is a *moderation.TextError.
func (d *Duration) UnmarshalText(text []byte) error {
	t := strings.TrimSpace(string(text))
	// time.ParseDuration knows no days.
	if days, ok := strings.CutSuffix(t, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n <= 36500 {
			*d = Duration(n) * Duration(24*time.Hour)
			return nil
		}
	} else if p, err := time.ParseDuration(t); err == nil {
		*d = Duration(p)
		return nil
	}
	return &moderation.TextError{Wants: fmt.Sprintf(`wants a duration such as "30s" or "1h30m", not %.80q`, text)}
}

// Moment is a point in time, written as RFC 3339 has it; the zero Moment is none, and an empty text.
type Moment time.Time

// IsZero reports whether it is none.
func (m Moment) IsZero() bool { return time.Time(m).IsZero() }

// String is the moment in RFC 3339, or "".
func (m Moment) String() string {
	if m.IsZero() {
		return ""
	}
	return time.Time(m).Format(time.RFC3339Nano)
}

// MarshalText writes what String returns.
func (m Moment) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what MarshalText writes. The error is a *moderation.TextError.
func (m *Moment) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*m = Moment{}
		return nil
	}
	t, err := time.Parse(time.RFC3339, string(text))
	if err != nil {
		return &moderation.TextError{Wants: fmt.Sprintf("%.80q is no point in time such as 2026-12-24T18:00:00+01:00", text)}
	}
	*m = Moment(t)
	return nil
}

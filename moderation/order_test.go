package moderation

import "testing"

func TestOrderAsText(t *testing.T) {
	for want, o := range map[string]Order{
		"mute on":                 {Action: Mute, Target: "p1", On: true},
		"mute video off":          {Action: Mute, Target: "p1", Media: "video"},
		"end":                     {Action: End},
		`ban on "forever"`:        {Action: Ban, Target: "p1", On: true, Text: "forever"},
		`limits "90m" 20`:         {Action: Limits, N: 20, Text: "90m"},
		`layout "one-big"`:        {Action: SetLayout, Text: "one-big"},
		`announce "say \"hi\"\n"`: {Action: Announce, Text: "say \"hi\"\n"},
	} {
		if got := o.String(); got != want {
			t.Errorf("%+v is %q, want %q", o, got, want)
		}
	}
}

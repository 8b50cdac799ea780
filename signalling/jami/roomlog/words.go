package roomlog

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"rendezvous/moderation"
	"rendezvous/swarm/commit"
)

// Lengths of texts, bytes.
const (
	maxLine  = 4000 // of a line of chat; orders take no more
	maxQuote = 60
)

// spoken is a line of the room's chat as it stands in the conversation, where the room is
// the author of all of them.
func spoken(name, text string) string {
	if name == "" {
		return text
	}
	return name + ": " + text
}

// heard is a message of a member as a line of the room's chat; "" is nothing to show.
// original finds the text that a reply or reaction is about.
func heard(m commit.Message, original func(id string) string) string {
	body := strings.TrimSpace(m.Get("body"))
	switch {
	case m.Type == commit.TypeFile:
		if m.Get("tid") == "" || m.Get("edit") != "" {
			return ""
		}
		return fmt.Sprintf("(sent a file: %s, %s)", moderation.CleanName(m.Get("displayName")), size(m.Get("totalSize")))
	case m.Type != commit.TypeText && m.Type != commit.TypeEdited:
		return ""
	case m.Get("edit") != "":
		if body == "" {
			return "(has deleted a message)"
		}
		return clip("(corrects) "+body, maxLine)
	case body == "":
		return ""
	case m.Get("react-to") != "":
		return "(" + clip(body, maxQuote) + about(original(m.Get("react-to")), " to ") + ")"
	case m.Get("reply-to") != "":
		return clip(strings.TrimPrefix(about(original(m.Get("reply-to")), "Re ")+": ", ": ")+body, maxLine)
	}
	return clip(body, maxLine)
}

// about quotes the beginning of a text.
func about(text, before string) string {
	text = strings.Join(strings.Fields(text), " ")
	if text == "" {
		return ""
	}
	return before + "“" + clip(text, maxQuote) + "”"
}

// clip cuts a text to n bytes, between characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	n -= len("…")
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// size is a number of bytes for people.
func size(text string) string {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n < 0 {
		return "unknown size"
	}
	for _, unit := range []string{"bytes", "kB", "MB"} {
		if n < 1000 {
			return strings.TrimSuffix(strconv.FormatFloat(n, 'f', 1, 64), ".0") + " " + unit
		}
		n /= 1000
	}
	return strings.TrimSuffix(strconv.FormatFloat(n, 'f', 1, 64), ".0") + " GB"
}

package web_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"rendezvous/conference"
	"rendezvous/conference/settings"
	"rendezvous/moderation"
	"rendezvous/signalling/web"
	"rendezvous/signalling/web/links"
	"rendezvous/signalling/web/webtest"
)

func ask(t *testing.T, conn *websocket.Conn, message, answer string) map[string]any {
	t.Helper()
	require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte(message)))
	return webtest.Receive(t, conn, answer)
}

// A way into the room that is being made is said to be so, and has neither address nor code.
func TestInviteSaysWhatIsPending(t *testing.T) {
	t.Parallel()
	h := webtest.Open(t, []settings.Room{{ID: "a"}}, nil)
	h.Door.SetAddresses(func(string) []conference.Address {
		return []conference.Address{{Door: "web", Text: "https://meet.example.org/r/a"}, {Door: "jami", Pending: true}}
	})
	ann, _ := h.Socket(t, `{"type":"join","room":"a","name":"Ann"}`)
	m := ask(t, ann, `{"type":"invite"}`, "invite")
	ways := m["ways"].([]any)
	require.Len(t, ways, 2)
	require.NotContains(t, ways[0], "pending")
	require.NotEmpty(t, ways[0].(map[string]any)["code"])
	require.Equal(t, map[string]any{"kind": "jami", "address": "", "pending": true, "size": 0.0, "code": ""}, ways[1])
	require.NotContains(t, m["text"], "Jami")
}

// An invitation has all the ways, with the PIN for those alone who know it or run the meeting; its calendar's entry is of the room's
// times, or of those that the page asks for.
func TestInvitation(t *testing.T) {
	t.Parallel()
	berlin := time.FixedZone("", 3600)
	from := time.Date(2126, 12, 24, 18, 0, 0, 0, berlin)
	rooms := []settings.Room{
		{ID: "a", Title: "Weekly, with\nall; \\ “friends”", PIN: "2718", ModeratorPIN: "9999", Recording: moderation.RecordAlways},
		{ID: "b", From: settings.Moment(time.Now().Add(-time.Hour).In(berlin)), Until: settings.Moment(from)},
	}
	h := webtest.Open(t, rooms, func(c *web.Config) { c.MediaWithin, c.JoinSecret = time.Hour, []byte("0123456789abcdef") })
	h.Door.SetAddresses(func(room string) []conference.Address {
		return []conference.Address{
			{Door: "web", Text: "https://meet.example.org/r/" + room}, {Door: "sip", Text: "sip:" + room + "@meet.example.org"},
			{Door: "sip", Text: "tel:+4930123456", Keys: "100#"}, {Door: "jami", Text: strings.Repeat("ab", 20)},
		}
	})
	in := func(join string) *websocket.Conn {
		conn, m := h.Socket(t, join)
		require.Equal(t, "welcome", m["type"], m)
		return conn
	}
	guest := in(`{"type":"join","room":"a","name":"Guest","token":"` + web.JoinToken{Subject: "g", Expires: time.Now().Add(time.Hour).Unix()}.Sign([]byte("0123456789abcdef")) + `"}`)
	m := ask(t, guest, `{"type":"invite"}`, "invite")
	require.NotContains(t, m, "pin", "they were let in without")
	require.NotContains(t, m["text"], "2718")
	require.Contains(t, m["text"], "You need a PIN as well.")
	require.NotContains(t, m, "calendar", "nobody has said when")
	require.NotContains(t, m, "links")

	ann := in(`{"type":"join","room":"a","name":"Ann","pin":"2718"}`)
	m = ask(t, ann, `{"type":"invite","from":"2026-12-24T18:00:00+01:00","minutes":90}`, "invite")
	require.Equal(t, "2718", m["pin"])
	require.Equal(t, `Meeting: Weekly, with all; \ “friends”
From Thu 24 Dec 2026 18:00 (UTC+01:00) to Thu 24 Dec 2026 19:30 (UTC+01:00)

Browser: https://meet.example.org/r/a
SIP phone: sip:a@meet.example.org
Telephone: +4930123456, then 100#
Jami: abababababababababababababababababababab
PIN: 2718
The meeting is recorded.
`, m["text"])
	calendar := m["calendar"].(string)
	require.Contains(t, calendar, "\r\nDTSTART:20261224T170000Z\r\nDTEND:20261224T183000Z\r\n")
	require.Contains(t, calendar, "\r\nMETHOD:PUBLISH\r\n")
	require.Contains(t, calendar, `SUMMARY:Weekly\, with all\; \\ “friends”`)
	require.Contains(t, strings.ReplaceAll(calendar, "\r\n ", ""), `PIN: 2718\nThe meeting is recorded.\n`)
	for line := range strings.Lines(calendar) {
		require.True(t, strings.HasSuffix(line, "\r\n"), "%q", line)
		require.LessOrEqual(t, len(line), 77, "%q", line)
	}
	require.Equal(t, `VCALENDAR METHOD:PUBLISH VERSION:2.0
VEVENT Weekly, with all; \ “friends” | 2026-12-24T17:00:00+00:00 to 2026-12-24T18:30:00+00:00 | https://meet.example.org/r/a | https://meet.example.org/r/a
`+m["text"].(string), readCalendar(t, calendar))
	uid := func(calendar any) string {
		_, id, _ := strings.Cut(calendar.(string), "\r\nUID:")
		id, _, _ = strings.Cut(id, "\r\n")
		return id
	}
	lea := in(`{"type":"join","room":"a","name":"Lea","pin":"9999"}`)
	m = ask(t, lea, `{"type":"invite","from":"2026-12-24T17:00:00Z","minutes":60}`, "invite")
	require.Equal(t, "2718", m["pin"], "who runs the meeting may tell it")
	require.Equal(t, uid(calendar), uid(m["calendar"]), "it is the same meeting")

	ben := in(`{"type":"join","room":"b","name":"Ben"}`)
	m = ask(t, ben, `{"type":"invite","from":"2026-12-24T17:00:00Z","minutes":60}`, "invite")
	require.Contains(t, m["calendar"], "\r\nDTEND:21261224T170000Z\r\n", "the room's times go before")
	require.Equal(t, from.Format(time.RFC3339), m["until"])

	for _, bad := range []string{`"minutes":0`, `"minutes":99999`, `"minutes":60,"from":"2226-12-24T17:00:00Z"`, `"from":"soon","minutes":60`} {
		if !strings.Contains(bad, "from") {
			bad += `,"from":"2026-12-24T17:00:00Z"`
		}
		require.Contains(t, ask(t, ben, `{"type":"invite",`+bad+`}`, "error")["text"], "not understood", bad)
	}
}

// Moderators make links for guests and for other moderators in the page, see whose are good, and take them away; nobody else does.
func TestLinksOfAPage(t *testing.T) {
	t.Parallel()
	book, err := links.Open(filepath.Join(t.TempDir(), "links.json"))
	require.NoError(t, err)
	h := webtest.Open(t, []settings.Room{{ID: "a", PIN: "2718", ModeratorPIN: "9999"}}, func(c *web.Config) {
		c.MediaWithin, c.JoinSecret, c.Links = time.Hour, []byte("0123456789abcdef"), book
	})
	ann, _ := h.Socket(t, `{"type":"join","room":"a","name":"Ann","pin":"2718"}`)
	require.NotContains(t, ask(t, ann, `{"type":"invite"}`, "invite"), "links")
	require.Equal(t, errText, ask(t, ann, `{"type":"make-link","n":1,"role":"guest","hours":1}`, "result")["text"])
	foreign, err := book.Make(links.Link{Room: "a", Role: "host", Expires: time.Now().Add(time.Hour)})
	require.NoError(t, err)
	require.Empty(t, ask(t, ann, `{"type":"links"}`, "links")["list"])
	require.Equal(t, errText, ask(t, ann, `{"type":"revoke-link","n":1,"link":"`+foreign.ID+`"}`, "result")["text"])

	lea, _ := h.Socket(t, `{"type":"join","room":"a","name":"Lea","pin":"9999"}`)
	require.Equal(t, true, ask(t, lea, `{"type":"invite"}`, "invite")["links"])
	require.Empty(t, ask(t, lea, `{"type":"links"}`, "links")["list"], "one that gives more than a moderator has is not for them to see")
	made := ask(t, lea, `{"type":"make-link","n":1,"role":"guest","name":"Cid","hours":48}`, "links")
	require.Equal(t, true, webtest.Receive(t, lea, "result")["ok"])
	link := made["list"].([]any)[0].(map[string]any)
	require.Equal(t, made["made"], link["id"])
	require.Equal(t, "Lea", link["by"])
	require.Equal(t, "Cid", link["name"])
	expires, err := time.Parse(time.RFC3339, link["expires"].(string))
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(48*time.Hour), expires, time.Minute)
	_, token, _ := strings.Cut(link["url"].(string), "#token=")
	_, m := h.Socket(t, `{"type":"join","room":"a","name":"","token":"`+token+`"}`)
	require.Equal(t, "welcome", m["type"], m)

	require.Equal(t, "The link gives more than you have.", ask(t, lea, `{"type":"revoke-link","n":2,"link":"`+foreign.ID+`"}`, "result")["text"])
	require.Equal(t, true, ask(t, lea, `{"type":"revoke-link","n":3,"link":"`+link["id"].(string)+`"}`, "result")["ok"])
	_, m = h.Socket(t, `{"type":"join","room":"a","name":"","token":"`+token+`"}`)
	require.Equal(t, "token", m["code"], m)
	require.Equal(t, "This link is not good any more.", ask(t, lea, `{"type":"revoke-link","n":4,"link":"`+link["id"].(string)+`"}`, "result")["text"])
	for _, bad := range []string{`"role":"host","hours":1`, `"role":"guest","hours":0`, `"role":"moderator","hours":745`} {
		require.Contains(t, ask(t, lea, `{"type":"make-link","n":5,`+bad+`}`, "error")["text"], "not understood", bad)
	}
}

const errText = "Only moderators make links and take them away."

// readCalendar has Debian's python3-icalendar read a calendar, which refuses what RFC 5545 does not allow, and tell what is in it.
func readCalendar(t *testing.T, calendar string) string {
	t.Helper()
	cmd := exec.Command("/usr/bin/python3", "-c", `
import sys, icalendar
text = sys.stdin.buffer.read()
c = icalendar.Calendar.from_ical(text)
assert not c.errors and not c.walk("VEVENT")[0].errors, (c.errors, c.walk("VEVENT")[0].errors)
print(c.name, "METHOD:" + c["METHOD"], "VERSION:" + c["VERSION"])
(e,) = c.walk("VEVENT")
assert e["UID"] and e["DTSTAMP"].dt.tzinfo and c["PRODID"]
print(e.name, e["SUMMARY"], "|", e["DTSTART"].dt.isoformat(), "to", e["DTEND"].dt.isoformat(), "|", e["LOCATION"], "|", e["URL"])
print(e["DESCRIPTION"], end="")
`)
	cmd.Stdin = strings.NewReader(calendar)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "this test needs Debian's package python3-icalendar: %s", out)
	return string(out)
}

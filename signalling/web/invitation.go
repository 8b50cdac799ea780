package web

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"time"

	ics "github.com/arran4/golang-ical"
)

// invitation is what is passed on to somebody who is to come into a room.
type invitation struct {
	title, room string
	ways        []way
	needsPIN    bool
	pin         string    // "": it is not for who invites to tell
	from, until time.Time // zero: not limited
	recorded    bool      // by itself
}

// usual is how long a meeting is said to last of which only the beginning is known.
const usual = time.Hour

// text is the invitation as lines for a mail or a message.
func (i *invitation) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Meeting: %s\n", oneLine(i.title))
	switch {
	case !i.from.IsZero() && !i.until.IsZero():
		fmt.Fprintf(&b, "From %s to %s\n", moment(i.from), moment(i.until.In(i.from.Location())))
	case !i.from.IsZero():
		fmt.Fprintf(&b, "From %s\n", moment(i.from))
	case !i.until.IsZero():
		fmt.Fprintf(&b, "Until %s\n", moment(i.until))
	}
	b.WriteString("\n")
	names := map[string]string{"link": "Browser", "telephone": "Telephone", "phone": "SIP phone", "jami": "Jami"}
	for _, w := range i.ways {
		if w.Pending {
			continue
		}
		fmt.Fprintf(&b, "%s: %s", names[w.Kind], strings.TrimPrefix(w.Address, "tel:"))
		if w.Keys != "" {
			fmt.Fprintf(&b, ", then %s", w.Keys)
		}
		b.WriteString("\n")
	}
	switch {
	case i.pin != "":
		fmt.Fprintf(&b, "PIN: %s\n", i.pin)
	case i.needsPIN:
		b.WriteString("You need a PIN as well.\n")
	}
	if i.recorded {
		b.WriteString("The meeting is recorded.\n")
	}
	return b.String()
}

// calendar is the invitation as an entry for a calendar (RFC 5545). It has a beginning.
func (i *invitation) calendar(now time.Time) string {
	link := ""
	for _, w := range i.ways {
		if w.Kind == "link" && link == "" {
			link = w.Address
		}
	}
	host := "localhost"
	if u, err := url.Parse(link); err == nil && u.Hostname() != "" {
		host = u.Hostname()
	}
	until := i.until
	if !until.After(i.from) {
		until = i.from.Add(usual)
	}
	// The same meeting is the same entry, however often it is asked for.
	id := sha256.Sum256([]byte(i.room + "\n" + i.from.UTC().Format(time.RFC3339)))
	c := ics.NewCalendarFor("rendezvous")
	c.SetProductId("-//rendezvous//meeting//EN")
	c.SetMethod(ics.MethodPublish)
	e := c.AddEvent(hex.EncodeToString(id[:12]) + "@" + host)
	e.SetDtStampTime(now)
	e.SetStartAt(i.from)
	e.SetEndAt(until)
	e.SetSummary(oneLine(i.title))
	e.SetDescription(i.text())
	if link != "" {
		e.SetLocation(link)
		e.SetURL(link)
	}
	return c.Serialize(ics.WithNewLineWindows) // what RFC 5545 section 3.1 wants on every system
}

// moment is a time as it is read out, with its distance from UTC.
func moment(t time.Time) string { return t.Format("Mon 2 Jan 2006 15:04 (UTC-07:00)") }

// oneLine leaves out of a title what would begin another line, or none at all.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x2028 || r == 0x2029 }), " ")
}

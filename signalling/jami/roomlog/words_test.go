package roomlog

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"rendezvous/swarm/commit"
)

// Too much at once is dropped, the oldest first, and what is written stays in order.
func TestFloodIsBounded(t *testing.T) {
	p := newPace[int](3, 2, 5)
	now := time.Unix(1000, 0)
	dropped := 0
	for i := range 10 {
		if _, full := p.add(i); full {
			dropped++
		}
	}
	var got []int
	var waits []time.Duration
	for range 20 {
		v, ok, wait := p.take(now)
		if ok {
			got = append(got, v)
			continue
		}
		if wait == 0 {
			break
		}
		waits = append(waits, wait)
		now = now.Add(wait)
	}
	if fmt.Sprint(got) != "[5 6 7 8 9]" || dropped != 5 || fmt.Sprint(waits) != "[500ms 500ms]" {
		t.Errorf("got %v, dropped %d, waited %v", got, dropped, waits)
	}
}

func TestWordsOfMembers(t *testing.T) {
	original := func(id string) string {
		return map[string]string{"a": "the first\nof many", "long": strings.Repeat("ö", 100)}[id]
	}
	for _, c := range []struct {
		fields string
		want   string
	}{
		{`{"type":"text/plain","body":" hi "}`, "hi"},
		{`{"type":"text/plain","body":""}`, ""},
		{`{"type":"text/plain","body":"yes","reply-to":"a"}`, "Re “the first of many”: yes"},
		{`{"type":"text/plain","body":"yes","reply-to":"gone"}`, "yes"},
		{`{"type":"text/plain","body":"👍","react-to":"a"}`, "(👍 to “the first of many”)"},
		{`{"type":"text/plain","body":"👍","react-to":"long"}`, "(👍 to “" + strings.Repeat("ö", 28) + "…”)"},
		{`{"type":"text/plain","body":"better","edit":"a"}`, "(corrects) better"},
		{`{"type":"application/edited-message","body":"","edit":"a"}`, "(has deleted a message)"},
		{`{"type":"application/data-transfer+json","displayName":"a\u202eb.txt","tid":"1","totalSize":"2600000"}`, "(sent a file: ab.txt, 2.6 MB)"},
		{`{"type":"application/data-transfer+json","edit":"a","tid":""}`, ""},
		{`{"type":"member","uri":"x","action":"join"}`, ""},
	} {
		fields := map[string]string{}
		if err := json.Unmarshal([]byte(c.fields), &fields); err != nil {
			t.Fatal(err)
		}
		m := commit.Message{Type: fields["type"], Fields: fields}
		delete(fields, "type")
		if got := heard(m, original); got != c.want {
			t.Errorf("%s\n got %q\nwant %q", c.fields, got, c.want)
		}
	}
	if got := heard(commit.Text(strings.Repeat("é", 5000)), original); len(got) > maxLine || !strings.HasSuffix(got, "é…") {
		t.Errorf("a long text becomes %d bytes, ending %q", len(got), got[len(got)-5:])
	}
}

// Whatever a member writes, a line of chat is what the room takes.
func FuzzHeard(f *testing.F) {
	f.Add("text/plain", "body", "hello", "reply-to", "a")
	f.Add("application/data-transfer+json", "displayName", "x", "totalSize", "1e400")
	f.Add("application/edited-message", "body", "", "edit", "a")
	f.Fuzz(func(t *testing.T, kind, k1, v1, k2, v2 string) {
		for _, s := range []string{v1, v2} {
			if !utf8.ValidString(s) {
				t.Skip() // JSON has none
			}
		}
		m := commit.Message{Type: kind, Fields: map[string]string{k1: v1, k2: v2}}
		if m.Get("tid") == "" {
			m.Fields["tid"] = "1"
		}
		got := heard(m, func(string) string { return v1 })
		if len(got) > maxLine || !utf8.ValidString(got) {
			t.Errorf("%d bytes: %q", len(got), got)
		}
	})
}

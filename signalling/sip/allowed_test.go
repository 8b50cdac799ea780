package sip

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
)

func TestDialRules(t *testing.T) {
	rules := DialRules{To: []string{"+49*", "030*", "*@example.org", "bob@*"}}
	now := time.Unix(1000, 0)
	for address, want := range map[string]bool{
		"+4930123": true, "0301": true, "+1900555": false, "": false,
		"ann@example.org": true, "ANN@Example.org": true, "bob@192.0.2.1": true, "eve@10.0.0.5": false, "eve@example.org.evil.example": false,
	} {
		var d dialed
		uri, trunk := sip.Uri{User: address}, true
		if user, host, ok := strings.Cut(address, "@"); ok {
			uri, trunk = sip.Uri{User: user, Host: host}, false
		}
		if err := d.allow(rules, "main", uri, trunk, now); (err == nil) != want {
			t.Errorf("%q: %v", address, err)
		}
	}
	var d dialed
	rules = DialRules{To: []string{"*"}, PerHour: 3}
	bob := sip.Uri{User: "1"}
	count := func(room string, n int) (called int) {
		for range n {
			if d.allow(rules, room, bob, true, now) == nil {
				called++
			}
		}
		return called
	}
	if n := count("main", 10); n != 3 {
		t.Errorf("a room calls %d in an hour", n)
	}
	all := 3
	for i := range 10 {
		all += count(fmt.Sprint("room", i), 3)
	}
	if all != 12 {
		t.Errorf("all rooms call %d in an hour", all)
	}
	if now = now.Add(time.Hour); count("main", 10) != 3 || len(d.rooms) != 1 {
		t.Errorf("an hour later, %d rooms are remembered", len(d.rooms))
	}
	if d.allow(DialRules{}, "main", bob, true, now) == nil {
		t.Error("without rules somebody is called")
	}
}

package sip

import (
	"fmt"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// DialRules say whom rooms may call, and how often: a stolen moderators' PIN must not cost more than that, and a
// room is no way into the host's own network.
type DialRules struct {
	// To are patterns of telephone numbers, "+49*", and SIP addresses, "*@example.org"; a star stands for
	// anything. None: nobody is called.
	To []string
	// PerHour bounds the calls of one room in an hour, and a fourth of those of all rooms together; 0: no bound.
	PerHour int
}

// dialed counts calls out.
type dialed struct {
	mu    sync.Mutex // guards what follows
	rooms map[string][]time.Time
}

// allow reports why a room may not call somebody now, and counts the call if it may.
func (d *dialed) allow(rules DialRules, room string, callee sip.Uri, trunk bool, now time.Time) error {
	address := callee.User
	if !trunk {
		address += "@" + callee.Host
	}
	if !matches(rules.To, address) {
		return fmt.Errorf("%s is not among those whom this host may call (sip.dial_to)", address)
	}
	if rules.PerHour <= 0 {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	all := 0
	for id, at := range d.rooms {
		for len(at) > 0 && now.Sub(at[0]) >= time.Hour {
			at = at[1:]
		}
		if all += len(at); len(at) == 0 {
			delete(d.rooms, id)
		} else {
			d.rooms[id] = at
		}
	}
	switch {
	case len(d.rooms[room]) >= rules.PerHour:
		return fmt.Errorf("this room has called %d people within an hour (sip.dial_per_hour)", len(d.rooms[room]))
	case all >= 4*rules.PerHour:
		return fmt.Errorf("the rooms have called %d people within an hour (sip.dial_per_hour)", all)
	}
	if d.rooms == nil {
		d.rooms = make(map[string][]time.Time)
	}
	d.rooms[room] = append(d.rooms[room], now)
	return nil
}

// matches tells whether an address is as one of the patterns.
func matches(patterns []string, address string) bool {
	// Letters alone tell addresses apart here: path.Match would let no star stand for a slash.
	address = strings.ToLower(strings.ReplaceAll(address, "/", "\x00"))
	for _, p := range patterns {
		if ok, err := path.Match(strings.ToLower(strings.ReplaceAll(p, "/", "\x00")), address); err == nil && ok {
			return true
		}
	}
	return false
}

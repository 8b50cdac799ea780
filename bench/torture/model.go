package main

import (
	"maps"
	"slices"
	"sync"
)

// certainty is what the host must have of something.
type certainty int

const (
	unknown certainty = iota // it was asked for, and not acknowledged: both are right
	there                    // acknowledged
	gone                     // that it is gone is acknowledged
)

// Kinds of what is acknowledged.
const (
	chats    = "chat"    // lines in the room's conversation
	audits   = "order"   // orders in the audit
	bans     = "ban"     // for good
	rooms    = "room"    // made at run time
	contacts = "contact" // of the room's Jami account
)

var kinds = []string{chats, audits, bans, rooms, contacts}

// model is what the host has acknowledged: for each kind, what must be there and what must not.
type model struct {
	mu    sync.Mutex // guards things
	sets  map[string]map[string]certainty
	acked int
}

func newModel() *model {
	m := &model{sets: map[string]map[string]certainty{}}
	for _, k := range kinds {
		m.sets[k] = map[string]certainty{}
	}
	return m
}

// asked notes that something is being asked for: until it is acknowledged, both are right.
func (m *model) asked(kind, what string) { m.set(kind, what, unknown) }

func (m *model) set(kind, what string, c certainty) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sets[kind][what] = c
	if c != unknown {
		m.acked++
	}
}

// some is one of a kind that is there, "" if none is.
func (m *model) some(kind string, pick func(n int) int) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []string
	for _, what := range slices.Sorted(maps.Keys(m.sets[kind])) {
		if m.sets[kind][what] == there {
			all = append(all, what)
		}
	}
	if len(all) == 0 {
		return ""
	}
	return all[pick(len(all))]
}

// copy is the model as it is now.
func (m *model) copy() *model {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := &model{sets: map[string]map[string]certainty{}, acked: m.acked}
	for k, s := range m.sets {
		c.sets[k] = maps.Clone(s)
	}
	return c
}

// compare returns what is wrong with what the host has of a kind: how often each.
func (m *model) compare(kind string, has map[string]int) (wrong []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, what := range slices.Sorted(maps.Keys(m.sets[kind])) {
		if why := judge(kind, m.sets[kind][what], has[what]); why != "" {
			wrong = append(wrong, kind+" "+what+why)
		}
	}
	return wrong
}

// judge says what is wrong with n of something being there; "": nothing.
func judge(kind string, c certainty, n int) string {
	switch {
	case c == there && n == 0:
		return " was acknowledged and is lost"
	case c == gone && n > 0:
		return " is back"
	case n > 1 && kind != audits:
		return " is there twice"
	}
	return ""
}

// forget forgets what is wrong with what the host has, so that it is told once.
func (m *model) forget(kind string, has map[string]int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.sets[kind], func(what string, c certainty) bool { return judge(kind, c, has[what]) != "" })
}

// settle takes over what the host has of what was unknown. A line that is not there may still be on its way.
func (m *model) settle(kind string, has map[string]int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for what, c := range m.sets[kind] {
		if c != unknown {
			continue
		}
		switch {
		case has[what] > 0:
			m.sets[kind][what] = there
		case kind != chats:
			m.sets[kind][what] = gone
		}
	}
}

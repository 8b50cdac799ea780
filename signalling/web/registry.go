package web

import (
	"context"
	"net/netip"
	"sync"

	"rendezvous/conference"
)

// registry knows the sessions by their secrets.
type registry struct {
	most, perNetwork int

	mu      sync.Mutex
	byID    map[string]*session  // guarded by mu
	rooms   map[string]int       // sessions per room; guarded by mu
	from    map[netip.Prefix]int // sessions per network; guarded by mu
	changed chan struct{}        // guarded by mu: closed when a session goes
}

func newRegistry(most, perNetwork int) *registry {
	return &registry{most: most, perNetwork: perNetwork, from: make(map[netip.Prefix]int), byID: make(map[string]*session), rooms: make(map[string]int), changed: make(chan struct{})}
}

func (r *registry) add(s *session) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.byID) >= r.most {
		return &conference.Refusal{Code: conference.RefusedFull, Text: "The host has as many callers as it can take. Please try again later."}
	}
	if r.from[s.network] >= r.perNetwork {
		return &conference.Refusal{Code: refusedTooMany, Text: "There are as many callers from your network as the host takes. Please try again later."}
	}
	r.from[s.network]++
	r.byID[s.secret] = s
	r.rooms[s.room.ID()]++
	return nil
}

// remove forgets a session and reports whether it was its room's last.
func (r *registry) remove(s *session) (last bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.byID, s.secret)
	if r.from[s.network]--; r.from[s.network] <= 0 {
		delete(r.from, s.network)
	}
	id := s.room.ID()
	if r.rooms[id]--; r.rooms[id] == 0 {
		delete(r.rooms, id)
		last = true
	}
	close(r.changed)
	r.changed = make(chan struct{})
	return last
}

func (r *registry) find(secret string) *session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byID[secret]
}

// of returns the session of a participant; nil if there is none.
func (r *registry) of(participant string) *session {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.byID {
		if id := s.participant.Load(); id != nil && *id == participant {
			return s
		}
	}
	return nil
}

// waitEmpty returns when there is no session, or ctx ends.
func (r *registry) waitEmpty(ctx context.Context) {
	for {
		r.mu.Lock()
		n, changed := len(r.byID), r.changed
		r.mu.Unlock()
		if n == 0 {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

package jami

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"rendezvous/conference"
	"rendezvous/signalling/jami/account"
)

// Pauses before an account that could not be opened is tried again: what keeps it from it is most likely on the disk.
const (
	firstRetry = 5 * time.Second
	mostRetry  = 15 * time.Second
)

// dir is the folder of a room's account.
func (d *Door) dir(room string) string { return filepath.Join(d.cfg.Dir, room) }

// openRest opens the accounts that are not open, one after the other, until ctx ends: those that need keys, and those that
// could not be opened before.
func (d *Door) openRest(ctx context.Context) {
	pause := firstRetry
	for {
		left := false
		for _, r := range d.cfg.Host.Rooms() {
			if ctx.Err() == nil && d.room(r.ID()) == nil {
				left = !d.openLate(ctx, r) || left
			}
		}
		var again <-chan time.Time
		if left {
			again = time.After(pause)
		}
		select {
		case <-ctx.Done():
			return
		case <-d.more:
			pause = firstRetry
		case <-again:
			pause = min(2*pause, mostRetry)
		}
	}
}

// openLate opens one account and reports whether that is done.
func (d *Door) openLate(ctx context.Context, r *conference.Room) bool {
	if err := account.MakeKeys(ctx, d.dir(r.ID()), d.cfg.KeyBits); err != nil {
		d.trouble(ctx, r, err)
		return false
	}
	d.syncing.Lock()
	defer d.syncing.Unlock()
	if now, err := d.cfg.Host.Room(r.ID()); err != nil || now != r {
		return true // it is gone
	}
	if d.room(r.ID()) != nil {
		return true
	}
	if !d.tryOpen(ctx, r) {
		return false
	}
	if d.cfg.Opened != nil {
		d.cfg.Opened(r.ID())
	}
	return true
}

// tryOpen opens a room's account, or takes note why that cannot be; syncing is held.
func (d *Door) tryOpen(ctx context.Context, r *conference.Room) bool {
	err := d.open(ctx, r)
	if err != nil {
		d.trouble(ctx, r, err)
	}
	return err == nil
}

// trouble notes why a room has no account, and tells it when it is news.
func (d *Door) trouble(ctx context.Context, r *conference.Room, err error) {
	if ctx.Err() != nil {
		return // we are closing
	}
	err = fmt.Errorf("the room cannot be reached from Jami: %w", err)
	d.mu.Lock()
	before := d.troubles[r.ID()]
	d.troubles[r.ID()] = err
	d.mu.Unlock()
	if before == nil || before.Error() != err.Error() {
		d.log.Error("a part of the room is left out", "room", r.ID(), "error", err)
	}
}

// Troubles are the rooms that lack their account or their conversation, and why.
func (d *Door) Troubles() map[string]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make(map[string]string, len(d.troubles))
	for room, err := range d.troubles {
		out[room] = err.Error()
	}
	for room, a := range d.rooms {
		if a.conversations == nil {
			continue
		}
		for _, c := range a.conversations.Swarm().Damaged() {
			out[room] = fmt.Sprintf("the conversation %s is damaged, and a whole copy is sought from its members: %v", c.Conversation, c.Reason)
		}
	}
	return out
}

// Pending reports whether a room lacks its account or its conversation at present, and may have it later.
func (d *Door) Pending(room string) bool {
	if _, err := d.cfg.Host.Room(room); err != nil {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rooms[room] == nil || d.troubles[room] != nil
}

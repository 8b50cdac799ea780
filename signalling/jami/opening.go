package jami

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"rendezvous/conference"
	"rendezvous/internal/atomicfile"
	"rendezvous/signalling/jami/account"
)

// Pauses before an account that could not be opened is tried again: what keeps it from it is most likely on the disk.
const (
	firstRetry = 5 * time.Second
	mostRetry  = 15 * time.Second
)

// openPatience is how long Start waits for the accounts that there are. Usually that is a few hundredths of a second for each;
// who is told that the host is ready should find the rooms there.
const openPatience = 3 * time.Second

// dir is the folder of a room's account, conversations that of its conversations.
func (d *Door) dir(room string) string           { return filepath.Join(d.cfg.Dir, room) }
func (d *Door) conversations(room string) string { return filepath.Join(d.dir(room), "conversations") }

// openRest opens the accounts that are not open, in the order of rooms, until ctx ends: those that need keys, and those that
// could not be opened before. Rooms that could not be given their conversation are given it.
func (d *Door) openRest(ctx context.Context) {
	pause := firstRetry
	for {
		left := d.completeAll(ctx)
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

// completeAll does that for all rooms, and reports whether something is left to do. Keys take seconds of a core each, and nobody
// waits for them in earnest: one core is left to those who call meanwhile, if there are two.
func (d *Door) completeAll(ctx context.Context) (left bool) {
	var todo []*conference.Room
	fresh := 0
	for _, r := range d.cfg.Host.Rooms() {
		if a, lack := d.state(r); a != nil && lack == nil {
			continue
		}
		todo = append(todo, r)
		if account.IsNew(d.dir(r.ID())) {
			fresh++
		}
	}
	if fresh > 0 {
		d.log.Info("keys of new Jami accounts are being made; the rooms can be met in by the other doors meanwhile", "rooms", fresh)
	}
	var remaining, incomplete atomic.Int64
	remaining.Store(int64(fresh))
	rooms := make(chan *conference.Room)
	var workers sync.WaitGroup
	for range min(len(todo), max(1, runtime.GOMAXPROCS(0)-1)) {
		workers.Go(func() {
			for r := range rooms {
				if ctx.Err() != nil || !d.complete(ctx, r, &remaining) {
					incomplete.Add(1)
				}
			}
		})
	}
	for _, r := range todo {
		rooms <- r
	}
	close(rooms)
	workers.Wait()
	return incomplete.Load() > 0
}

// complete sees to it that a room has its account and its conversation, and reports whether nothing is left to do. remaining is
// how many rooms are without keys, and counted down.
func (d *Door) complete(ctx context.Context, r *conference.Room, remaining *atomic.Int64) bool {
	a, lack := d.state(r)
	if a != nil && lack == nil {
		return true
	}
	if a == nil && account.IsNew(d.dir(r.ID())) {
		began := time.Now()
		if err := d.makeKeys(ctx, d.dir(r.ID()), d.cfg.KeyBits); err != nil {
			if ctx.Err() == nil { // we are not closing
				d.note(r, noAccount(err))
			}
			return false
		}
		d.log.Info("keys of a room's Jami account made", "room", r.ID(), "after", time.Since(began).Round(time.Millisecond), "remaining", max(0, remaining.Add(-1)))
	}
	d.syncing.Lock()
	defer d.syncing.Unlock()
	if now, err := d.cfg.Host.Room(r.ID()); err != nil || now != r {
		return true // it is gone
	}
	var done bool
	switch a, lack = d.state(r); {
	case a != nil && lack == nil:
		return true
	case a == nil:
		done = d.tryOpen(r)
	case a.book != nil:
		done = d.beginLate(a, r)
	default:
		done = d.reopen(a, r)
	}
	if done && d.cfg.Opened != nil {
		d.cfg.Opened(r.ID())
	}
	_, lack = d.state(r)
	return done && lack == nil
}

// state is a room's account, nil if it has none, and what it lacks.
func (d *Door) state(r *conference.Room) (*roomAccount, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rooms[r.ID()], d.lacks[r.ID()]
}

// reopen opens the account anew of a room whose conversations could not be opened, if they can be now and nobody calls: an account
// must have them from its start.
func (d *Door) reopen(a *roomAccount, r *conference.Room) bool {
	if a.server.Calls() > 0 || atomicfile.MkdirAll(d.conversations(r.ID()), 0o700) != nil {
		return false
	}
	if _, err := d.newLog(a, r); err != nil {
		return false
	}
	d.mu.Lock()
	delete(d.rooms, r.ID())
	d.mu.Unlock()
	d.shut(a)
	return d.tryOpen(r)
}

// tryOpen opens a room's account, or takes note why that cannot be; syncing is held.
func (d *Door) tryOpen(r *conference.Room) bool {
	err := d.open(r)
	if err != nil && !errors.Is(err, net.ErrClosed) {
		d.note(r, noAccount(err))
	}
	return err == nil
}

// note is lack when mu is not held.
func (d *Door) note(r *conference.Room, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lack(r, err)
}

// lack notes what a room lacks, nil for nothing, and tells it when it is news; mu is held.
func (d *Door) lack(r *conference.Room, err error) {
	before := d.lacks[r.ID()]
	if err == nil {
		delete(d.lacks, r.ID())
		return
	}
	d.lacks[r.ID()] = err
	if before == nil || before.Error() != err.Error() {
		d.log.Error("a part of the room is left out", "room", r.ID(), "error", err)
	}
}

func noAccount(err error) error { return fmt.Errorf("the room cannot be reached from Jami: %w", err) }

// noConversation is nil for nil.
func noConversation(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("the room has no conversation: %w", err)
}

// Degraded are the rooms that lack their account or their conversation, and why.
func (d *Door) Degraded() map[string]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make(map[string]string, len(d.lacks))
	for room, err := range d.lacks {
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

// BeingMade reports whether a room is about to have an account, and nothing is known to keep it from it: its keys are being made, or
// wait for their turn, or it is being opened.
func (d *Door) BeingMade(room string) bool {
	if _, err := d.cfg.Host.Room(room); err != nil {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rooms[room] == nil && d.lacks[room] == nil && !d.closed
}

// Pending reports whether a room lacks its account or its conversation at present, and may have it later.
func (d *Door) Pending(room string) bool {
	if _, err := d.cfg.Host.Room(room); err != nil {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rooms[room] == nil || d.lacks[room] != nil
}

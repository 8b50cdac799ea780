package jami

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"rendezvous/conference"
	"rendezvous/dht/value"
	"rendezvous/signalling/jami/call"
	"rendezvous/signalling/jami/connection"
)

// Takes implements conference.Dialer: 40 hexadecimal digits, the id of an account, with or without "jami:".
func (d *Door) Takes(address string) conference.Claim {
	id, schemed := strings.CutPrefix(address, "jami:")
	if _, err := value.ParseKey(id); err != nil && !schemed {
		return conference.NotMine
	}
	return conference.Mine
}

// Dial calls a Jami account, on all its devices that can be reached, and brings the one
// that answers first into the room. The error is for people: no Jami id, a room without
// an account (ErrNoAccount, ErrBeingMade), no device that can be reached, or what the callee's device said;
// call.ErrDeclined is wrapped if they have declined.
func (d *Door) Dial(ctx context.Context, room *conference.Room, address string) error {
	id, err := value.ParseKey(strings.TrimPrefix(address, "jami:"))
	if err != nil {
		return fmt.Errorf("%q is no Jami id of 40 hex digits", address)
	}
	a := d.room(room.ID())
	if a == nil {
		return d.noAccount(room.ID())
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var taken atomic.Bool
	first := func() bool {
		if !taken.CompareAndSwap(false, true) {
			return false
		}
		cancel() // the others stop ringing, and are looked for no longer
		return true
	}
	var mu sync.Mutex // guards in and failed
	unreachable := fmt.Errorf("no device of %s can be reached", id)
	in, failed := false, unreachable
	var dialling sync.WaitGroup
	for p, err := range a.account.Devices(ctx, id) {
		if err != nil {
			d.log.Info("cannot find a device", "room", room.ID(), "account", id, "error", err)
			continue
		}
		dialling.Go(func() {
			ch, err := a.sip.To(ctx, p.Device, "videoCall")
			if err != nil {
				d.log.Info("cannot reach a device", "room", room.ID(), "account", id, "error", err)
				mu.Lock()
				defer mu.Unlock()
				if errors.Is(err, connection.ErrNoAnswer) && errors.Is(failed, unreachable) {
					failed = fmt.Errorf("%s is announced and does not answer: it is gone, or takes calls of its contacts alone and of whom it has called", id)
				}
				return
			}
			err = a.server.Dial(ctx, ch, first)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				in = true
			case errors.Is(err, call.ErrDeclined): // on one device, for all of them, as Jami has it
				failed = err
				cancel()
			case !errors.Is(failed, call.ErrDeclined) && !errors.Is(err, context.Canceled) && !errors.Is(err, call.ErrTaken):
				failed = err
			}
		})
	}
	dialling.Wait()
	if in {
		return nil
	}
	return failed
}

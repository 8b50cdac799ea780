package account

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"rendezvous/dht"
	"rendezvous/dht/identity"
	"rendezvous/dht/value"
	"rendezvous/signalling/jami/connection"
)

const (
	recheckAfter  = 10 * time.Minute // a device is looked for again
	revokedWait   = time.Second      // that a new device's connection waits for the first look-up, at most
	maxChecked    = 4096             // devices remembered as looked for, and as revoked
	checkWorkers  = 8
	maxRevocation = 8 // lists read of one account
)

// revocations knows devices that their accounts have revoked. Accounts publish such lists at
// their id. Looking there goes on beside the connection's own beginning, which waits a
// moment for it at most; a device found revoked later is cut off. Those found are refused
// from then on, over restarts too.
type revocations struct {
	path  string
	slots chan struct{}

	mu      sync.Mutex // guards the rest
	checked map[value.LongID]check
	revoked map[value.LongID]struct{}
}

// check is the newest look-up of a device.
type check struct {
	began time.Time
	// first is closed when the first look-up has ended.
	first chan struct{}
}

// openRevocations reads those found before, one device in a line.
func openRevocations(path string) (*revocations, error) {
	r := &revocations{
		path:    path,
		slots:   make(chan struct{}, checkWorkers),
		checked: make(map[value.LongID]check),
		revoked: make(map[value.LongID]struct{}),
	}
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("account: revoked devices: %w", err)
	}
	for line := range strings.FieldsSeq(string(text)) {
		ids, err := identity.ParseKeyIDs(line)
		if err != nil {
			return nil, fmt.Errorf("account: revoked devices: %w", err)
		}
		r.revoked[ids.Long] = struct{}{}
	}
	return r, nil
}

// begin reports whether the device has to be looked for now, and takes it that it is.
func (r *revocations) begin(device value.LongID, now time.Time) (c check, due bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, known := r.checked[device]
	if known && now.Sub(c.began) < recheckAfter {
		return c, false
	}
	if !known {
		if len(r.checked) >= maxChecked {
			clear(r.checked)
		}
		c.first = make(chan struct{})
	}
	c.began = now
	r.checked[device] = c
	return c, true
}

func (r *revocations) has(device value.LongID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.revoked[device]
	return ok
}

func (r *revocations) add(device value.LongID) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.revoked) >= maxChecked {
		clear(r.revoked)
	}
	r.revoked[device] = struct{}{}
	var b strings.Builder
	for id := range r.revoked {
		b.WriteString(id.String() + "\n")
	}
	return writePrivate(r.path, []byte(b.String()))
}

// allow is asked about every device that wants a connection: before anything is done, and
// again before it is used.
func (a *Account) allow(p connection.Peer) bool {
	device := p.Device.Long
	if !a.Admits(p.Account) || a.revoked.has(device) {
		return false
	}
	c, due := a.revoked.begin(device, a.cfg.Now())
	if due {
		a.checkRevoked(p, c)
		return true
	}
	timer := time.NewTimer(revokedWait - a.cfg.Now().Sub(c.began)) // fires at once if that is over
	defer timer.Stop()
	select {
	case <-c.first:
	case <-timer.C:
	case <-a.ctx.Done():
	}
	return !a.revoked.has(device)
}

// checkRevoked looks for the device in its account's lists, in the background.
func (a *Account) checkRevoked(p connection.Peer, c check) {
	a.background(func() {
		select {
		case a.revoked.slots <- struct{}{}:
			defer func() { <-a.revoked.slots }()
		case <-a.ctx.Done():
			return
		}
		revoked := a.findRevoked(p)
		if revoked {
			a.log.Warn("account: device is revoked by its account", "peer", p.Account, "device", p.Device)
			if err := a.revoked.add(p.Device.Long); err != nil {
				a.log.Error("account: saving a revoked device", "error", err)
			}
		}
		select {
		case <-c.first: // in an earlier look-up
		default:
			close(c.first)
		}
		if revoked {
			a.endpoint.Disconnect(func(o connection.Peer) bool { return o.Device.Long == p.Device.Long })
		}
	})
}

// findRevoked reports whether one of the account's lists names the device.
func (a *Account) findRevoked(p connection.Peer) bool {
	ctx, cancel := context.WithTimeout(a.ctx, lookup)
	defer cancel()
	lists := 0
	for v, err := range a.cfg.Node.Get(ctx, p.Account, dht.WhereType(value.UserData)) {
		if err != nil || lists == maxRevocation {
			return false
		}
		list, err := identity.ParseRevocationValue(v)
		if err != nil {
			continue // an announcement, most likely
		}
		lists++
		if list.Revokes(p.Chain[0], p.Chain[1]) {
			return true
		}
	}
	return false
}

package account

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
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
	maxChecked    = 4096             // devices remembered as looked for
	maxRevoked    = 4096             // devices of strangers remembered as revoked; those of contacts all are
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
	revoked map[value.LongID]bool // whether it is a contact's
	order   []value.LongID        // of revoked, oldest first
}

// check is the newest look-up of a device.
type check struct {
	began time.Time
	// first is closed when the first look-up has ended.
	first chan struct{}
}

// ofContact stands after a contact's device in the file.
const ofContact = " contact"

// openRevocations reads those found before, one device in a line.
func openRevocations(path string) (*revocations, error) {
	r := &revocations{
		path:    path,
		slots:   make(chan struct{}, checkWorkers),
		checked: make(map[value.LongID]check),
		revoked: make(map[value.LongID]bool),
	}
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("account: revoked devices: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		device, contact := strings.CutSuffix(strings.TrimSpace(line), ofContact)
		if device == "" {
			continue
		}
		ids, err := identity.ParseKeyIDs(device)
		if err != nil {
			return nil, fmt.Errorf("account: revoked devices: %w", err)
		}
		r.note(ids.Long, contact)
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

// add remembers a revoked device. Accounts cost nothing, and whoever revokes devices of thousands of them must not
// have those of contacts forgotten: of strangers' the oldest goes.
func (r *revocations) add(device value.LongID, contact bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.note(device, contact)
	var b strings.Builder
	for _, id := range r.order {
		b.WriteString(id.String())
		if r.revoked[id] {
			b.WriteString(ofContact)
		}
		b.WriteString("\n")
	}
	return writePrivate(r.path, []byte(b.String()))
}

// note is add without writing; r.mu is held, or r is not shared yet.
func (r *revocations) note(device value.LongID, contact bool) {
	if was, known := r.revoked[device]; known {
		r.revoked[device] = was || contact
		return
	}
	r.revoked[device] = contact
	r.order = append(r.order, device)
	strangers, oldest := 0, -1
	for i, id := range r.order {
		if !r.revoked[id] {
			if strangers++; oldest < 0 {
				oldest = i
			}
		}
	}
	if strangers > maxRevoked {
		delete(r.revoked, r.order[oldest])
		r.order = slices.Delete(r.order, oldest, oldest+1)
	}
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
			_, contact := a.contact(p.Account)
			a.log.Warn("account: device is revoked by its account", "peer", p.Account, "device", p.Device)
			if err := a.revoked.add(p.Device.Long, contact); err != nil {
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

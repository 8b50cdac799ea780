package account

import (
	"context"
	"sync"
	"time"

	"rendezvous/dht"
	"rendezvous/dht/identity"
	"rendezvous/dht/msgpack"
	"rendezvous/dht/value"
	"rendezvous/signalling/jami/connection"
)

const (
	recheckAfter  = 10 * time.Minute // a device is looked for again
	maxChecked    = 4096             // devices remembered as looked for, and as revoked
	checkWorkers  = 8
	maxRevocation = 8 // lists read of one account
)

// revocations knows devices that their accounts have revoked. Accounts publish
// such lists at their id; looking there takes a while, so a call does not wait
// for it: a device found revoked is cut off, and refused from then on.
type revocations struct {
	slots chan struct{}

	mu      sync.Mutex // guards the rest
	checked map[value.LongID]time.Time
	revoked map[value.LongID]struct{}
}

func newRevocations() *revocations {
	return &revocations{
		slots:   make(chan struct{}, checkWorkers),
		checked: make(map[value.LongID]time.Time),
		revoked: make(map[value.LongID]struct{}),
	}
}

// due reports whether the device has to be looked for, and takes it that it
// now is.
func (r *revocations) due(device value.LongID, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, ok := r.checked[device]; ok && now.Sub(at) < recheckAfter {
		return false
	}
	if len(r.checked) >= maxChecked {
		clear(r.checked)
	}
	r.checked[device] = now
	return true
}

func (r *revocations) has(device value.LongID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.revoked[device]
	return ok
}

func (r *revocations) add(device value.LongID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.revoked) >= maxChecked {
		clear(r.revoked)
		clear(r.checked)
	}
	r.revoked[device] = struct{}{}
}

// allow is asked about every device that wants a connection.
func (a *Account) allow(p connection.Peer) bool {
	if !a.book.admits(p.Account) || a.revoked.has(p.Device.Long) {
		return false
	}
	a.checkRevoked(p)
	return true
}

// checkRevoked looks for the device in its account's lists, in the background.
func (a *Account) checkRevoked(p connection.Peer) {
	if !a.revoked.due(p.Device.Long, a.cfg.Now()) {
		return
	}
	select {
	case a.revoked.slots <- struct{}{}:
	default:
		return // busy; the next connection is another chance
	}
	a.wg.Go(func() {
		defer func() { <-a.revoked.slots }()
		ctx, cancel := context.WithTimeout(a.ctx, lookup)
		defer cancel()
		lists := 0
		for v, err := range a.cfg.Node.Get(ctx, p.Account) {
			if err != nil || lists == maxRevocation {
				return
			}
			list, ok := revocationList(v)
			if !ok {
				continue
			}
			lists++
			if list.Revokes(p.Chain[0], p.Chain[1]) {
				a.log.Warn("account: device is revoked by its account", "peer", p.Account, "device", p.Device)
				a.revoked.add(p.Device.Long)
				a.endpoint.Disconnect(func(o connection.Peer) bool { return o.Device.Long == p.Device.Long })
				return
			}
		}
	})
}

// revocationList reads a value at an account id: a MessagePack bin with a DER
// list, which proves itself by the account's signature.
func revocationList(v *dht.Value) (*identity.RevocationList, bool) {
	r := msgpack.NewReader(v.Data)
	if r.Kind() != msgpack.Bin {
		return nil, false
	}
	list, err := identity.ParseRevocationList(r.Bytes())
	return list, err == nil
}

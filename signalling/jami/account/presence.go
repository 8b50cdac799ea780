package account

import (
	"context"
	"fmt"

	"rendezvous/dht/identity"
	"rendezvous/dht/value"
)

// WatchPresence tells on the channel whether an account is online: true when
// its first device announces itself, false when the last announcement has
// expired (up to ten minutes after the device is gone). The channel is closed
// when ctx ends; a state not yet read is replaced by the next.
func (a *Account) WatchPresence(ctx context.Context, account value.Key) (<-chan bool, error) {
	events, err := a.cfg.Node.Listen(ctx, account)
	if err != nil {
		return nil, fmt.Errorf("account: presence of %s: %w", account, err)
	}
	out := make(chan bool, 1)
	a.wg.Go(func() {
		defer close(out)
		// Daemons give their announcement a new id at each start: count
		// devices, not values.
		devices := make(map[uint64]value.Key)
		online := false
		for ev := range events {
			if ev.Value == nil {
				continue
			}
			if ev.Expired {
				delete(devices, ev.Value.ID)
			} else if ann, err := identity.ParseAnnouncement(ev.Value, account); err == nil && len(devices) < 1024 {
				devices[ev.Value.ID] = ann.Device
			}
			if now := len(devices) > 0; now != online {
				online = now
				select {
				case <-out:
				default:
				}
				out <- online
			}
		}
	})
	return out, nil
}

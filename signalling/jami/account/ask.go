package account

import (
	"context"
	"fmt"
	"slices"
	"time"

	"rendezvous/dht/value"
)

// A request to be a contact is left on the DHT for each device that is announced there. An account
// that is offline has none, so who has not agreed yet is asked again whenever they come online.

// maxAsking bounds the accounts that are watched for that.
const maxAsking = 256

// Ask asks an account to be a contact, in the background: as soon as it is online, and whenever it
// comes online again, also after a restart of ours, until it has agreed or is a contact no longer.
// conversation is the one-to-one conversation that invites it, or empty. An account that has
// agreed is not asked. It fails if the contact cannot be saved, or there are as many as an account
// may have; nobody is asked then.
func (a *Account) Ask(account value.Key, conversation string) error {
	if c, known := a.contact(account); known && c.Confirmed {
		return nil
	}
	_, err := a.book.update(account, func(c *Contact) {
		c.add(a.cfg.Now())
		c.Conversation, c.Asked = conversation, true
	})
	if err != nil {
		return err
	}
	a.keepAsking(account)
	return nil
}

// askOn takes up what was asked before a restart.
func (a *Account) askOn() {
	for _, c := range a.Contacts() {
		if c.pending() {
			a.keepAsking(c.Account)
		}
	}
}

// pending reports whether it was asked and may still agree.
func (c Contact) pending() bool { return c.Asked && c.active() && !c.Confirmed }

// contact finds one that is not gone.
func (a *Account) contact(account value.Key) (Contact, bool) {
	list := a.Contacts()
	i := slices.IndexFunc(list, func(c Contact) bool { return c.Account == account })
	if i < 0 {
		return Contact{}, false
	}
	return list[i], true
}

func (a *Account) keepAsking(account value.Key) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ctx.Err() != nil {
		return
	}
	if stop := a.asking[account]; stop != nil {
		stop() // asked anew: at once
	} else if len(a.asking) >= maxAsking {
		a.log.Warn("account: too many accounts that have not agreed to be contacts", "contact", account)
		return
	}
	ctx, cancel := context.WithCancel(a.ctx)
	a.asking[account] = cancel
	a.wg.Go(func() {
		defer cancel()
		if err := a.askWhenOnline(ctx, account); err != nil && ctx.Err() == nil {
			a.log.Warn("account: asking an account to be a contact", "contact", account, "error", err)
		}
	})
}

// stopAsking is for who has agreed, or is no longer wanted.
func (a *Account) stopAsking(account value.Key) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if stop := a.asking[account]; stop != nil {
		stop()
		delete(a.asking, account)
	}
}

func (a *Account) askWhenOnline(ctx context.Context, account value.Key) error {
	presence, err := a.WatchPresence(ctx, account)
	if err != nil {
		return err
	}
	absent := time.NewTimer(lookup)
	defer absent.Stop()
	for {
		select {
		case online, ok := <-presence:
			if !ok {
				return nil
			}
			if !online {
				continue
			}
			absent.Stop()
			c, known := a.contact(account)
			if !known || !c.pending() {
				a.stopAsking(account)
				return nil
			}
			if err := a.askNow(ctx, c); err != nil && ctx.Err() == nil {
				a.log.Info("account: contact request", "contact", account, "error", err)
			}
		case <-absent.C:
			a.log.Info("account is not online: asked to be a contact when it is", "contact", account)
		}
	}
}

func (a *Account) askNow(ctx context.Context, c Contact) error {
	ctx, cancel := context.WithTimeout(ctx, lookup)
	defer cancel()
	if err := a.sendTrust(ctx, c.Account, trustMessage{conversation: c.Conversation, payload: a.card()}); err != nil {
		return fmt.Errorf("not sent: %w", err)
	}
	return nil
}

package account

import (
	"errors"
	"time"

	"rendezvous/dht/value"
)

// An account's devices each have the contacts, and tell each other of changes. What they tell is
// the contact as it stands; of two opinions the newer counts, in whole seconds, and at the same
// second the removal. So a contact that is removed is kept, or another device would bring it back.

// lastSecond is the latest time that is believed: in 2242.
const lastSecond = 1 << 33

// seconds is a time as devices tell it to each other; 0 is never.
func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// moment is what seconds told.
func moment(s int64) time.Time {
	if s <= 0 {
		return time.Time{}
	}
	return time.Unix(min(s, lastSecond), 0).UTC()
}

// active reports whether it is a contact at present.
func (c Contact) active() bool { return seconds(c.Added) > seconds(c.Removed) }

// gone reports whether it is neither a contact nor banned.
func (c Contact) gone() bool { return !c.active() && !c.Banned }

// add makes it a contact, from now on if it was none.
func (c *Contact) add(now time.Time) {
	if c.active() {
		return
	}
	c.Added = moment(max(seconds(now), seconds(c.Removed)+1))
	c.Banned = false
}

// drop ends its being a contact.
func (c *Contact) drop(now time.Time, ban bool) {
	if !c.active() && c.Banned == ban && !c.Removed.IsZero() {
		return
	}
	c.Removed = moment(max(seconds(now), seconds(c.Added), seconds(c.Removed)+1))
	c.Confirmed, c.Asked, c.Banned = false, false, ban
}

// whole completes a contact that was stored without the time of its ban.
func (c Contact) whole() Contact {
	if c.Banned && c.active() {
		c.Removed = c.Added
	}
	return c
}

// merge takes over what another device knows better, and reports whether that changes anything.
func (c *Contact) merge(o Contact) (changed bool) {
	before := *c
	if seconds(o.Added) > seconds(c.Added) {
		c.Added, c.Conversation = o.Added, o.Conversation
	}
	if seconds(o.Removed) > seconds(c.Removed) {
		c.Removed, c.Banned = o.Removed, o.Banned
	}
	if c.active() {
		c.Banned = false
		if o.active() {
			c.Confirmed = c.Confirmed || o.Confirmed
			if c.Conversation == "" {
				c.Conversation = o.Conversation
			}
		}
	} else {
		c.Confirmed, c.Asked = false, false
	}
	return *c != before
}

// AllContacts lists the contacts, the banned, and those that were removed: what another device of
// the account is told.
func (a *Account) AllContacts() []Contact {
	a.book.mu.RLock()
	defer a.book.mu.RUnlock()
	return a.book.listLocked()
}

// OnContactsChanged registers who is told that AllContacts has changed. It must not block, nor
// call the account.
func (a *Account) OnContactsChanged(f func()) {
	a.book.mu.Lock()
	a.book.changed = f
	a.book.mu.Unlock()
}

// MergeContacts takes over what another device of the account knows of the contacts. Who becomes a
// confirmed contact by it is told to who registered with OnMergedContact; who may not connect any
// longer is disconnected. The error is that of saving them.
func (a *Account) MergeContacts(theirs []Contact) error {
	confirmed, err := a.book.merge(a.ID(), theirs)
	a.dropUnadmitted()
	a.mu.Lock()
	f := a.onMerged
	a.mu.Unlock()
	for _, c := range confirmed {
		if f != nil {
			f(c)
		}
	}
	return err
}

// OnMergedContact registers who is told of accounts that became contacts on another device. It
// must not block.
func (a *Account) OnMergedContact(f func(Contact)) {
	a.mu.Lock()
	a.onMerged = f
	a.mu.Unlock()
}

// merge returns those that are confirmed contacts now and were not.
func (b *book) merge(own value.Key, theirs []Contact) (confirmed []Contact, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	any := false
	for _, o := range theirs {
		if o.Account == own || o.Account.IsZero() {
			continue
		}
		c, full := b.placeLocked(o.Account)
		if full != nil {
			err = full
			break
		}
		before := c
		if !c.merge(o) {
			continue
		}
		any = true
		b.contacts[o.Account] = c
		if !c.gone() {
			delete(b.requests, o.Account)
		}
		if c.Confirmed && !before.Confirmed {
			confirmed = append(confirmed, c)
		}
	}
	if any {
		err = errors.Join(err, b.saveLocked())
	}
	return confirmed, err
}

// lookupLocked finds a contact or who is banned; b.mu is held.
func (b *book) lookupLocked(account value.Key) (Contact, bool) {
	c, known := b.contacts[account]
	if !known || c.gone() {
		return Contact{}, false
	}
	return c, true
}

// placeLocked returns the entry of an account or a new one, for which it makes room by forgetting
// who was removed the longest ago; b.mu is held.
func (b *book) placeLocked(account value.Key) (Contact, error) {
	if c, known := b.contacts[account]; known {
		return c, nil
	}
	if len(b.contacts) >= maxContacts {
		oldest, found := Contact{}, false
		for _, c := range b.contacts {
			if c.gone() && (!found || c.Removed.Before(oldest.Removed)) {
				oldest, found = c, true
			}
		}
		if !found {
			return Contact{}, errors.New("account: too many contacts")
		}
		delete(b.contacts, oldest.Account)
	}
	return Contact{Account: account}, nil
}

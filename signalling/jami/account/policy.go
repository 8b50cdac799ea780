package account

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"rendezvous/conference/settings"
	"rendezvous/dht/value"
	"rendezvous/internal/atomicfile"
	"rendezvous/signalling/jami/connection"
)

// Policy is who may connect, and become a contact.
type Policy struct {
	Admission settings.Calls // whose connections, and so calls, are accepted
	// Allowed are the accounts of a list; they may connect under
	// CallsContacts as well.
	Allowed  []value.Key
	Requests settings.Requests
}

func (p *Policy) validate() error {
	if p.Admission == "" {
		p.Admission = settings.CallsPublic
	}
	if p.Requests == "" {
		p.Requests = settings.RequestsModerated
	}
	switch p.Admission {
	case settings.CallsPublic, settings.CallsContacts, settings.CallsList:
	default:
		return fmt.Errorf("account: unknown admission %q (want public, contacts or list)", p.Admission)
	}
	switch p.Requests {
	case settings.RequestsModerated, settings.RequestsAutomatic, settings.RequestsRefused:
		return nil
	}
	return fmt.Errorf("account: unknown treatment of contact requests %q (want moderated, automatic or refused)", p.Requests)
}

// Contact is an account that we know.
type Contact struct {
	Account value.Key `json:"account"`
	Added   time.Time `json:"added"`
	// Removed is when the account was last removed or banned. It is a contact if it was added
	// after that.
	Removed time.Time `json:"removed,omitzero"`
	// Confirmed is set when the other side accepted our request, or we theirs.
	Confirmed bool `json:"confirmed,omitempty"`
	// Asked is set when we asked it to be a contact.
	Asked bool `json:"asked,omitempty"`
	// Conversation is the one-to-one conversation with the contact, if any.
	Conversation string `json:"conversation,omitempty"`
	Banned       bool   `json:"banned,omitempty"`
}

// Bounds on what strangers can make us keep.
const (
	maxRequests = 256
	maxContacts = 16384
)

// book holds the policy, the contacts with the banned, and the requests that
// wait for a moderator. All but the policy is kept in a file.
type book struct {
	path string

	mu       sync.RWMutex // guards the rest
	policy   Policy
	contacts map[value.Key]Contact // also those that were removed, for our other devices
	requests map[value.Key]TrustRequest
	changed  func() // nil or called when contacts have changed; must not block
}

type bookFile struct {
	Contacts []Contact      `json:"contacts"`
	Requests []TrustRequest `json:"requests"`
}

func openBook(path string, p Policy) (*book, error) {
	if err := p.validate(); err != nil {
		return nil, err
	}
	b := &book{path: path, policy: p, contacts: map[value.Key]Contact{}, requests: map[value.Key]TrustRequest{}}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	var f bookFile
	if err == nil {
		err = json.Unmarshal(text, &f)
	}
	if err != nil {
		return nil, fmt.Errorf("account: contacts: %w", err)
	}
	for _, c := range f.Contacts {
		b.contacts[c.Account] = c.whole()
	}
	for _, r := range f.Requests {
		b.requests[r.Account] = r
	}
	return b, nil
}

// saveLocked replaces the file; b.mu is held.
func (b *book) saveLocked() error {
	f := bookFile{Contacts: b.listLocked(), Requests: b.waitingLocked()}
	text, err := json.MarshalIndent(f, "", "\t")
	if err != nil {
		return fmt.Errorf("account: contacts: %w", err)
	}
	if err := writePrivate(b.path, text); err != nil {
		return err
	}
	if b.changed != nil {
		b.changed()
	}
	return nil
}

// writePrivate replaces a file that is for its owner only.
func writePrivate(path string, content []byte) error {
	err := atomicfile.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = atomicfile.Write(path, content, 0o600)
	}
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	return nil
}

func (b *book) listLocked() []Contact {
	out := make([]Contact, 0, len(b.contacts))
	for _, c := range b.contacts {
		out = append(out, c)
	}
	slices.SortFunc(out, func(x, y Contact) int { return strings.Compare(x.Account.String(), y.Account.String()) })
	return out
}

func (b *book) waitingLocked() []TrustRequest {
	out := make([]TrustRequest, 0, len(b.requests))
	for _, r := range b.requests {
		out = append(out, r)
	}
	slices.SortFunc(out, func(x, y TrustRequest) int { return x.Received.Compare(y.Received) })
	return out
}

// admits applies the policy to an account.
func (b *book) admits(account value.Key) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	c, known := b.lookupLocked(account)
	if known && c.Banned {
		return false
	}
	switch b.policy.Admission {
	case settings.CallsPublic:
		return true
	case settings.CallsContacts:
		return known || slices.Contains(b.policy.Allowed, account)
	default:
		return slices.Contains(b.policy.Allowed, account)
	}
}

// Admits reports whether the devices of an account may connect at present, by the policy, and by who
// is a contact or banned. The account's other devices may always connect.
func (a *Account) Admits(account value.Key) bool {
	return account == a.ID() || a.book.admits(account)
}

// update changes one contact and saves.
func (b *book) update(account value.Key, change func(*Contact)) (Contact, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, err := b.placeLocked(account)
	if err != nil {
		return Contact{}, err
	}
	change(&c)
	return c, b.putLocked(c)
}

// putLocked replaces a contact, which is no request any more, and saves. If that fails nothing has changed, except that who is
// banned is kept out until the program ends; b.mu is held.
func (b *book) putLocked(c Contact) error {
	before, known := b.contacts[c.Account]
	request, asked := b.requests[c.Account]
	b.contacts[c.Account] = c
	delete(b.requests, c.Account)
	err := b.saveLocked()
	if err == nil || c.Banned {
		return err
	}
	if delete(b.contacts, c.Account); known {
		b.contacts[c.Account] = before
	}
	if asked {
		b.requests[c.Account] = request
	}
	return err
}

func (b *book) remove(account value.Key, now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, known := b.lookupLocked(account)
	if !known {
		return fmt.Errorf("%w: %s", ErrNoContact, account)
	}
	c.drop(now, false)
	return b.putLocked(c)
}

// Policy is who may connect at present.
func (a *Account) Policy() Policy {
	a.book.mu.RLock()
	defer a.book.mu.RUnlock()
	return a.book.policy
}

// SetPolicy changes who may connect, and ends connections that it does not admit. A policy with
// an unknown word is refused, and the former one stays.
func (a *Account) SetPolicy(p Policy) error {
	if err := p.validate(); err != nil {
		return err
	}
	a.book.mu.Lock()
	a.book.policy = p
	a.book.mu.Unlock()
	a.dropUnadmitted()
	return nil
}

// Contacts lists the contacts, the banned among them.
func (a *Account) Contacts() []Contact {
	a.book.mu.RLock()
	defer a.book.mu.RUnlock()
	return slices.DeleteFunc(a.book.listLocked(), Contact.gone)
}

// AddContact makes an account a contact, and unbans it. Nobody is asked whether they agree: Ask
// does that. It fails if the contact cannot be saved, or there are as many as an account may
// have; nothing has changed then.
func (a *Account) AddContact(account value.Key) error {
	_, err := a.book.update(account, func(c *Contact) { c.add(a.cfg.Now()) })
	return err
}

// ErrNoContact says that the account is no contact, nor banned.
var ErrNoContact = errors.New("account: no such contact")

// RemoveContact forgets a contact; a ban goes with it. The error wraps ErrNoContact, or is the
// disk's.
func (a *Account) RemoveContact(account value.Key) error {
	if err := a.book.remove(account, a.cfg.Now()); err != nil {
		return err
	}
	a.stopAsking(account)
	a.dropUnadmitted()
	return nil
}

// Ban refuses an account, all its devices, from now on, and ends its
// connections.
func (a *Account) Ban(account value.Key) error {
	_, err := a.book.update(account, func(c *Contact) { c.drop(a.cfg.Now(), true) })
	a.stopAsking(account)
	a.dropUnadmitted()
	return err
}

// dropUnadmitted ends the connections of accounts that may not connect any
// longer.
func (a *Account) dropUnadmitted() {
	a.endpoint.Disconnect(func(p connection.Peer) bool { return !a.Admits(p.Account) })
}

package dht

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"rendezvous/dht/identity"
	"rendezvous/dht/value"
)

// FindCertificate looks up the certificate chain of a key, usually a device's, wherever old and new nodes publish it.
// A chain that verifies (identity.Chain.Verify) is preferred; one that has no issuer to verify it is returned only
// if there is no other. The error is ErrNotFound if there is none.
func (n *Node) FindCertificate(ctx context.Context, id identity.KeyIDs) (identity.Chain, error) {
	var keys []Key
	if !id.Short.IsZero() {
		keys = append(keys, id.Short)
	}
	if !id.Long.IsZero() {
		keys = append(keys, id.Long.Key())
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("find certificate: %w: no id given", ErrNotFound)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan certificateResult, len(keys))
	for _, key := range keys {
		go func() { results <- n.certificateAt(ctx, key, id) }()
	}
	var best certificateResult
	for range keys {
		r := <-results
		if best.chain == nil || best.err != nil && r.err == nil {
			best = r
		}
		if r.err == nil {
			cancel() // the other look-up is of no more use, and ends at once
		}
	}
	if best.chain == nil {
		return nil, fmt.Errorf("find certificate of %s: %w", id, best.err)
	}
	if best.err != nil && len(best.chain) > 1 {
		return nil, fmt.Errorf("find certificate of %s: %w", id, best.err)
	}
	return best.chain, nil
}

// certificateResult is a chain, and why it should not be trusted; or no chain, and why there is none.
type certificateResult struct {
	chain identity.Chain
	err   error
}

// certificateAt looks at one key.
func (n *Node) certificateAt(ctx context.Context, key Key, id identity.KeyIDs) certificateResult {
	best := certificateResult{err: ErrNotFound}
	for v, err := range n.Get(ctx, key, WhereType(value.Certificate)) {
		if err != nil {
			if best.chain == nil && !errors.Is(err, context.Canceled) {
				best.err = err
			}
			break
		}
		chain, err := identity.ParseCertificateValue(v)
		if err != nil || !id.Match(chain[0]) {
			continue
		}
		err = chain.Verify(time.Now())
		if err == nil {
			return certificateResult{chain: chain}
		}
		best = certificateResult{chain, err}
	}
	return best
}

// PublishCertificate keeps a chain on the DHT at both places where it is looked for: the short id of its key, and for
// newer nodes the place derived from the long id. It fails for an empty chain (identity.ErrChain), one that is too large
// for a value (value.ErrTooLarge), and with ErrClosed; whether nodes took it, Wait tells.
func (n *Node) PublishCertificate(ctx context.Context, chain identity.Chain) (*Permanent, error) {
	ops, err := certificatePuts(chain)
	if err != nil {
		return nil, err
	}
	return n.keep(ctx, ops...)
}

func certificatePuts(chain identity.Chain) ([]*putOp, error) {
	if len(chain) == 0 {
		return nil, fmt.Errorf("publish certificate: %w: empty", identity.ErrChain)
	}
	v := identity.CertificateValue(chain)
	old, err := newPut(chain[0].ID(), v, true)
	if err != nil {
		return nil, fmt.Errorf("publish certificate: %w", err)
	}
	current, err := newPut(chain[0].LongID().Key(), v, true)
	if err != nil {
		return nil, fmt.Errorf("publish certificate: %w", err)
	}
	return []*putOp{old, current}, nil
}

// PublishAccount keeps an account found: first the device's certificate, and once that is there the announcement: who
// sees the announcement looks for the certificate at once. Wait on the result waits for both. It fails as
// PublishCertificate does.
func (n *Node) PublishAccount(ctx context.Context, account *identity.Account) (*Permanent, error) {
	ops, err := certificatePuts(account.Device.Chain)
	if err != nil {
		return nil, err
	}
	announcement, err := newPut(account.ID(), account.Announcement, true)
	if err != nil {
		return nil, fmt.Errorf("publish account: %w", err)
	}
	return n.keep(ctx, append(ops, announcement)...)
}

// FindDevices yields the devices of an account that announce themselves and whose certificate proves it, each once.
// Errors are those of Get; a device whose certificate is missing or wrong is left out, and so are those whose short ids are in
// except, for which no certificate is looked up: who looks for the other devices of their own account finds their own each time.
func (n *Node) FindDevices(ctx context.Context, account Key, except ...Key) iter.Seq2[identity.Chain, error] {
	return func(yield func(identity.Chain, error) bool) {
		seen := map[Key]bool{}
		for v, err := range n.Get(ctx, account, WhereOwner(account)) {
			if err != nil {
				yield(nil, err)
				return
			}
			a, err := identity.ParseAnnouncement(v, account)
			if err != nil || seen[a.Device] || slices.Contains(except, a.Device) {
				continue
			}
			seen[a.Device] = true
			chain, err := n.DeviceChain(ctx, account, a)
			if err != nil {
				n.log.Debug("device without a usable certificate", "account", account, "device", a.Device, "error", err)
				continue
			}
			if !yield(chain, nil) {
				return
			}
		}
	}
}

// DeviceChain looks up the certificate of an announced device and checks that the account issued it. The error is that of
// FindCertificate, or wraps identity.ErrChain: another account's, or a chain that does not verify now.
func (n *Node) DeviceChain(ctx context.Context, account Key, a *identity.Announcement) (identity.Chain, error) {
	ids := identity.KeyIDs{Short: a.Device}
	if a.PublicKey != nil {
		ids = identity.IDsOf(a.PublicKey)
	}
	chain, err := n.FindCertificate(ctx, ids)
	if err != nil {
		return nil, err
	}
	if owner, err := chain.AccountID(); err != nil || owner != account {
		return nil, fmt.Errorf("%w: device %s is not of account %s", identity.ErrChain, a.Device, account)
	}
	return chain, chain.Verify(time.Now())
}

// maxRevocationLists bounds the lists taken from one key: an account has one, and anybody can put others.
const maxRevocationLists = 16

// FindRevocations looks up what an account says about devices that are its no longer; most accounts say nothing. Give the
// lists to identity.Chain.Verify, which trusts only those that the account's own key signed. The other look-ups here do
// not ask for them: who lets a device in should, once, together with FindCertificate. The error is that of Get; the lists
// found before it are returned too.
func (n *Node) FindRevocations(ctx context.Context, account Key) ([]*identity.RevocationList, error) {
	var lists []*identity.RevocationList
	for v, err := range n.Get(ctx, account, WhereType(value.UserData)) {
		if err != nil {
			return lists, fmt.Errorf("find revocations of %s: %w", account, err)
		}
		list, err := identity.ParseRevocationValue(v)
		if err != nil {
			continue // an announcement, most likely
		}
		if lists = append(lists, list); len(lists) == maxRevocationLists {
			break
		}
	}
	return lists, nil
}

package account

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"rendezvous/dht"
	"rendezvous/dht/identity"
	"rendezvous/dht/value"
	"rendezvous/signalling/jami/connection"
)

// ErrOffline says that no device of an account is announced on the DHT.
var ErrOffline = errors.New("account: no device online")

// certificates is the node with a memory for other devices' chains.
type certificates struct {
	node  Node
	store *identity.Store
	now   func() time.Time
}

func (c *certificates) Listen(ctx context.Context, key dht.Key, opts ...dht.Option) (<-chan dht.Event, error) {
	return c.node.Listen(ctx, key, opts...)
}

func (c *certificates) PutEncrypted(ctx context.Context, from *identity.Identity, to *value.PublicKey, key dht.Key, v *dht.Value) error {
	return c.node.PutEncrypted(ctx, from, to, key, v)
}

// FindCertificate prefers a chain that verified before and still does.
func (c *certificates) FindCertificate(ctx context.Context, id identity.KeyIDs) (identity.Chain, error) {
	if chain, ok := c.store.Lookup(id); ok && chain.Verify(c.now()) == nil {
		return chain, nil
	}
	chain, err := c.node.FindCertificate(ctx, id)
	if err != nil {
		return nil, err
	}
	if id.Match(chain.Leaf()) && chain.Verify(c.now()) == nil {
		if err := c.store.Pin(chain); err != nil {
			return nil, fmt.Errorf("account: %w", err)
		}
	}
	return chain, nil
}

// Devices yields the devices of an account that announce themselves on the DHT
// and whose certificate proves that they are the account's; of our own account the others.
func (a *Account) Devices(ctx context.Context, account value.Key) iter.Seq2[connection.Peer, error] {
	return func(yield func(connection.Peer, error) bool) {
		for chain, err := range a.cfg.Node.FindDevices(ctx, account, a.Device().Short) {
			if err != nil {
				if !yield(connection.Peer{}, fmt.Errorf("account: devices of %s: %w", account, err)) {
					return
				}
				continue
			}
			leaf := chain.Leaf()
			if owner, err := chain.AccountID(); err != nil || owner != account || chain.Verify(a.cfg.Now()) != nil {
				continue // somebody else's announcement
			}
			if err := a.certs.store.Pin(chain); err != nil {
				a.log.Warn("account: remembering a certificate", "error", err)
			}
			p := connection.Peer{Account: account, Device: identity.KeyIDs{Short: leaf.ID(), Long: leaf.LongID()}, Chain: chain}
			if !yield(p, nil) {
				return
			}
		}
	}
}

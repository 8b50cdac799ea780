package dht

import (
	"context"
	"errors"
	"iter"
	"net/netip"

	"rendezvous/dht/identity"
	"rendezvous/dht/value"
)

// Errors of a node's calls.
var (
	// ErrClosed says that the node was closed, or not started.
	ErrClosed = errors.New("dht: node is closed")
	// ErrNoNodes says that no node answered: we are alone or cut off.
	ErrNoNodes = errors.New("dht: no node answered")
	// ErrNotFound says that what was looked for is not on the DHT.
	ErrNotFound = errors.New("dht: not found")
	// ErrTooManyOperations says that the node has as many searches as its limits allow.
	ErrTooManyOperations = errors.New("dht: too many operations")
)

// Node is one node of the DHT. All methods are safe for many goroutines.
type Node struct{}

// New makes a node, which does nothing before Start. It reads the state file, and reports what is wrong with the config.
func New(cfg Config) (*Node, error) { return nil, errors.ErrUnsupported }

// Start binds the sockets and joins the network in the background, until ctx ends or Close is called.
func (n *Node) Start(ctx context.Context) error { return errors.ErrUnsupported }

// Close saves the state, ends every operation and waits for all goroutines of the node.
func (n *Node) Close() error { return errors.ErrUnsupported }

// ID returns the node id.
func (n *Node) ID() Key { return Key{} }

// Addrs returns the bound addresses, IPv4 first; it is valid after Start.
func (n *Node) Addrs() []netip.AddrPort { return nil }

// WaitConnected returns when at least one other node has answered lately.
func (n *Node) WaitConnected(ctx context.Context) error { return errors.ErrUnsupported }

// ConnectivityChanged tells the node that the host's addresses or routes changed: everything known is checked anew at once.
func (n *Node) ConnectivityChanged() {}

// Bootstrap asks another node, host:port, to let us join through it, besides those of the Config.
func (n *Node) Bootstrap(ctx context.Context, address string) error { return errors.ErrUnsupported }

// Option narrows a Get or a Listen, or says how its values are to be handed on.
type Option func(*request)

type request struct{}

// WhereID asks for the value with this id only.
func WhereID(id uint64) Option { return func(*request) {} }

// WhereType asks for values of one type.
func WhereType(t value.Type) Option { return func(*request) {} }

// WhereUserType asks for values of one user type, such as "peer_request".
func WhereUserType(text string) Option { return func(*request) {} }

// WhereOwner asks for values signed by the key with this short id.
func WhereOwner(id Key) Option { return func(*request) {} }

// DecryptWith hands on encrypted values decrypted by the identity, and drops those that are not for it. The Where
// conditions then apply to what is inside, so nothing of them is told to other nodes. Plain values are handed on too;
// require v.IsSigned, and v.To, where that matters.
func DecryptWith(id *identity.Identity) Option { return func(*request) {} }

// Get looks a key up and yields its values as they come, each once, with signatures checked. It ends when the closest
// nodes have answered, or with an error: the context's, ErrNoNodes, ErrClosed. Breaking off ends the search.
func (n *Node) Get(ctx context.Context, key Key, opts ...Option) iter.Seq2[*Value, error] { return nil }

// Put publishes a value once; it lives for its type's lifetime. It fills in v.ID if that is zero. Put returns when
// the nodes closest to the key have acknowledged it: with nil if any did, which is no promise that they keep it (get it to be sure).
func (n *Node) Put(ctx context.Context, key Key, v *Value) error { return errors.ErrUnsupported }

// PutSigned signs v as who and puts it. If a value of the same id and owner is there, v takes the next sequence number and
// so replaces it.
func (n *Node) PutSigned(ctx context.Context, who *identity.Identity, key Key, v *Value) error {
	return errors.ErrUnsupported
}

// PutEncrypted signs v as from, encrypts it so that only the holder of to can read it, and puts it.
func (n *Node) PutEncrypted(ctx context.Context, from *identity.Identity, to *value.PublicKey, key Key, v *Value) error {
	return errors.ErrUnsupported
}

// Permanent is a value that is kept on the DHT.
type Permanent struct{}

// PutPermanent keeps a value on the DHT: it is put, refreshed before it expires, and put on nodes that come to be closest
// to the key, until ctx ends, Cancel is called or the node is closed. It fills in v.ID if that is zero, and does not wait.
func (n *Node) PutPermanent(ctx context.Context, key Key, v *Value) (*Permanent, error) {
	return nil, errors.ErrUnsupported
}

// Wait returns nil once the closest nodes have acknowledged the value for the first time.
func (p *Permanent) Wait(ctx context.Context) error { return errors.ErrUnsupported }

// Cancel stops refreshing the value; the nodes that hold it let it expire.
func (p *Permanent) Cancel() {}

// Event is a value that appeared at a key, or went.
type Event struct {
	Value *Value
	// Expired is set when the value went: no node holds it any longer.
	Expired bool
}

// Listen delivers the values at a key: those there, then new ones as they are put, and the expiry of each.
// The channel is closed when ctx ends or the node is closed. A reader that is slower than the events loses the oldest
// of those waiting (Limits.EventBacklog).
func (n *Node) Listen(ctx context.Context, key Key, opts ...Option) (<-chan Event, error) {
	return nil, errors.ErrUnsupported
}

// FindCertificate looks up the certificate chain of a key, usually a device's, wherever old and new nodes publish it.
// The chain is the key's; it is verified if it has an issuer (identity.Chain.Verify), and a chain without one is returned
// only if there is no other. The error is ErrNotFound if there is none.
func (n *Node) FindCertificate(ctx context.Context, id identity.KeyIDs) (identity.Chain, error) {
	return nil, errors.ErrUnsupported
}

// PublishCertificate keeps a chain on the DHT at both places where it is looked for.
func (n *Node) PublishCertificate(ctx context.Context, chain identity.Chain) (*Permanent, error) {
	return nil, errors.ErrUnsupported
}

// PublishAccount keeps an account found: first the device's certificate, and once that is there the announcement.
// Wait on the result waits for both.
func (n *Node) PublishAccount(ctx context.Context, account *identity.Account) (*Permanent, error) {
	return nil, errors.ErrUnsupported
}

// FindDevices yields the devices of an account that announce themselves and whose certificate proves it.
func (n *Node) FindDevices(ctx context.Context, account Key) iter.Seq2[identity.Chain, error] {
	return nil
}

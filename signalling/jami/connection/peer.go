package connection

import (
	"strings"
	"sync"

	"rendezvous/dht/identity"
	"rendezvous/dht/value"
	"rendezvous/signalling/jami/connection/mux"
)

// Peer is a device at the other end of a connection, and whose it is.
type Peer struct {
	// Account is the id of the account key that issued the device's
	// certificate.
	Account value.Key
	// Device holds both ids of the device key.
	Device identity.KeyIDs
	// Chain is device, account, CA as verified.
	Chain identity.Chain
}

// newPeer takes a verified chain apart.
func newPeer(chain identity.Chain) (Peer, error) {
	account, err := chain.AccountID()
	if err != nil {
		return Peer{}, err
	}
	leaf := chain.Leaf()
	return Peer{
		Account: account,
		Device:  identity.KeyIDs{Short: leaf.ID(), Long: leaf.LongID()},
		Chain:   chain,
	}, nil
}

// Channel is a named byte stream to a device: a net.Conn that knows its peer.
type Channel struct {
	*mux.Channel
	peer Peer
}

// Peer is the proven other end.
func (c *Channel) Peer() Peer { return c.peer }

// Handler takes the channels of one kind that peers open. Its functions are
// called in goroutines of their own, several at a time.
type Handler struct {
	// Accept decides about a channel; nil takes every one.
	Accept func(peer Peer, name string) bool
	// Serve has the channel until it returns, which closes it. It must return
	// soon after the channel ended (Read tells).
	Serve func(ch *Channel)
}

// handlers finds who serves a channel name.
type handlers struct {
	mu     sync.RWMutex // guards byName
	byName map[string]Handler
}

func (h *handlers) set(pattern string, to Handler) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.byName == nil {
		h.byName = make(map[string]Handler)
	}
	h.byName[pattern] = to
}

// find returns the handler of the exact name, else of the longest prefix that
// was registered (patterns that end in ":" or "/").
func (h *handlers) find(name string) (Handler, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if f, ok := h.byName[name]; ok {
		return f, true
	}
	var best string
	for p := range h.byName {
		if isPrefix := strings.HasSuffix(p, ":") || strings.HasSuffix(p, "/"); isPrefix &&
			strings.HasPrefix(name, p) && len(p) > len(best) {
			best = p
		}
	}
	f, ok := h.byName[best]
	return f, ok && best != ""
}

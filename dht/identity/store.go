package identity

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"rendezvous/dht/value"
	"rendezvous/internal/atomicfile"
)

// Store remembers other devices' chains that were found and verified once ("pinned"), by both ids of the device.
// It is safe for many goroutines.
type Store struct {
	dir string
	max int

	mu     sync.Mutex // guards the rest
	byLong map[value.LongID]Chain
	long   map[value.Key]value.LongID
	order  []value.LongID // oldest first
}

// OpenStore loads the chains kept in the folder dir, which is made if need be; an empty dir keeps them in memory only.
// The store holds at most max chains and forgets the oldest first. Files that cannot be read are left out and are the
// error, beside a store that can be used; a folder that cannot be read is an error without one.
func OpenStore(dir string, max int) (*Store, error) {
	s := &Store{dir: dir, max: max, byLong: map[value.LongID]Chain{}, long: map[value.Key]value.LongID{}}
	if dir == "" {
		return s, nil
	}
	if err := atomicfile.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open certificate store: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open certificate store: %w", err)
	}
	var broken []error
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".pem") {
			continue
		}
		var chain Chain
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err == nil {
			chain, err = ParseChain(text)
		}
		if err != nil {
			broken = append(broken, fmt.Errorf("certificate store: %s: %w", e.Name(), err))
			continue
		}
		s.remember(chain)
	}
	return s, errors.Join(broken...)
}

// remember adds a chain and returns the id of the one it pushed out, if any.
func (s *Store) remember(chain Chain) (pushed value.LongID) {
	id := chain[0].LongID()
	if _, known := s.byLong[id]; !known {
		s.order = append(s.order, id)
	}
	s.byLong[id] = chain
	s.long[chain[0].ID()] = id
	if len(s.order) > s.max {
		pushed = s.order[0]
		s.order = s.order[1:]
		delete(s.long, s.byLong[pushed][0].ID())
		delete(s.byLong, pushed)
	}
	return pushed
}

// Pin remembers a chain, which the caller has verified. A device's chain never changes in Jami: a second one replaces
// the first only if it is for the same key. It fails for an empty chain (ErrChain), and if the disk does: it is
// remembered until the program ends then.
func (s *Store) Pin(chain Chain) error {
	if len(chain) == 0 {
		return fmt.Errorf("pin certificate: %w: empty", ErrChain)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := chain[0].LongID()
	if old, ok := s.byLong[id]; ok && old.Equal(chain) {
		return nil
	}
	pushed := s.remember(chain)
	if s.dir == "" {
		return nil
	}
	if err := atomicfile.Write(s.path(id), chain.PEM(), 0o600); err != nil {
		return fmt.Errorf("pin certificate: %w", err)
	}
	if !pushed.IsZero() {
		if err := atomicfile.Remove(s.path(pushed)); err != nil {
			return fmt.Errorf("forget certificate: %w", err)
		}
	}
	return nil
}

func (s *Store) path(id value.LongID) string { return filepath.Join(s.dir, id.String()+".pem") }

// Lookup returns the pinned chain of a device, by whichever of its ids is known.
func (s *Store) Lookup(id KeyIDs) (Chain, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	long := id.Long
	if long.IsZero() {
		long = s.long[id.Short]
	}
	chain, ok := s.byLong[long]
	return chain, ok
}

// KeyIDs names a key, usually a device's, by its short id, its long id or both. Zero is unknown.
type KeyIDs struct {
	Short value.Key
	Long  value.LongID
}

// IDsOf returns both ids of a public key.
func IDsOf(pub *value.PublicKey) KeyIDs { return KeyIDs{pub.ID(), pub.LongID()} }

// ParseKeyIDs reads a short id (40 hex digits) or a long one (64); the other one of the two stays zero. Anything else
// is an error.
func ParseKeyIDs(text string) (KeyIDs, error) {
	if len(text) == 2*value.LongIDLen {
		long, err := value.ParseLongID(text)
		return KeyIDs{Long: long}, err
	}
	short, err := value.ParseKey(text)
	return KeyIDs{Short: short}, err
}

// Match reports whether the certificate is for the key, by the strongest id that is known.
func (id KeyIDs) Match(c *Certificate) bool {
	switch {
	case !id.Long.IsZero():
		return c.LongID() == id.Long
	case !id.Short.IsZero():
		return c.ID() == id.Short
	default:
		return false
	}
}

// String returns the long id if it is known, else the short one.
func (id KeyIDs) String() string {
	if !id.Long.IsZero() {
		return id.Long.String()
	}
	return id.Short.String()
}

package dht

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"

	"rendezvous/dht/wire"
	"rendezvous/internal/atomicfile"
)

// state is what survives a restart.
type state struct {
	ID    Key         `json:"id"`
	Nodes []stateNode `json:"nodes"`
}

type stateNode struct {
	ID   Key            `json:"id"`
	Addr netip.AddrPort `json:"addr"`
}

const (
	maxStateNodes = 512
	maxStateBytes = 1 << 20
)

// state returns the good nodes, the nearest first.
func (e *engine) state() state {
	s := state{ID: e.id}
	for _, f := range e.families() {
		for _, p := range e.tables[f].closest(e.id, maxStateNodes/2, func(p *peer) bool { return p.isGood(e.now) }) {
			s.Nodes = append(s.Nodes, stateNode{p.id, p.addr})
		}
	}
	return s
}

// loadOrPutAside is loadState of a file that is only a shortcut into the network: one that cannot be read is kept beside it,
// for whoever wants to know, and an empty state is returned. The error says so, or why that cannot be done either.
func loadOrPutAside(path string) (state, error) {
	s, err := loadState(path)
	if err == nil {
		return s, nil
	}
	aside := path + ".damaged"
	if e := atomicfile.Rename(path, aside); e != nil {
		return state{}, errors.Join(err, e)
	}
	return state{}, fmt.Errorf("%w; it is kept as %s", err, aside)
}

// loadState reads a state file; one that does not exist is an empty state.
func loadState(path string) (state, error) {
	var s state
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s, nil
	case err != nil:
		return s, fmt.Errorf("load DHT state: %w", err)
	case len(b) > maxStateBytes:
		return s, fmt.Errorf("load DHT state: %s has %d bytes", path, len(b))
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return state{}, fmt.Errorf("load DHT state %s: %w", path, err)
	}
	return s, nil
}

func (s state) nodes() []wire.Node {
	var nodes []wire.Node
	for _, n := range s.Nodes[:min(len(s.Nodes), maxStateNodes)] {
		if !n.ID.IsZero() && !isMartian(n.Addr) {
			nodes = append(nodes, wire.Node{ID: n.ID, Addr: n.Addr})
		}
	}
	return nodes
}

// save replaces the state file as a whole. A state without nodes does not replace one that has some.
func (s state) save(path string) error {
	if old, err := loadState(path); len(s.Nodes) == 0 && err == nil && old.ID == s.ID {
		return nil
	}
	b, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return fmt.Errorf("save DHT state: %w", err)
	}
	if err := atomicfile.Write(path, b, 0o600); err != nil {
		return fmt.Errorf("save DHT state: %w", err)
	}
	return nil
}

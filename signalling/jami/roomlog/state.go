package roomlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"sync"
	"time"

	"rendezvous/internal/atomicfile"
)

// state is what must outlive the program.
type state struct {
	path string

	mu   sync.Mutex // guards data
	data stateData
}

type stateData struct {
	Conversation string            `json:"conversation,omitempty"` // the room's own
	Meeting      *meeting          `json:"meeting,omitempty"`      // nil: none is on
	Files        map[string]string `json:"files,omitempty"`        // commit of a meeting's file: that of its sidecar
	Guest        map[string]string `json:"guest,omitempty"`        // conversations that we are to join: who invited us
}

// meeting is one that is on. Its call is shown as joinable in the conversation.
type meeting struct {
	Conference string    `json:"conference"` // decimal, as daemons name calls
	Began      time.Time `json:"began"`
	Seen       time.Time `json:"seen"` // when it was last known to be on
	People     []string  `json:"people,omitempty"`
}

func openState(path string) (*state, error) {
	s := &state{path: path}
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &s.data)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("roomlog: %s: %w", path, err)
	}
	return s, nil
}

func (s *state) get() stateData {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data
}

// note changes the state without saving it at once.
func (s *state) note(f func(*stateData)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.data)
}

// change changes the state and saves it. What f puts in place of maps and pointers is
// not written any more afterwards.
func (s *state) change(f func(*stateData)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.data)
	if err := atomicfile.WriteJSON(s.path, s.data, 0o600); err != nil {
		return fmt.Errorf("roomlog: %w", err)
	}
	return nil
}

// with is a copy of a map of the state in which key has a value; "" takes it out.
func with(m map[string]string, key, value string) map[string]string {
	next := maps.Clone(m)
	if next == nil {
		next = map[string]string{}
	}
	if next[key] = value; value == "" {
		delete(next, key)
	}
	return next
}

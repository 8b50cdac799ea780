package roomlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"rendezvous/conference"
	"rendezvous/internal/atomicfile"
)

const (
	// spoolBytes is how much of the disk a room's spool takes. It is taken at the start, so that what is said on a full disk has a
	// place: some thousand lines.
	spoolBytes = 256 << 10
	// mostSpooled bounds the events in it, mostLine the bytes of one.
	mostSpooled = 4096
	mostLine    = 16 << 10
)

// spool keeps on the disk what was said and ordered in the room until it is in the conversation: one event a line, and a zero
// byte at the end. What is in both after a crash is not written again (see resumeSpool).
type spool struct {
	path string

	mu    sync.Mutex // guards the rest
	f     *os.File   // nil: events are kept in memory only
	end   int64      // of the lines in the file
	lines []spooled  // that are not in the conversation, the oldest first
	last  uint64     // id
}

// spooled is an event in the spool; an id of 0 is none that is kept there.
type spooled struct {
	id    uint64
	After string `json:"after,omitempty"` // the newest commit of the conversation before the event; "" in files of earlier versions
	conference.Event
	line []byte
}

// openSpool opens the spool and returns what it holds. A spool that cannot be used is an error, beside which it works, in memory only.
func openSpool(path string) (s *spool, held []spooled, err error) {
	s = &spool{path: path}
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s, nil, fmt.Errorf("roomlog: %w", err)
	}
	text, _, _ = bytes.Cut(text, []byte{0})
	for line := range bytes.Lines(text) {
		e := spooled{line: line}
		if !bytes.HasSuffix(line, []byte("\n")) || json.Unmarshal(line, &e) != nil {
			break // a crash has cut it off; nothing was answered after it
		}
		s.last++
		e.id = s.last
		s.lines = append(s.lines, e)
	}
	held = append(held, s.lines...)
	if info, err := os.Stat(path); err == nil && info.Size() == spoolBytes && len(held) == 0 {
		if s.f, err = os.OpenFile(path, os.O_WRONLY, 0); err == nil { // as it is
			return s, nil, nil
		}
	}
	return s, held, s.rewrite()
}

// rewrite makes the file anew with what is in the spool; mu is held, or nobody else knows the spool yet.
func (s *spool) rewrite() error {
	s.closeFile()
	b := make([]byte, spoolBytes) // written, not only reserved: some file systems reserve nothing
	s.end = 0
	for _, l := range s.lines {
		s.end += int64(copy(b[s.end:spoolBytes-1], l.line))
	}
	err := atomicfile.Write(s.path, b, 0o600)
	if err == nil {
		s.f, err = os.OpenFile(s.path, os.O_WRONLY, 0)
	}
	if err != nil {
		return fmt.Errorf("roomlog: %w", err)
	}
	return nil
}

// add keeps events, and gives them their ids; they are on the disk when it returns without an error. Of more than it can hold the
// oldest go; dropped is how many.
func (s *spool) add(events []*spooled) (dropped int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []byte
	for _, e := range events {
		s.last++
		e.id = s.last
		line, err := json.Marshal(e)
		if err != nil || len(line) >= mostLine {
			continue // it is told to the conversation if nothing goes wrong
		}
		e.line = append(line, '\n')
		all = append(all, e.line...)
		s.lines = append(s.lines, *e)
	}
	for len(s.lines) > mostSpooled || s.size() >= spoolBytes {
		s.lines = s.lines[1:]
		dropped++
	}
	if s.f == nil || s.end+int64(len(all)) >= spoolBytes {
		return dropped, s.rewrite()
	}
	if _, err := s.f.WriteAt(append(all, 0), s.end); err != nil {
		return dropped, fmt.Errorf("roomlog: spool: %w", err)
	}
	if err := unix.Fdatasync(int(s.f.Fd())); err != nil {
		return dropped, fmt.Errorf("roomlog: spool: %w", err)
	}
	s.end += int64(len(all))
	return dropped, nil
}

func (s *spool) size() (n int64) {
	for _, l := range s.lines {
		n += int64(len(l.line))
	}
	return n
}

// done forgets events: they are in the conversation, or will never be.
func (s *spool) done(ids ...uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := s.lines[:0]
	for _, l := range s.lines {
		if !slices.Contains(ids, l.id) {
			left = append(left, l)
		}
	}
	clear(s.lines[len(left):])
	s.lines = left
	if len(left) == 0 && s.end > 0 && s.f != nil {
		// It need not be synced: what a crash brings back is found in the conversation.
		if _, err := s.f.WriteAt([]byte{0}, 0); err == nil {
			s.end = 0
		}
	}
}

// waiting is how many events are not in the conversation.
func (s *spool) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.lines)
}

func (s *spool) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closeFile()
}

func (s *spool) closeFile() {
	if s.f != nil {
		_ = s.f.Close() // what matters was synced
		s.f = nil
	}
}

package recordings

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"rendezvous/internal/atomicfile"
)

// markFile is the file in the folder of the recordings that tells it from another one at its place, such as the
// empty one on which its disk is to be mounted.
const markFile = "mark"

// mark is the folder of the recordings, and how to know that it is that.
type mark struct {
	dir    string // of the recordings
	memory string // a file elsewhere that remembers what is in dir's mark; "": nothing is checked
	id     string // what is in the mark; "": not known yet
}

// remembered is the memory's file.
type remembered struct {
	Dir string `json:"dir"`
	ID  string `json:"id"`
}

// recall reads the memory. It knows nothing of a folder that was not used before.
func (m *mark) recall() error {
	if m.memory == "" {
		return nil
	}
	data, err := os.ReadFile(m.memory)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var r remembered
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		return fmt.Errorf("which folder holds the recordings is not known: %s: %w", m.memory, err)
	}
	if r.Dir == m.place() {
		m.id = r.ID
	}
	return nil
}

// check returns an error that wraps ErrAway if the folder is known and another one is at its place, or none.
func (m *mark) check() error {
	if m.id == "" {
		return nil
	}
	id, err := readMark(m.dir)
	switch {
	case err == nil && id == m.id:
		return nil
	case err == nil || errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %s is not the folder that was used before (is its disk mounted?); if it is to begin anew, remove %s",
			ErrAway, m.dir, m.memory)
	}
	return fmt.Errorf("%w: %w", ErrAway, err)
}

// learn makes the folder and its mark, as far as they are missing, and remembers it. Once it has worked, it does nothing.
func (m *mark) learn() error {
	if m.id != "" {
		return nil
	}
	if err := atomicfile.MkdirAll(m.dir, 0o700); err != nil || m.memory == "" {
		return err
	}
	id, err := readMark(m.dir)
	if errors.Is(err, fs.ErrNotExist) {
		var b [8]byte
		_, _ = rand.Read(b[:]) // never fails
		id = hex.EncodeToString(b[:])
		err = atomicfile.Write(filepath.Join(m.dir, markFile), []byte(id+"\n"), 0o600)
	}
	if err != nil {
		return err
	}
	if err := atomicfile.WriteJSON(m.memory, remembered{m.place(), id}, 0o600); err != nil {
		return err
	}
	m.id = id
	return nil
}

// place is the folder's absolute path.
func (m *mark) place() string {
	if abs, err := filepath.Abs(m.dir); err == nil {
		return abs
	}
	return m.dir
}

func readMark(dir string) (string, error) {
	data, err := os.ReadFile(filepath.Join(dir, markFile))
	return strings.TrimSpace(string(data)), err
}

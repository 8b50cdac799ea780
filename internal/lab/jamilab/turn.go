package jamilab

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// turn keeps a lab's place among those of other test processes on this machine: many at a time, or one alone. The
// kernel gives it up with the process.
type turn struct{ place *os.File }

// takeTurn waits for a place. Whoever wants to be alone waits for the others with the gate shut, so that no newcomer
// overtakes them.
func takeTurn(alone bool) (*turn, error) {
	gate, err := lock("gate", syscall.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer gate.Close()
	how := syscall.LOCK_SH
	if alone {
		how = syscall.LOCK_EX
	}
	place, err := lock("place", how)
	if err != nil {
		return nil, err
	}
	return &turn{place}, nil
}

func (t *turn) end() { t.place.Close() }

// lock opens a file in the folder for temporary ones, and waits for a lock of it.
func lock(name string, how int) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(os.TempDir(), "jamilab."+name), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("jamilab: %w", err)
	}
	for {
		err := syscall.Flock(int(f.Fd()), how)
		if err == nil {
			return f, nil
		}
		if err != syscall.EINTR {
			f.Close()
			return nil, fmt.Errorf("jamilab: lock %s: %w", f.Name(), err)
		}
	}
}

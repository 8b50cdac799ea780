package jamilab

import (
	"os"
	"path/filepath"
	"strings"
)

// Running reports whether the daemon's process is there. One that has crashed is not.
func (p *Peer) Running() bool {
	// "pid starttime", as lab.sh has written it down; the start tells a process from another one
	// that was given its number later.
	recorded, err := os.ReadFile(filepath.Join(p.lab.run(), "pids", p.name+".jamid"))
	if err != nil {
		return false
	}
	pid, began, _ := strings.Cut(strings.TrimSpace(string(recorded)), " ")
	stat, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		return false
	}
	// proc(5): the program's name, in parentheses, may hold anything; state and starttime are the first
	// and the 20th field behind it.
	f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	return len(f) > 19 && f[0] != "Z" && f[19] == began
}

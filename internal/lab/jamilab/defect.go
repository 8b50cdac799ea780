package jamilab

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The daemon of 2023 breaks by itself now and then. A test that fails asks what its daemons have
// done: one that has visibly broken can prove nothing, and the test begins anew with fresh ones.
// What is recognised is what was done by the daemon, never what was expected of it:
//
//   - It ended, and nobody ended it: several of its threads take media up and down without a
//     lock between them, and free a receiver twice.
//   - It is locked up: its threads wait for each other's mutexes, or one for its own. One holds a call's and
//     wants that of pjsip's dialog; another has taken a SIP message off a channel, holds the
//     dialog's and wants the call's. Any request may meet the daemon as it sends within the dialog. And a
//     SIP message that is there when it makes a channel into a transport is handled with the
//     mutex held that a new call wants.
//   - It is deaf: a connection has bytes for it that it does not read.
//   - It is hasty: it has ended a connection, and the call on it, for want of an answer that it had.

// watched is how long a daemon is looked at before it is called locked up or deaf.
const watched = 3 * time.Second

// defects looks at the daemons of a lab, one line for each that has broken.
func (l *Lab) defects() (broken []string) {
	names, err := os.ReadFile(filepath.Join(l.run(), "peers"))
	if err != nil {
		return nil
	}
	peers := strings.Fields(string(names))
	before := map[string]look{}
	for _, p := range peers {
		before[p] = l.look(p)
	}
	time.Sleep(watched)
	for _, p := range peers {
		if what := before[p].and(l.look(p)); what != "" {
			broken = append(broken, p+" "+what)
		}
	}
	return broken
}

// watch looks at the daemons of a lab until the function it returns is called. What is waited for of one whose
// threads wait for each other is not waited for longer.
func (l *Lab) watch() (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		before := map[*Peer][]string{}
		for tick := time.NewTicker(watched); ; {
			select {
			case <-done:
				tick.Stop()
				return
			case <-tick.C:
			}
			for _, p := range l.peers {
				locks := l.locks(p.name)
				if circle(both(before[p], locks)) {
					p.lockedUp()
				}
				before[p] = locks
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

// Defect looks at the daemon for a while and returns what it has broken by: the kind, and behind a colon
// what tells it. It is "" of one that works.
func (p *Peer) Defect() string {
	before := p.lab.look(p.name)
	time.Sleep(watched)
	return before.and(p.lab.look(p.name))
}

// look is what is seen of a daemon from outside at one moment.
type look struct {
	ended  string   // though nobody ended it: its last words
	locks  []string // of each thread that waits for a mutex: the thread, the mutex, the thread that holds that
	unread []string // connections with bytes to be read, and how many
	hasty  string   // the line by which it gave up a connection that had answered
}

// and is what is wrong with a daemon, by two looks at it.
func (a look) and(b look) string {
	switch locks, unread := both(a.locks, b.locks), both(a.unread, b.unread); {
	case b.ended != "":
		return "has ended by itself; its last words: " + b.ended
	case circle(locks) || mutexes(locks) >= 2: // of one mutex alone, somebody may take long with it
		return fmt.Sprintf("is locked up: for %v these threads wait for these mutexes that those hold: %s", watched, strings.Join(locks, ", "))
	case b.hasty != "":
		return "has given up a connection that had answered: it had read what came after the answer, but not got round to that itself: " + b.hasty
	case len(unread) > 0:
		return fmt.Sprintf("is deaf: for %v it has not read %s", watched, strings.Join(unread, ", "))
	}
	return ""
}

// both are what stands in two lists.
func both(x, y []string) (out []string) {
	for _, s := range x {
		if slices.Contains(y, s) {
			out = append(out, s)
		}
	}
	return out
}

// mutexes is how many different ones threads wait for.
func mutexes(locks []string) int {
	distinct := map[string]bool{}
	for _, l := range locks {
		distinct[strings.Fields(l)[1]] = true
	}
	return len(distinct)
}

// circle tells whether a thread waits for a mutex that it can never have: it holds that itself, or who holds it
// waits, at the end, for it.
func circle(locks []string) bool {
	waitsFor := map[string]string{}
	for _, l := range locks {
		f := strings.Fields(l)
		waitsFor[f[0]] = f[2]
	}
	for thread := range waitsFor {
		next := waitsFor[thread]
		for range waitsFor {
			if next == thread {
				return true
			}
			next = waitsFor[next]
		}
	}
	return false
}

func (l *Lab) look(peer string) (seen look) {
	recorded, err := os.ReadFile(filepath.Join(l.run(), "pids", peer+".jamid"))
	if errors.Is(err, fs.ErrNotExist) {
		return look{} // the test ended it
	}
	pid, _, _ := strings.Cut(string(recorded), " ")
	status, err := os.ReadFile(filepath.Join("/proc", pid, "status"))
	if err != nil || bytes.Contains(status, []byte("\nState:\tZ")) {
		return look{ended: lastWords(filepath.Join(l.run(), peer, "log"))}
	}
	seen.locks = l.locks(peer)
	if log, err := os.ReadFile(filepath.Join(l.run(), peer, "log")); err == nil {
		seen.hasty = hasty(string(log), time.Now().Add(-hastyFor))
	}
	out, err := exec.Command("ip", "netns", "exec", l.Namespace(peer), "ss", "-Htn").Output()
	if err == nil {
		seen.unread = unread(out)
	}
	return seen
}

// locks are the threads of a daemon that wait for mutexes (look.locks), none if it does not run.
func (l *Lab) locks(peer string) (waiting []string) {
	recorded, err := os.ReadFile(filepath.Join(l.run(), "pids", peer+".jamid"))
	if err != nil {
		return nil
	}
	pid, _, _ := strings.Cut(string(recorded), " ")
	threads, _ := filepath.Glob(filepath.Join("/proc", pid, "task/*/syscall"))
	for _, file := range threads {
		call, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		if mutex, ok := waitsForMutex(string(call)); ok {
			waiting = append(waiting, filepath.Base(filepath.Dir(file))+" "+mutex+" "+holder(pid, mutex))
		}
	}
	return waiting
}

// hastyFor is how long ago a daemon may have given a connection up for a test to have failed by it.
const hastyFor = 30 * time.Second

// hasty looks for a connection that a daemon has given up since a time although it had answered, and returns the line that says so.
// Before a call over a connection that there is, the daemon asks the peer whether it is there (a "beacon") and waits 200 ms. Who answers
// does so before they read the call's INVITE, which comes behind the question on the same connection; so a daemon that has read a SIP response has
// the answer too, and if it takes that out of its own queue after those 200 ms, it is its threads that were late.
func hasty(log string, since time.Time) string {
	const sent, response, gaveUp, answered = "Send beacon to peer ", "Processing incoming message: Response msg", "Beacon doesn't get any response. Stopping socket", "Get beacon response from peer "
	for rest := log; ; {
		_, behind, ok := strings.Cut(rest, sent)
		if !ok {
			return ""
		}
		rest = behind
		waited, after, ok := strings.Cut(behind, gaveUp)
		if !ok || strings.Contains(waited, sent) || !strings.Contains(waited, response) || !strings.Contains(after[:min(len(after), 16<<10)], answered) {
			continue
		}
		line := waited[strings.LastIndexByte(waited, '\n')+1:] + gaveUp
		var seconds float64
		if _, err := fmt.Sscanf(line, "[%f|", &seconds); err == nil && !time.Unix(int64(seconds), 0).Before(since) {
			return line
		}
	}
}

// lastWords is the last line of a daemon's log, where the C library says why it aborts.
func lastWords(log string) string {
	text, err := os.ReadFile(log)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if last := strings.TrimSpace(lines[len(lines)-1]); err == nil && last != "" {
		return last
	}
	return "none"
}

// waitsForMutex reads a thread's /proc/PID/task/TID/syscall. Of what waits on a futex, a mutex uses
// FUTEX_WAIT; conditions and semaphores use FUTEX_WAIT_BITSET (glibc's lowlevellock.h, futex-internal.h).
func waitsForMutex(syscall string) (address string, ok bool) {
	const futex, wait, waitPrivate = "202", "0x0", "0x80" // on x86-64
	f := strings.Fields(syscall)
	if len(f) < 3 || f[0] != futex || f[2] != wait && f[2] != waitPrivate {
		return "", false
	}
	return f[1], true
}

// holder is the thread that holds a mutex of a process: glibc's pthread_mutex_t has it in its third int
// (struct __pthread_mutex_s). It is "?" if it cannot be told.
func holder(pid, mutex string) string {
	address, err := strconv.ParseInt(mutex, 0, 64)
	if err != nil {
		return "?"
	}
	memory, err := os.Open(filepath.Join("/proc", pid, "mem"))
	if err != nil {
		return "?"
	}
	defer memory.Close()
	var owner [4]byte
	if _, err := memory.ReadAt(owner[:], address+8); err != nil {
		return "?"
	}
	return strconv.Itoa(int(int32(binary.NativeEndian.Uint32(owner[:]))))
}

// unread reads the output of ss -Htn: open connections that have bytes to be read. What the other
// side has closed is not asked for: there the end itself counts as a byte.
func unread(ss []byte) (out []string) {
	for s := bufio.NewScanner(bytes.NewReader(ss)); s.Scan(); {
		// State Recv-Q Send-Q Local Peer
		if f := strings.Fields(s.Text()); len(f) >= 5 && f[0] == "ESTAB" && f[1] != "0" {
			out = append(out, f[1]+" bytes from "+f[4])
		}
	}
	return out
}

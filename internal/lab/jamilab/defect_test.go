package jamilab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"rendezvous/internal/eventually"
)

// A daemon that dies is told from one that the test ends.
func TestDefectEnded(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	l, err := Up(ctx, Options{Peers: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Down(); err != nil {
			t.Error(err)
		}
	}()
	if broken := l.defects(); len(broken) > 0 {
		t.Errorf("daemons that are well are called broken: %q", broken)
	}
	recorded, err := os.ReadFile(l.run() + "/pids/p1.jamid")
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(bytes.Fields(recorded)[0]))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGSEGV); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Peer(1).Wait(ctx, 0, "neverTold", nil); !errors.Is(err, ErrGone) {
		t.Errorf("what is expected of a daemon that has ended: %v, want ErrGone", err)
	}
	if err := l.Peer(2).Crash(); err != nil {
		t.Fatal(err)
	}
	if broken := l.defects(); len(broken) != 1 || !strings.HasPrefix(broken[0], "p1 has ended by itself") {
		t.Errorf("broken daemons: %q, want p1 alone, which has ended by itself", broken)
	}
}

// A daemon that gives up a connection whose answer it has is told from one that got no answer.
func TestDefectHasty(t *testing.T) {
	const (
		asked    = "[1796067575.943|12947|multiplexed_socket.cpp  :293 ] Send beacon to peer 400e\n"
		response = "[1796067576.113|13352|manager.cpp             :255 ] 19:39:36.113         sip_endpoint.c !Processing incoming message: Response msg 100/INVITE/cseq=2814\n"
		gaveUp   = "[1796067576.144|12928|multiplexed_socket.cpp  :304 ] Beacon doesn't get any response. Stopping socket\n"
		answered = "[1796067576.144|12928|call.cpp                :277 ] [1796067576.145|12936|multiplexed_socket.cpp  :332 ] Get beacon response from peer 400e\n"
	)
	then := time.Unix(1796067570, 0)
	for log, want := range map[string]string{
		asked + response + gaveUp + answered:           strings.TrimSpace(gaveUp),
		asked + answered + asked + response + answered: "", // it is well
		asked + gaveUp + answered:                      "", // the answer was late, for all we know
		asked + response + gaveUp:                      "", // there was none
		response + asked + gaveUp + answered:           "",
	} {
		if got := hasty(log, then); got != want {
			t.Errorf("%s: %q, want %q", log, got, want)
		}
	}
	if got := hasty(asked+response+gaveUp+answered, then.Add(time.Minute)); got != "" {
		t.Errorf("long ago: %q", got)
	}
}

// What the kernel says of the threads of a daemon that hangs (the second thread waits for a
// condition, the third for a mutex of another process) and of its connections.
func TestDefectSeen(t *testing.T) {
	for call, want := range map[string]string{
		"202 0x55d16cb1d504 0x80 0x2 0x0 0x0 0x0 0x7ffe90d5f6f0 0x7f5b3811a26f":  "0x55d16cb1d504",
		"202 0x7f5b3b49bfd0 0x189 0x0 0x0 0x0 0xffffffff 0x7f5b2a5fa 0x7f5b381":  "",
		"202 0x7f5b2000a928 0x0 0x2 0x0 0x0 0x0 0x7f5b255e0630 0x7f5b3811a26f":   "0x7f5b2000a928",
		"7 0x7ffe90d5f720 0x2 0x2710 0x0 0x0 0x55d16cb05a18 0x7ffe90d5f6f0 0x7f": "",
		"running": "",
		"":        "",
	} {
		if got, ok := waitsForMutex(call); got != want || ok != (want != "") {
			t.Errorf("%q: waits for mutex %q, %v; want %q", call, got, ok, want)
		}
	}
	got := unread([]byte("ESTAB     0      0       10.77.0.11:37022  10.77.0.3:41561\n" +
		"CLOSE-WAIT 1     0       10.77.0.11:37024  10.77.0.3:41562\n" +
		"ESTAB     1361   0       10.77.0.11:50312  10.77.0.3:34567\n"))
	if len(got) != 1 || got[0] != "1361 bytes from 10.77.0.3:34567" {
		t.Errorf("unread: %q", got)
	}
}

// A daemon is broken by what it does for a while, not at one moment.
func TestDefectLasts(t *testing.T) {
	busy := look{locks: []string{"11 0xa 1", "12 0xb 1"}, unread: []string{"10 bytes from x"}}
	for _, c := range []struct {
		after look
		want  string
	}{
		{look{}, ""},
		{look{locks: []string{"11 0xa 1", "12 0xc 1"}, unread: []string{"20 bytes from x"}}, ""},
		{look{locks: busy.locks}, "is locked up"},
		{look{locks: busy.locks[:1]}, ""},
		{look{unread: busy.unread}, "is deaf"},
		{look{ended: "free(): double free"}, "has ended by itself"},
	} {
		got := busy.and(c.after)
		if !strings.HasPrefix(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%+v after %+v: %q, want %q", c.after, busy, got, c.want)
		}
	}
	queue := look{locks: []string{"11 0xa 13", "12 0xa 13"}}
	if got := queue.and(queue); got != "" {
		t.Errorf("two threads that wait for one mutex: %q", got)
	}
	own := look{locks: []string{"11 0xa 11"}}
	if got := own.and(own); !strings.HasPrefix(got, "is locked up") {
		t.Errorf("a thread that waits for its own mutex: %q", got)
	}
}

func TestCircle(t *testing.T) {
	for _, c := range []struct {
		locks []string
		want  bool
	}{
		{nil, false},
		{[]string{"11 0xa 11"}, true},
		{[]string{"11 0xa 12"}, false},
		{[]string{"11 0xa 12", "12 0xb 11"}, true},
		{[]string{"10 0xa 11", "11 0xb 12", "12 0xc 13", "13 0xd 11"}, true},
		{[]string{"10 0xa 11", "11 0xb 12", "12 0xc ?"}, false},
	} {
		if got := circle(c.locks); got != c.want {
			t.Errorf("%q: %v", c.locks, got)
		}
	}
}

// Who holds a mutex is read from the memory of a process, here of a C program that has locked itself up.
// Nothing is waited for of a daemon that has.
func TestLockedUp(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/self.c", []byte(`#include <pthread.h>
int main(void) { static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER; pthread_mutex_lock(&m); pthread_mutex_lock(&m); }`), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cc", "-o", dir+"/self", dir+"/self.c", "-pthread").CombinedOutput(); err != nil {
		t.Fatalf("compile: %v\n%s", err, out)
	}
	self := exec.Command(dir + "/self")
	if err := self.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		self.Process.Kill()
		_ = self.Wait() // it was killed
	}()
	pid := strconv.Itoa(self.Process.Pid)
	var mutex string
	eventually.NoError(t, func() error {
		call, err := os.ReadFile("/proc/" + pid + "/syscall")
		if err != nil {
			return err
		}
		var waits bool
		if mutex, waits = waitsForMutex(string(call)); !waits {
			return fmt.Errorf("it does not wait: %s", call)
		}
		return nil
	})
	if got := holder(pid, mutex); got != pid {
		t.Errorf("held by %s, want %s", got, pid)
	}
	l := &Lab{dir: dir}
	p := &Peer{lab: l, name: "p1", more: make(chan struct{}), stuck: make(chan struct{})}
	l.peers = []*Peer{p}
	pids := filepath.Join(l.run(), "pids")
	if err := errors.Join(os.MkdirAll(pids, 0o700), os.WriteFile(filepath.Join(pids, "p1.jamid"), []byte(pid+" 0"), 0o600)); err != nil {
		t.Fatal(err)
	}
	defer l.watch()()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := p.Wait(ctx, 0, "neverTold", nil); !errors.Is(err, ErrLockedUp) {
		t.Errorf("what is expected of a daemon that is locked up: %v, want ErrLockedUp", err)
	}
}

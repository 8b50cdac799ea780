// Package coturn starts coturn, a TURN and STUN server that nobody here wrote, for tests. It needs
// Debian's package of that name.
package coturn

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// What clients of a server say.
const (
	Username = "ring"
	Password = "secret"
	Realm    = "ring"
)

// patience is how long a server may take to start, on a busy machine.
const patience = 20 * time.Second

// Start runs a server at an address and port, where it also relays, until the test ends, and
// returns once it takes connections. command prepares its process: exec.Command, or one that
// makes it run in another network namespace. What the server said is shown if the test fails.
func Start(t testing.TB, at netip.AddrPort, command func(name string, args ...string) *exec.Cmd) {
	t.Helper()
	dir := t.TempDir()
	conf := filepath.Join(dir, "turnserver.conf")
	text := fmt.Sprintf("listening-ip=%[1]s\nrelay-ip=%[1]s\nlistening-port=%[2]d\n"+
		"lt-cred-mech\nuser=%[3]s:%[4]s\nrealm=%[5]s\nallow-loopback-peers\nno-tls\nno-dtls\nno-cli\ncli-password=x\n"+
		"log-file=stdout\nverbose\nuserdb=%[6]s/db\npidfile=%[6]s/pid\n", at.Addr(), at.Port(), Username, Password, Realm, dir)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := command("turnserver", "-c", conf)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatalf("needs the Debian package coturn: %v", err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		if t.Failed() {
			t.Logf("turnserver:\n%s", said.String())
		}
	})
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) { // between two tries
		conn, err := net.Dial("tcp", at.String())
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatalf("turnserver does not start: %v", err)
		}
	}
}

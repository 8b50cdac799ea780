package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// program is the built rendezvous, made once for all tests.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "rendezvous-e2e")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "rendezvous")
	out, err := exec.Command("go", "build", "-o", path, "rendezvous/cmd/rendezvous").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := program(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// host is a running rendezvous.
type host struct {
	t       *testing.T
	bin     string
	dir     string // with config.yaml and data
	cmd     *exec.Cmd
	out     *lockedBuffer
	webPort int
	sipPort int
	admin   int
	exited  chan error
	env     []string
}

// lockedBuffer takes a process's output while others read it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startHost starts the program with the shipped configuration, but for ports and what env says,
// and waits until it is ready.
func startHost(t *testing.T, env ...string) *host {
	t.Helper()
	return startEdited(t, nil, env...)
}

// startEdited is startHost with another configuration: the shipped one with texts replaced, each
// followed by what takes its place.
func startEdited(t *testing.T, edits []string, env ...string) *host {
	t.Helper()
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, bin: bin, dir: t.TempDir()}
	config, err := os.ReadFile("../../config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(edits); i += 2 {
		if !bytes.Contains(config, []byte(edits[i])) {
			t.Fatalf("config.yaml has no %q", edits[i])
		}
	}
	config = []byte(strings.NewReplacer(edits...).Replace(string(config)))
	if err := os.WriteFile(filepath.Join(h.dir, "config.yaml"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	ports := freePorts(t, 4)
	h.webPort, h.sipPort, h.admin = ports[0], ports[1], ports[2]
	h.env = append([]string{
		fmt.Sprintf("RENDEZVOUS_WEB_LISTEN=:%d", h.webPort),
		fmt.Sprintf("RENDEZVOUS_SIP_UDP=127.0.0.1:%d", h.sipPort),
		fmt.Sprintf("RENDEZVOUS_SIP_TCP=127.0.0.1:%d", h.sipPort),
		fmt.Sprintf("RENDEZVOUS_SIP_TLS=127.0.0.1:%d", ports[3]),
		fmt.Sprintf("RENDEZVOUS_ADMIN_LISTEN=127.0.0.1:%d", h.admin),
		"RENDEZVOUS_JAMI_ENABLED=false",
	}, env...)
	h.start(h.env)
	t.Cleanup(func() {
		h.stop()
		if t.Failed() {
			out := h.out.String()
			t.Logf("the host said:\n%s", out[max(0, len(out)-20000):])
		}
	})
	return h
}

func (h *host) start(env []string) {
	h.t.Helper()
	h.cmd = exec.Command(h.bin, "serve", "--config", filepath.Join(h.dir, "config.yaml"), "--data", filepath.Join(h.dir, "data"))
	h.cmd.Env = append(os.Environ(), env...)
	h.out = &lockedBuffer{}
	h.cmd.Stdout, h.cmd.Stderr = h.out, h.out
	h.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := h.cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.exited = make(chan error, 1)
	cmd, exited := h.cmd, h.exited
	go func() { exited <- cmd.Wait() }()
	deadline := time.Now().Add(60 * time.Second)
	for {
		if _, err := h.rooms(); err == nil {
			return
		}
		select {
		case err := <-h.exited:
			h.exited <- err
			h.t.Fatalf("the host ended: %v\n%s", err, h.out)
		case <-time.After(100 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("the host is not ready after a minute:\n%s", h.out)
		}
	}
}

// stop ends the host as systemd would and expects it to end well.
func (h *host) stop() {
	h.t.Helper()
	if h.cmd == nil {
		return
	}
	if err := h.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		h.t.Error(err)
	}
	select {
	case err := <-h.exited:
		if err != nil {
			h.t.Errorf("the host ended with %v", err)
		}
	case <-time.After(40 * time.Second):
		h.t.Error("the host does not end")
		_ = h.cmd.Process.Signal(syscall.SIGQUIT) // for its goroutines
		<-h.exited
	}
	h.cmd = nil
}

// kill ends the host as a power cut would.
func (h *host) kill() {
	h.t.Helper()
	if err := h.cmd.Process.Kill(); err != nil {
		h.t.Fatal(err)
	}
	<-h.exited
	h.cmd = nil
}

// room is what `rooms --json` says.
type room struct {
	ID        string `json:"id"`
	Title     string `json:"title"`
	Addresses struct {
		Web, SIP, Jami string
	} `json:"addresses"`
	Participants []struct {
		ID, Name, Door string
	} `json:"participants"`
}

func (h *host) rooms() (rooms []room, err error) {
	out, err := h.ask("rooms", "--json")
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(out, &rooms); err != nil {
		return nil, fmt.Errorf("rooms --json: %w: %s", err, out)
	}
	return rooms, nil
}

// ask runs one of the commands that talk to the running host.
func (h *host) ask(args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, h.bin, append(args, "--config", filepath.Join(h.dir, "config.yaml"), "--data", filepath.Join(h.dir, "data"))...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, stderr.String())
	}
	return out, nil
}

func (h *host) url() string { return fmt.Sprintf("http://localhost:%d/r/main", h.webPort) }
func (h *host) sip() string { return fmt.Sprintf("sip:main@127.0.0.1:%d", h.sipPort) }

// artefacts is where pictures for people to look at are kept.
func artefacts(t *testing.T) string {
	dir := os.Getenv("TEST_ARTEFACTS")
	if dir == "" {
		dir = t.ArtifactDir()
	}
	return filepath.Join(dir, "e2e")
}

// freePorts finds ports that are free for both UDP and TCP.
func freePorts(t *testing.T, n int) []int {
	t.Helper()
	var ports []int
	var held []interface{ Close() error }
	defer func() {
		for _, c := range held {
			c.Close()
		}
	}()
	for len(ports) < n {
		l, err := net.Listen("tcp", ":0")
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, l)
		port := l.Addr().(*net.TCPAddr).Port
		u, err := net.ListenPacket("udp", fmt.Sprintf(":%d", port))
		if err != nil {
			continue
		}
		held = append(held, u)
		ports = append(ports, port)
	}
	return ports
}

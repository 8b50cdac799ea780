package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"rendezvous/internal/hosttest"
)

// envProgram names the built rendezvous to the tests that run in a namespace of their own, in a
// process of their own.
const envProgram = "RENDEZVOUS_E2E_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(envProgram) != "" {
		os.Exit(m.Run())
	}
	dir, err := build()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// build builds the program for all tests, in a folder that it returns.
func build() (string, error) {
	dir, err := os.MkdirTemp("", "rendezvous-e2e")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "rendezvous")
	out, err := exec.Command("go", "build", "-o", path, "rendezvous/cmd/rendezvous").CombinedOutput()
	if err != nil {
		return "", errors.Join(fmt.Errorf("build: %w\n%s", err, out), os.RemoveAll(dir))
	}
	return dir, os.Setenv(envProgram, path)
}

// host is a running rendezvous.
type host struct {
	*hosttest.Process // nil while none runs

	t                       *testing.T
	site                    *hosttest.Site
	dir                     string // with config.yaml and data
	webPort, sipPort, admin int
}

// recordsByItself has the room record each meeting, which as shipped it does when a moderator says so.
const recordsByItself = "RENDEZVOUS_ROOMS_MAIN_RECORDING=auto"

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
	s := hosttest.NewSite(t, os.Getenv(envProgram), "../../config.yaml")
	for i := 0; i+1 < len(edits); i += 2 {
		s.Replace(edits[i], edits[i+1])
	}
	// Browsers may look for localhost in either family, and callers of the laboratory come from outside.
	s.Env = append(append(s.Env, fmt.Sprintf("RENDEZVOUS_WEB_LISTEN=:%d", s.Web)), env...)
	h := &host{t: t, site: s, dir: s.Dir, webPort: s.Web, sipPort: s.SIP, admin: s.Admin}
	h.start()
	t.Cleanup(func() { h.end(syscall.SIGTERM, syscall.SIGTERM) }) // of a test's end, who is left is put out at once
	return h
}

func (h *host) start() {
	h.t.Helper()
	h.Process = h.site.Start()
}

// stop ends the host as systemd would and expects it to end well.
func (h *host) stop() {
	h.t.Helper()
	h.end(syscall.SIGTERM)
}

// end sends signals, and expects the host to end well.
func (h *host) end(signals ...os.Signal) {
	h.t.Helper()
	if h.Process == nil {
		return
	}
	for _, s := range signals {
		h.Signal(s)
	}
	if err := h.Wait(); err != nil {
		h.t.Errorf("the host ended with %v", err)
	}
	h.Process = nil
}

// kill ends the host as a power cut would.
func (h *host) kill() {
	h.t.Helper()
	h.Kill()
	h.Process = nil
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
		Talking        bool
		Joined         time.Time
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
	out, stderr, err := h.site.Run(args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, stderr)
	}
	return []byte(out), nil
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

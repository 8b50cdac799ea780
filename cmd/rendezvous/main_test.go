package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The test binary is the program when this is set.
const asProgram = "RENDEZVOUS_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// patience is for events that take milliseconds on an idle machine.
const patience = 60 * time.Second

// site is a folder with a configuration, and the program in it.
type site struct {
	t                 *testing.T
	dir               string
	web, sip, tls, op int
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir()}
	text, err := os.ReadFile("../../config.yaml")
	require.NoError(t, err)
	s.write(string(text))
	for _, p := range []*int{&s.web, &s.sip, &s.tls, &s.op} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close() // only after all are taken, so that they differ
		*p = l.Addr().(*net.TCPAddr).Port
	}
	return s
}

func (s *site) write(config string) {
	s.t.Helper()
	require.NoError(s.t, os.WriteFile(filepath.Join(s.dir, "config.yaml"), []byte(config), 0o600))
}

// replace changes the configuration's text.
func (s *site) replace(old, new string) {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "config.yaml"))
	require.NoError(s.t, err)
	require.Contains(s.t, string(text), old)
	s.write(strings.Replace(string(text), old, new, 1))
}

func (s *site) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), asProgram+"=1",
		fmt.Sprintf("RENDEZVOUS_WEB_LISTEN=127.0.0.1:%d", s.web),
		fmt.Sprintf("RENDEZVOUS_SIP_UDP=127.0.0.1:%d", s.sip),
		fmt.Sprintf("RENDEZVOUS_SIP_TCP=127.0.0.1:%d", s.sip),
		fmt.Sprintf("RENDEZVOUS_SIP_TLS=127.0.0.1:%d", s.tls),
		fmt.Sprintf("RENDEZVOUS_ADMIN_LISTEN=127.0.0.1:%d", s.op),
		"RENDEZVOUS_JAMI_ENABLED=false",
	)
	return cmd
}

// run runs a command to its end and returns what it printed.
func (s *site) run(args ...string) (stdout, stderr string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := s.command(ctx, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// running is a host that runs.
type running struct {
	*site
	cmd  *exec.Cmd
	done chan error
	log  *output
}

// output is what a process has said so far.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (s *site) start() *running {
	s.t.Helper()
	r := &running{site: s, cmd: s.command(context.Background(), "serve"), done: make(chan error, 1), log: &output{}}
	r.cmd.Stdout, r.cmd.Stderr = r.log, r.log
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(s.t, r.cmd.Start())
	go func() { r.done <- r.cmd.Wait() }()
	s.t.Cleanup(func() { _ = r.cmd.Process.Kill() })
	r.await("host ready")
	return r
}

// await waits until the host has said something.
func (r *running) await(text string) {
	r.t.Helper()
	require.Eventually(r.t, func() bool { return strings.Contains(r.log.String(), text) }, patience, 5*time.Millisecond,
		"the host never said %q", text)
}

func (r *running) signal(sig os.Signal) {
	r.t.Helper()
	require.NoError(r.t, r.cmd.Process.Signal(sig))
}

func (r *running) ended() error {
	r.t.Helper()
	select {
	case err := <-r.done:
		return err
	case <-time.After(patience):
		r.t.Fatalf("the host did not end:\n%s", r.log)
		return nil
	}
}

func (r *running) get(path string) (int, string) {
	r.t.Helper()
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d%s", r.op, path))
	require.NoError(r.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(r.t, err)
	return resp.StatusCode, string(body)
}

func (s *site) rooms() []roomView {
	s.t.Helper()
	out, stderr, err := s.run("rooms", "--json")
	require.NoError(s.t, err, stderr)
	var rooms []roomView
	require.NoError(s.t, json.Unmarshal([]byte(out), &rooms))
	return rooms
}

func TestServe(t *testing.T) {
	s := newSite(t)
	r := s.start()
	require.Contains(t, r.log.String(), "Main room\n")
	require.Contains(t, r.log.String(), fmt.Sprintf("http://localhost:%d/r/main", s.web))

	// The operators' port.
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": "ready", "/metrics": "rendezvous_rooms 1", "/debug/pprof/": "goroutine"} {
		status, body := r.get(path)
		require.Equal(t, 200, status, path)
		require.Contains(t, body, want, path)
	}
	// The page is there.
	resp, err := http.Get(fmt.Sprintf("http://localhost:%d/r/main", s.web))
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, 200, resp.StatusCode)

	// The command line.
	rooms := s.rooms()
	require.Len(t, rooms, 1)
	require.Equal(t, "main", rooms[0].ID)
	require.Equal(t, "Main room", rooms[0].Title)
	require.Equal(t, fmt.Sprintf("http://localhost:%d/r/main", s.web), rooms[0].Addresses["web"])
	require.Contains(t, rooms[0].Addresses["sip"], "sip:main@")
	require.Empty(t, rooms[0].Participants)
	out, _, err := s.run("rooms")
	require.NoError(t, err)
	require.Regexp(t, `^ROOM +TITLE +PRESENT +RECORDING +ADDRESSES\nmain +Main room +0 +off +http`, out)
	out, _, err = s.run("participants", "main", "--json")
	require.NoError(t, err)
	require.Equal(t, "[]\n", out)
	out, _, err = s.run("recordings", "main", "--json")
	require.NoError(t, err)
	require.Equal(t, "[]\n", out)
	_, stderr, err := s.run("participants", "nowhere")
	require.Error(t, err)
	require.Equal(t, "rendezvous: There is no room \"nowhere\".\n", stderr)

	// One host per data folder.
	_, stderr, err = s.run("serve")
	require.Error(t, err)
	require.Equal(t, fmt.Sprintf("rendezvous: data folder data: another host (process %d) is using it\n", r.cmd.Process.Pid), stderr)

	// Nobody but the owner gets at the data.
	for _, name := range []string{"", "host.sock", "lock", "audit.jsonl"} {
		info, err := os.Stat(filepath.Join(s.dir, "data", name))
		require.NoError(t, err)
		require.Zero(t, info.Mode().Perm()&0o077, name)
	}

	begin := time.Now()
	r.signal(syscall.SIGTERM)
	require.NoError(t, r.ended(), "exit status 0")
	require.Less(t, time.Since(begin), 20*time.Second, "within the time of the setting drain")
	_, stderr, err = s.run("rooms")
	require.Error(t, err)
	require.Equal(t, "rendezvous: no host is running with the data folder "+filepath.Join(s.dir, "data")+"\n", stderr)
}

func TestReload(t *testing.T) {
	s := newSite(t)
	r := s.start()
	s.replace("title: Main room", "title: Great hall")
	s.replace("level: info", "level: debug")
	s.replace("rooms:\n", "rooms:\n  second:\n    title: Second\n")
	s.replace("max_calls: 200", "max_calls: 100")
	r.signal(syscall.SIGHUP)
	r.await(`msg="configuration reloaded" changed="log.level, rooms.main.title, rooms.second"`)
	r.await(`msg="some changes wait for a restart" settings=sip.max_calls`)
	rooms := s.rooms()
	require.Len(t, rooms, 2)
	require.Equal(t, "Great hall", rooms[0].Title)
	require.Equal(t, "second", rooms[1].ID)

	s.replace("title: Second", "titel: Second")
	r.signal(syscall.SIGHUP)
	r.await(`msg="configuration not reloaded" error="config.yaml: rooms.second.titel: unknown key; did you mean rooms.second.title?"`)
	require.Len(t, s.rooms(), 2, "a mistake changes nothing")

	s.replace("  second:\n    titel: Second\n", "")
	r.signal(syscall.SIGHUP)
	r.await(`changed=rooms.second`)
	require.Len(t, s.rooms(), 1)
	r.signal(syscall.SIGINT)
	require.NoError(t, r.ended())
}

func TestStartsAgainAfterAKill(t *testing.T) {
	s := newSite(t)
	r := s.start()
	require.NoError(t, r.cmd.Process.Kill())
	require.Error(t, r.ended())
	r = s.start()
	require.Len(t, s.rooms(), 1)
	r.signal(syscall.SIGTERM)
	require.NoError(t, r.ended())
}

func TestMistakesStopTheStartWithOneLine(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port

	for name, c := range map[string]struct {
		old, new string
		args     []string
		want     string
	}{
		"unknown key":      {old: "title: Main", new: "tite: Main", want: "config.yaml: rooms.main.tite: unknown key; did you mean rooms.main.title?"},
		"wrong type":       {old: "drain: 20s", new: "drain: [1]", want: `config.yaml: drain: wants a duration such as "30s" or "1h30m", not a list`},
		"impossible value": {old: "layout: grid ", new: "layout: round ", want: `config.yaml: rooms.main.layout: is one of grid, one-big, one-big-with-small, side-by-side, not "round"`},
		"no such file":     {args: []string{"--config", "other.yaml"}, want: "other.yaml: no such file; name one with --config"},
		"unknown flag":     {args: []string{"--colour"}, want: "unknown flag: --colour"},
		"operators' port taken": {args: []string{"--admin-listen", taken.Addr().String()},
			want: fmt.Sprintf("admin port: listen tcp 127.0.0.1:%d: bind: address already in use", port)},
		"web port taken": {args: []string{"--web-listen", taken.Addr().String()},
			want: fmt.Sprintf("web: listening on 127.0.0.1:%d: listen tcp 127.0.0.1:%d: bind: address already in use", port, port)},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			if c.old != "" {
				s.replace(c.old, c.new)
			}
			_, stderr, err := s.run(append([]string{"serve"}, c.args...)...)
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit)
			require.Equal(t, 1, exit.ExitCode())
			lines := strings.Split(strings.TrimSpace(stderr), "\n")
			require.Equal(t, "rendezvous: "+c.want, lines[len(lines)-1])
			for _, line := range lines[:len(lines)-1] {
				require.Contains(t, line, "level=INFO", "only the log says more")
			}
		})
	}
}

func TestCheckConfigAndVersion(t *testing.T) {
	s := newSite(t)
	out, _, err := s.run("check-config")
	require.NoError(t, err)
	require.Equal(t, "config.yaml is in order\n", out)
	s.replace("log:", "lgo:")
	_, stderr, err := s.run("check-config")
	require.Error(t, err)
	require.Equal(t, "rendezvous: config.yaml: lgo: unknown key; did you mean log?\n", stderr)

	out, _, err = s.run("version", "--json")
	require.NoError(t, err)
	require.Contains(t, out, `"version": "`)
}

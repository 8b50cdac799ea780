package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rendezvous/internal/certificate/certificatetest"
	"rendezvous/internal/eventually"
	"rendezvous/internal/hosttest"
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

// newSite is a folder with the shipped configuration, and this binary as the program in it.
func newSite(t *testing.T) *hosttest.Site {
	t.Helper()
	return hosttest.NewSite(t, os.Args[0], "../../config.yaml", asProgram+"=1")
}

// get asks the operators' port.
func get(t *testing.T, s *hosttest.Site, path string) (int, string) {
	t.Helper()
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d%s", s.Admin, path))
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

func rooms(t *testing.T, s *hosttest.Site) []roomView {
	t.Helper()
	out, stderr, err := s.Run("rooms", "--json")
	require.NoError(t, err, stderr)
	var rooms []roomView
	require.NoError(t, json.Unmarshal([]byte(out), &rooms))
	return rooms
}

func TestServe(t *testing.T) {
	s := newSite(t)
	r := s.Start()
	require.Contains(t, r.Output(), "Main room\n")
	require.Contains(t, r.Output(), fmt.Sprintf("http://localhost:%d/r/main", s.Web))

	// The operators' port.
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": "ready", "/metrics": "rendezvous_rooms 1", "/debug/pprof/": "goroutine"} {
		status, body := get(t, s, path)
		require.Equal(t, 200, status, path)
		require.Contains(t, body, want, path)
	}
	// The page is there.
	resp, err := http.Get(fmt.Sprintf("http://localhost:%d/r/main", s.Web))
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, 200, resp.StatusCode)

	// The command line.
	list := rooms(t, s)
	require.Len(t, list, 1)
	require.Equal(t, "main", list[0].ID)
	require.Equal(t, "Main room", list[0].Title)
	require.Equal(t, fmt.Sprintf("http://localhost:%d/r/main", s.Web), list[0].Addresses["web"])
	require.Contains(t, list[0].Addresses["sip"], "sip:main@")
	require.Empty(t, list[0].Participants)
	out, _, err := s.Run("rooms")
	require.NoError(t, err)
	require.Regexp(t, `^ROOM +TITLE +PRESENT +RECORDING +ADDRESSES\nmain +Main room +0 +off +http`, out)
	out, _, err = s.Run("participants", "main", "--json")
	require.NoError(t, err)
	require.Equal(t, "[]\n", out)
	out, _, err = s.Run("recordings", "main", "--json")
	require.NoError(t, err)
	require.Equal(t, "[]\n", out)
	_, stderr, err := s.Run("participants", "nowhere")
	require.Error(t, err)
	require.Equal(t, "rendezvous: There is no room \"nowhere\".\n", stderr)

	// One host per data folder.
	_, stderr, err = s.Run("serve")
	require.Error(t, err)
	require.Equal(t, fmt.Sprintf("rendezvous: data folder data: another host (process %d) is using it\n", r.PID()), stderr)

	// Nobody but the owner gets at the data.
	for _, name := range []string{"", "host.sock", "lock", "audit.jsonl"} {
		info, err := os.Stat(s.Data(name))
		require.NoError(t, err)
		require.Zero(t, info.Mode().Perm()&0o077, name)
	}

	begin := time.Now()
	r.Signal(syscall.SIGTERM)
	require.NoError(t, r.Wait(), "exit status 0")
	require.Less(t, time.Since(begin), 20*time.Second, "within the time of the setting drain")
	_, stderr, err = s.Run("rooms")
	require.Error(t, err)
	require.Equal(t, "rendezvous: no host is running with the data folder "+s.Data("")+"\n", stderr)
}

func TestReload(t *testing.T) {
	s := newSite(t)
	r := s.Start()
	s.Replace("title: Main room", "title: Great hall")
	s.Replace("level: info", "level: debug")
	s.Replace("rooms:\n", "rooms:\n  second:\n    title: Second\n")
	s.Replace("max_calls: 200", "max_calls: 100")
	r.Signal(syscall.SIGHUP)
	r.Await(`msg="configuration reloaded" changed="log.level, rooms.main.title, rooms.second"`)
	r.Await(`msg="some changes wait for a restart" settings=sip.max_calls`)
	list := rooms(t, s)
	require.Len(t, list, 2)
	require.Equal(t, "Great hall", list[0].Title)
	require.Equal(t, "second", list[1].ID)

	s.Replace("title: Second", "titel: Second")
	r.Signal(syscall.SIGHUP)
	r.Await(`msg="configuration not reloaded" error="config.yaml:`)
	r.Await(`: rooms.second.titel: unknown key; did you mean rooms.second.title?"`)
	require.Len(t, rooms(t, s), 2, "a mistake changes nothing")

	s.Replace("  second:\n    titel: Second\n", "")
	r.Signal(syscall.SIGHUP)
	r.Await(`changed=rooms.second`)
	require.Len(t, rooms(t, s), 1)
	r.Signal(syscall.SIGINT)
	require.NoError(t, r.Wait())
}

func TestStartsAgainAfterAKill(t *testing.T) {
	s := newSite(t)
	r := s.Start()
	r.Kill()
	require.Error(t, r.Wait())
	r = s.Start()
	require.Len(t, rooms(t, s), 1)
	r.Signal(syscall.SIGTERM)
	require.NoError(t, r.Wait())
}

// yamlLine is where a mistake stands.
var yamlLine = regexp.MustCompile(`config\.yaml:[0-9]+:`)

// Tokens come, change and go with a reload, and a secret in a file is read again.
func TestTokensAreReloaded(t *testing.T) {
	s := newSite(t)
	r := s.Start()
	status := func(secret string) int {
		req, err := http.NewRequest("GET", fmt.Sprintf("http://localhost:%d/api/v1/rooms", s.Web), nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+secret)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		resp.Body.Close()
		return resp.StatusCode
	}
	write := func(secret string) {
		require.NoError(t, os.WriteFile(filepath.Join(s.Dir, "token"), []byte(secret+"\n"), 0o600))
		r.Signal(syscall.SIGHUP)
	}
	require.Equal(t, 401, status("0123456789abcdef"))
	s.Replace("tokens: {}", "tokens: {bot: {secret_file: token}}")
	write("0123456789abcdef")
	r.Await(`msg="configuration reloaded" changed=api.tokens.bot`)
	require.Equal(t, 200, status("0123456789abcdef"))
	write("fedcba9876543210")
	r.Await(`msg="configuration reloaded" changed=api.tokens.bot.secret`)
	require.Equal(t, 401, status("0123456789abcdef"))
	require.Equal(t, 200, status("fedcba9876543210"))
	s.Replace("tokens: {bot: {secret_file: token}}", "tokens: {}")
	r.Signal(syscall.SIGHUP)
	eventually.True(t, "the token is gone", func() bool { return status("fedcba9876543210") == 401 })
	require.NotContains(t, r.Output(), "0123456789abcdef")
	r.Signal(syscall.SIGTERM)
	require.NoError(t, r.Wait())
}

// Phones are shown the page's certificate, and a reload has both show another one.
func TestCertificateIsReloaded(t *testing.T) {
	s := newSite(t)
	cert, key := filepath.Join(s.Dir, "cert.pem"), filepath.Join(s.Dir, "key.pem")
	certificatetest.Issue(t, cert, key, 1)
	s.Replace("    certificate: \"\"  # PEM files\n    key: \"\"", "    certificate: cert.pem\n    key: key.pem")
	r := s.Start()
	shown := func(port int) int64 {
		c, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port), &tls.Config{InsecureSkipVerify: true})
		require.NoError(t, err)
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	require.Equal(t, []int64{1, 1}, []int64{shown(s.Web), shown(s.TLS)})
	_, metrics := get(t, s, "/metrics")
	require.Regexp(t, `rendezvous_certificate_expiry_timestamp_seconds\{door="web"\} [1-9]`, metrics)

	certificatetest.Issue(t, cert, key, 2)
	r.Signal(syscall.SIGHUP)
	r.Await(`msg="another certificate is in force"`)
	require.Equal(t, []int64{2, 2}, []int64{shown(s.Web), shown(s.TLS)})

	certificatetest.Issue(t, filepath.Join(s.Dir, "other.pem"), key, 3) // a key that does not belong to it
	r.Signal(syscall.SIGHUP)
	r.Await(`msg="the certificate stays as it was"`)
	require.Equal(t, []int64{2, 2}, []int64{shown(s.Web), shown(s.TLS)})
	r.Signal(syscall.SIGTERM)
	require.NoError(t, r.Wait())
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
		"unknown key":      {old: "title: Main", new: "tite: Main", want: "config.yaml:LINE: rooms.main.tite: unknown key; did you mean rooms.main.title?"},
		"wrong type":       {old: "drain: 20s", new: "drain: [1]", want: `config.yaml:LINE: drain: wants a duration such as "30s" or "1h30m", not a list`},
		"impossible value": {old: "layout: auto ", new: "layout: round ", want: `config.yaml:LINE: rooms.main.layout: is one of auto, grid, one-big, one-big-with-small, side-by-side, not "round"`},
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
				s.Replace(c.old, c.new)
			}
			_, stderr, err := s.Run(append([]string{"serve"}, c.args...)...)
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit)
			require.Equal(t, 1, exit.ExitCode())
			lines := strings.Split(strings.TrimSpace(stderr), "\n")
			require.Equal(t, "rendezvous: "+c.want, yamlLine.ReplaceAllString(lines[len(lines)-1], "config.yaml:LINE:"))
			for _, line := range lines[:len(lines)-1] {
				require.Contains(t, line, "level=INFO", "only the log says more")
			}
		})
	}
}

func TestCheckConfigAndVersion(t *testing.T) {
	s := newSite(t)
	out, _, err := s.Run("check-config")
	require.NoError(t, err)
	require.Equal(t, "config.yaml is in order\n", out)
	s.Replace("log:", "lgo:")
	_, stderr, err := s.Run("check-config")
	require.Error(t, err)
	require.Equal(t, "rendezvous: config.yaml:LINE: lgo: unknown key; did you mean log?\n", yamlLine.ReplaceAllString(stderr, "config.yaml:LINE:"))
	s.Replace("drain: 20s", "drain: 20")
	_, stderr, err = s.Run("check-config")
	require.Error(t, err)
	require.Equal(t, "rendezvous: config.yaml:LINE: drain: wants a duration such as \"30s\" or \"1h30m\", not the number 20\n"+
		"config.yaml:LINE: lgo: unknown key; did you mean log?\n", yamlLine.ReplaceAllString(stderr, "config.yaml:LINE:"))

	out, _, err = s.Run("version", "--json")
	require.NoError(t, err)
	require.Contains(t, out, `"version": "`)
}

package gitwire

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"go.uber.org/goleak"

	"rendezvous/dht/identity/identitytest"
	"rendezvous/internal/eventually"
	"rendezvous/swarm/commit"
	"rendezvous/swarm/pack"
	"rendezvous/swarm/repo"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var alice = sync.OnceValue(func() repo.Author {
	return repo.Author{Identity: identitytest.Accounts(1)()[0].Device, Name: func() string { return "Alice" }}
})

// group makes a conversation of n messages.
func group(t testing.TB, n int) (*repo.Repository, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "conversation")
	r, err := repo.Create(dir, alice(), commit.InvitesOnly, nil, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	say(t, r, n)
	return r, dir
}

func say(t testing.TB, r *repo.Repository, n int) {
	t.Helper()
	for i := range n {
		if _, err := r.Say(commit.Text(fmt.Sprint("message ", i))); err != nil {
			t.Fatal(err)
		}
	}
}

// serve answers on a port of this machine; it returns the address.
func serve(t testing.TB, find Find) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				if err := Serve(c, find, nil); err != nil {
					fmt.Fprintln(t.Output(), err)
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return l.Addr().String()
}

func only(r *repo.Repository) Find {
	return func(id string) (*repo.Repository, error) {
		if id != r.ID().String() {
			return nil, errors.New("no such conversation")
		}
		return r, nil
	}
}

func git(t testing.TB, args ...string) string {
	t.Helper()
	c := exec.Command("git", args...)
	c.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// git clones from us, and fetches later: a little, and after writing much itself.
func TestGitFetchesFromUs(t *testing.T) {
	r, _ := group(t, 30)
	url := "git://" + serve(t, only(r)) + "/" + r.ID().String()
	dir := filepath.Join(t.TempDir(), "clone")
	git(t, "clone", "-q", "--bare", url, dir)
	same := func() {
		t.Helper()
		if got := strings.TrimSpace(git(t, "-C", dir, "rev-parse", "main")); got != r.Head().String() {
			t.Errorf("git has %s, want %s", got, r.Head())
		}
		if out := git(t, "-C", dir, "fsck", "--strict", "--no-dangling"); strings.TrimSpace(out) != "" {
			t.Error(out)
		}
	}
	same()
	say(t, r, 3)
	git(t, "-C", dir, "fetch", "-q", "origin", "+main:main")
	same()
	say(t, r, 100)
	git(t, "-C", dir, "fetch", "-q", "origin", "+main:main")
	same()
	// Commits that only git has: it offers many before one that is common.
	tree := strings.TrimSpace(git(t, "-C", dir, "rev-parse", "main^{tree}"))
	tip := strings.TrimSpace(git(t, "-C", dir, "rev-parse", "main"))
	for range 80 {
		tip = strings.TrimSpace(git(t, "-C", dir, "-c", "user.name=x", "-c", "user.email=x", "commit-tree", tree, "-p", tip, "-m", "x"))
	}
	git(t, "-C", dir, "update-ref", "refs/heads/side", tip)
	say(t, r, 2)
	git(t, "-C", dir, "fetch", "-q", "origin", "+main:main")
	same()
	git(t, "-C", dir, "fetch", "-q", "origin", "+main:main") // nothing new
	same()
}

func TestGitIsRefused(t *testing.T) {
	r, _ := group(t, 0)
	url := "git://" + serve(t, only(r)) + "/" + strings.Repeat("0", 40)
	out, err := exec.Command("git", "ls-remote", url).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "no such conversation") {
		t.Errorf("%s", out)
	}
	out, err = exec.Command("git", "push", "-q", strings.Replace(url, strings.Repeat("0", 40), r.ID().String(), 1), "HEAD:refs/heads/x").CombinedOutput()
	if err == nil {
		t.Errorf("pushed: %s", out)
	}
}

// gitDaemon serves a folder of repositories.
func gitDaemon(t *testing.T, base string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	ctx, cancel := context.WithCancel(context.Background())
	c := exec.CommandContext(ctx, "git", "daemon", "--export-all", "--base-path="+base, "--listen=127.0.0.1", fmt.Sprint("--port=", port), "--reuseaddr")
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = 5 * time.Second
	c.Env = append(os.Environ(), "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = c.Wait() })
	addr := fmt.Sprint("127.0.0.1:", port)
	eventually.NoError(t, func() error {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err
	})
	return addr
}

func dial(t testing.TB, addr string) *Client {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return NewClient(c)
}

// We clone from git, which sends deltas, and fetch later.
func TestWeFetchFromGit(t *testing.T) {
	r, dir := group(t, 300)
	git(t, "-C", dir, "gc", "-q")
	addr := gitDaemon(t, filepath.Dir(dir))
	last := 0
	head, objects, err := dial(t, addr).Fetch("x", "conversation", nil, pack.Limits{}, func(done, _ int) { last = done })
	if err != nil {
		t.Fatal(err)
	}
	mine, err := repo.Clone(filepath.Join(t.TempDir(), "mine"), alice(), r.ID(), head, objects, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer mine.Close()
	if head != r.Head() || last != len(objects) {
		t.Errorf("head %s, want %s; progress %d of %d", head, r.Head(), last, len(objects))
	}
	for _, n := range []int{1, 80, 0} {
		say(t, r, n)
		head, objects, err := dial(t, addr).Fetch("x", "conversation", mine, pack.Limits{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(objects) != n {
			t.Errorf("%d objects came, want %d", len(objects), n)
		}
		if _, err := mine.Integrate(head, objects, nil); err != nil {
			t.Fatal(err)
		}
		if mine.Head() != r.Head() {
			t.Error("not the same")
		}
	}
}

// One channel, many requests, as devices do.
func TestChannelIsUsedAgain(t *testing.T) {
	r, _ := group(t, 5)
	c := dial(t, serve(t, only(r)))
	head, objects, err := c.Fetch("device", r.ID().String(), nil, pack.Limits{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	mine, err := repo.Clone(filepath.Join(t.TempDir(), "mine"), alice(), r.ID(), head, objects, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer mine.Close()
	for _, n := range []int{0, 1, 0, 70, 0} {
		say(t, r, n)
		head, objects, err := c.Fetch("device", r.ID().String(), mine, pack.Limits{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(objects) != n {
			t.Errorf("%d objects came, want %d", len(objects), n)
		}
		if _, err := mine.Integrate(head, objects, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// What a daemon sent on the wire, and what it expects back, to the byte.
func TestAsDaemonsSpeak(t *testing.T) {
	r, _ := group(t, 1)
	conn, err := net.Dial("tcp", serve(t, only(r)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	id, head := r.ID().String(), r.Head().String()
	send := func(text string) { io.WriteString(conn, text) }
	expect := func(want string) {
		t.Helper()
		got := make([]byte, len(want))
		conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.ReadFull(in, got); err != nil || string(got) != want {
			t.Fatalf("got %q (%v), want %q", got, err, want)
		}
	}
	advert := string(appendLine(nil, head+" HEAD\x00"+capabilities+"\n")) + "003d" + head + " refs/heads/main\n0000"
	request := "0084git-upload-pack /" + id + "\x00host=" + strings.Repeat("ab", 32) + "\x00"
	send(request)
	expect(advert)
	send("0000" + request) // nothing wanted; the next request at once
	expect(advert)
	send("004dwant " + head + " side-band-64k include-tag \n00000032have " + id + "\n0009done\n")
	expect("0031ACK " + id + "\n")
	line, err := readLine(in)
	if err != nil || !bytes.HasPrefix(line, []byte("\x01PACK\x00\x00\x00\x02\x00\x00\x00\x01")) {
		t.Fatalf("%q %v", line, err)
	}
	expect("0000")
	send("0000" + request)
	expect(advert)
	// libgit2 asks after twenty; both answers are expected.
	send("004dwant " + head + " side-band-64k include-tag \n0000" + strings.Repeat("0032have "+strings.Repeat("12", 20)+"\n", 19) + "0032have " + id + "\n0000")
	expect("0031ACK " + id + "\n")
	send("0009done\n")
	expect("0031ACK " + id + "\n")
}

func TestClientRefuses(t *testing.T) {
	id := plumbing.NewHash(strings.Repeat("12", 20)).String()
	advert := string(appendLine(nil, id+" refs/heads/main\n")) + "0000"
	for name, answer := range map[string]string{
		"nothing":          "",
		"no length":        "zzzz",
		"length 3":         "0003",
		"no references":    "0000",
		"no main":          string(appendLine(nil, id+" refs/heads/x\n")) + "0000",
		"error":            string(appendLine(nil, "ERR go away\n")),
		"reference":        string(appendLine(nil, "x")) + "0000",
		"no pack":          advert + "0008NAK\n0000",
		"error in band":    advert + "0008NAK\n" + string(appendLine(nil, "\x03failed")),
		"band 7":           advert + "0008NAK\n" + string(appendLine(nil, "\x07failed")),
		"empty line":       advert + "0008NAK\n0004",
		"no pack in bands": advert + "0008NAK\n" + string(appendLine(nil, "\x01this is not a pack")) + "0000",
	} {
		a, b := net.Pipe()
		go func() {
			go io.Copy(io.Discard, b)
			io.WriteString(b, answer)
			if !strings.HasSuffix(answer, "0000") {
				b.Close()
			}
		}()
		if _, _, err := NewClient(a).Fetch("h", "c", nil, pack.Limits{}, nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
		a.Close()
		b.Close()
	}
}

// A server that says nothing, as a daemon's does of a conversation that it is still making, is not waited for
// longer than somebody waits for a conversation to appear.
func TestSilentServerIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		defer a.Close()
		defer b.Close()
		go io.Copy(io.Discard, b)
		began := time.Now()
		_, _, err := NewClient(a).Fetch("h", "c", nil, pack.Limits{}, nil)
		if took := time.Since(began); !errors.Is(err, os.ErrDeadlineExceeded) || took > listTime {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// replay is a connection on which everything has been said already.
type replay struct {
	net.Conn
	r io.Reader
}

func (r replay) Read(p []byte) (int, error)       { return r.r.Read(p) }
func (r replay) Write(p []byte) (int, error)      { return len(p), nil }
func (r replay) SetReadDeadline(time.Time) error  { return nil }
func (r replay) SetWriteDeadline(time.Time) error { return nil }

func FuzzServer(f *testing.F) {
	r, _ := group(f, 2)
	id, head := r.ID().String(), r.Head().String()
	f.Add([]byte("0084git-upload-pack /" + id + "\x00host=" + strings.Repeat("ab", 32) + "\x00" +
		"004dwant " + head + " side-band-64k include-tag \n00000032have " + id + "\n0009done\n0000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = Serve(replay{r: bytes.NewReader(b)}, func(string) (*repo.Repository, error) { return r, nil }, nil)
	})
}

func FuzzClient(f *testing.F) {
	id := strings.Repeat("12", 20)
	f.Add(append(appendLine(nil, id+" refs/heads/main\n"), "00000008NAK\n0009\x01PACK0000"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, _ = NewClient(replay{r: bytes.NewReader(b)}).Fetch("h", "c", nil, pack.Limits{Stream: 1 << 16, Inflated: 1 << 18, Object: 1 << 16, Objects: 100}, nil)
	})
}

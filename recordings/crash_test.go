package recordings

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rendezvous/recordings/recordingstest"
	"rendezvous/recordings/sealed"
)

// children are what this test binary does when it is started as a child.
var children = map[string]func(){
	"record": childRecord,
	"full":   childFull,
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// childRecord records in real time until it is killed, and says how far it is.
func childRecord() {
	lib := Open(Config{Log: quiet(), Dir: os.Getenv("RECORDINGS_TEST_DIR"), Keys: childKeys()})
	rec, err := lib.Start(request())
	fatal(err)
	rec.Update([]Person{{ID: "p1", Name: "Ann", Talking: true}})
	r, err := recordingstest.NewRoom()
	fatal(err)
	begin := time.Now()
	for n := 0; ; n++ {
		fatal(r.Tick(rec, n))
		fmt.Printf("%d\n", (n+1)*20)
		time.Sleep(time.Until(begin.Add(time.Duration(n+1) * 20 * time.Millisecond)))
	}
}

// childKeys are those of the kind that the child is told.
func childKeys() sealed.Keyring {
	for _, kind := range kinds {
		if kind.name == os.Getenv("RECORDINGS_TEST_KIND") {
			return kind.keys
		}
	}
	panic("no such kind")
}

func child(task, kind, dir string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childTask+"="+task, "RECORDINGS_TEST_KIND="+kind, "RECORDINGS_TEST_DIR="+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

// kill -9 in the middle: the file plays up to the last 2 s, and the next start finishes
// the catalogue's entry.
func TestCrash(t *testing.T) {
	t.Parallel()
	var begun []*crashing
	for _, kind := range kinds {
		begun = append(begun, startCrashing(t, kind.name)) // they take their time at once
	}
	for i, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) { testCrash(t, begun[i], kind.keys) })
	}
}

// crashing is a host that records until it is killed.
type crashing struct {
	dir   string
	cmd   *exec.Cmd
	lines *bufio.Scanner // how far it is
}

func startCrashing(t *testing.T, kind string) *crashing {
	t.Helper()
	c := &crashing{dir: t.TempDir()}
	c.cmd = child("record", kind, c.dir)
	out, err := c.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.cmd.Start())
	t.Cleanup(c.kill) // where the test has failed before
	c.lines = bufio.NewScanner(out)
	return c
}

func (c *crashing) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait() // "signal: killed"
}

func testCrash(t *testing.T, c *crashing, keys sealed.Keyring) {
	dir, ms := c.dir, 0
	for ms < 6500 && c.lines.Scan() {
		_, err := fmt.Sscan(c.lines.Text(), &ms)
		require.NoError(t, err)
	}
	c.kill()
	require.Equal(t, 6500, ms)

	lib := open(t, dir, func(cfg *Config) { cfg.Keys = keys })
	list := lib.List("main")
	require.Len(t, list, 1)
	e := list[0]
	require.Equal(t, Recovered, e.State)
	require.Greater(t, e.Duration, float64(ms)/1000-2)
	require.NotEmpty(t, e.Files[0].SHA3)
	require.False(t, e.Ended.IsZero())
	require.Equal(t, 1, e.People)

	path := inTheClear(t, lib, e.ID, "")
	decodes(t, path)
	p := probe(t, path)
	require.InDelta(t, e.Duration, max(p.lasts(t, 0), p.lasts(t, 1)), 0.05, "the entry tells what ffprobe sees")
	require.Greater(t, p.lasts(t, 1), float64(ms)/1000-2)

	again := open(t, dir, func(cfg *Config) { cfg.Keys = keys })
	require.Equal(t, list, again.List("main"), "nothing more to repair")
}

// A fragment that was half written when the machine stopped is cut off.
func TestHalfAFragmentIsCutOff(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) { testHalfAFragment(t, kind.keys) })
	}
}

func testHalfAFragment(t *testing.T, keys sealed.Keyring) {
	dir := t.TempDir()
	c := recordingstest.NewClock()
	lib := open(t, dir, func(cfg *Config) { cfg.Now, cfg.Keys = c.Now, keys })
	r := newRoom(t)
	defer r.Close()
	rec, err := lib.Start(request())
	require.NoError(t, err)
	play(t, r, c, rec, 4*time.Second)
	require.NoError(t, rec.Stop())
	e, err := lib.Get(rec.ID())
	require.NoError(t, err)
	path := filepath.Join(dir, "main", e.ID, meetingFile)
	require.NoError(t, os.Truncate(path, e.Files[0].Size*6/10))

	// Make it look unfinished.
	lib.mu.Lock()
	lib.entries[e.ID].State = Running
	require.NoError(t, lib.save())
	lib.mu.Unlock()
	again := open(t, dir, func(cfg *Config) { cfg.Keys = keys })
	got, err := again.Get(e.ID)
	require.NoError(t, err)
	require.Equal(t, Recovered, got.State)
	require.Less(t, got.Duration, e.Duration)
	require.Greater(t, got.Duration, 1.0)
	require.Less(t, got.Size, e.Files[0].Size*6/10)
	decodes(t, inTheClear(t, again, e.ID, ""))
}

func TestCatalogueIsRebuiltFromSidecars(t *testing.T) {
	dir := t.TempDir()
	c := recordingstest.NewClock()
	lib := open(t, dir, func(cfg *Config) { cfg.Now = c.Now })
	r := newRoom(t)
	defer r.Close()
	rec, err := lib.Start(request())
	require.NoError(t, err)
	play(t, r, c, rec, time.Second)
	require.NoError(t, rec.Stop())
	want := lib.List("")

	path := filepath.Join(dir, catalogueFile)
	require.NoError(t, os.WriteFile(path, []byte(`{"recordings":[{"id":"x"`), 0o600))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, ".deleted-x", "y"), 0o700))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "main", "stray"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main", "stray", sidecarFile), []byte("{}"), 0o600))
	again := open(t, dir, nil)
	require.Equal(t, want, again.List(""))
	require.FileExists(t, path+".damaged")
	require.NoDirExists(t, filepath.Join(dir, ".deleted-x"))

}

// childFull records onto a file system of its own that is too small.
func childFull() {
	dir := os.Getenv("RECORDINGS_TEST_DIR")
	fatal(syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
	fatal(syscall.Mount("small", dir, "tmpfs", 0, "size=150k"))
	c := recordingstest.NewClock()
	lib := Open(Config{Log: quiet(), Dir: dir, Now: c.Now, Keys: childKeys()})
	rec, err := lib.Start(request())
	fatal(err)
	r, err := recordingstest.NewRoom()
	fatal(err)
	for n := range 100_000 {
		r.Colour.Y = byte(n) // something to encode
		fatal(r.Tick(rec, n))
		c.Advance(20 * time.Millisecond)
		settle(rec)
		select {
		case err := <-rec.Failed():
			fmt.Println("failed:", err)
			fmt.Println("stop:", rec.Stop() != nil)
			e, err := lib.Get(rec.ID())
			fmt.Println("kept:", err == nil && e.State == Failed && e.Duration > 1 && strings.Contains(e.Error, "no space left"))
			f, _, err := lib.OpenFile(rec.ID(), "")
			fatal(err)
			whole, duration, err := scanMP4(f, e.Size)
			fmt.Println("plays:", err == nil && whole == e.Size && duration.Seconds() == e.Duration)
			fatal(f.Close())
			fatal(os.WriteFile(dir+"/x", nil, 0o600)) // the disk is there
			fatal(syscall.Mount("small", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, "size=150k"))
			_, err = lib.Start(request())
			fmt.Println("read-only:", err)
			_ = lib.Close()
			return
		default:
		}
	}
	fatal(fmt.Errorf("the disk did not become full"))
}

// A full disk, and one that is read-only, end the recording with an error; what there is
// is kept and the meeting goes on. Needs leave to mount a tmpfs in a namespace of its own:
// root, or user namespaces, which Debian has switched on.
func TestFullAndReadOnlyDisk(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) { testFullDisk(t, kind.name) })
	}
}

func testFullDisk(t *testing.T, kind string) {
	dir := t.TempDir()
	cmd := child("full", kind, dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		}
	}
	out, err := cmd.Output()
	require.NoError(t, err, "%s", out)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	require.Len(t, lines, 5)
	require.Regexp(t, "^failed: .*no space left on device", lines[0])
	require.Equal(t, "kept: true", lines[2])
	require.Equal(t, "plays: true", lines[3])
	require.Regexp(t, "^read-only: recording cannot be kept: .*read-only file system", lines[4])
}

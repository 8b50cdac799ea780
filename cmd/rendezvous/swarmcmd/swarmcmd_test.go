package swarmcmd

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rendezvous/dht/identity"
	"rendezvous/swarm/commit"
	"rendezvous/swarm/repo"
)

func run(t *testing.T, data string, args ...string) (string, error) {
	t.Helper()
	c := Command(func() (string, error) { return data, nil })
	var out bytes.Buffer
	c.SetOut(&out)
	c.SetErr(&out)
	c.SilenceUsage = true
	c.SetArgs(args)
	err := c.Execute()
	return out.String(), err
}

// A conversation of daemons, as they keep it: with a work tree.
func daemons(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "theirs")
	pack, err := os.ReadFile("../../../swarm/repo/testdata/group.pack")
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"init", "-q", "-b", "main", dir},
		{"-C", dir, "unpack-objects", "-q"},
		{"-C", dir, "update-ref", "refs/heads/main", "7bbca3b8d5ed12be466ec2101d8759bc86b52b9e"},
	} {
		c := exec.Command("git", args...)
		c.Stdin = bytes.NewReader(pack)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v %s", args, err, out)
		}
	}
	return dir
}

func TestConversationOfDaemons(t *testing.T) {
	dir := daemons(t)
	out, err := run(t, "", "verify", dir)
	if err != nil || out != "482d0e8f0c83afc4c90a772cccf1e344f8831e33: 12 commits, all valid; head 7bbca3b8d5ed12be466ec2101d8759bc86b52b9e\n" {
		t.Errorf("%q %v", out, err)
	}
	out, err = run(t, "", "log", "-n", "5", dir)
	for _, want := range []string{`"carol"          remove "5e652a`, `"bob"            ban "d90dd9`, "votes about", `"from p1"`} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s (%v)", want, out, err)
		}
	}
	out, err = run(t, "", "export", dir)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var first struct {
		ID      string
		Message struct{ Type string }
	}
	if err := json.Unmarshal([]byte(lines[0]), &first); err != nil || len(lines) != 12 || first.Message.Type != "initial" {
		t.Errorf("%d lines, %+v, %v", len(lines), first, err)
	}
}

func TestRoom(t *testing.T) {
	a, err := identity.NewAccountBits(time.Now(), 2048)
	if err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	tmp := filepath.Join(data, "tmp")
	r, err := repo.Create(tmp, repo.Author{Identity: a.Device, Name: func() string { return "Room" }}, commit.InvitesOnly, nil, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Say(commit.Text("\x1b[31mred")); err != nil {
		t.Fatal(err)
	}
	head := r.Head().String()
	dir := filepath.Join(data, "jami/lobby/conversations", r.ID().String())
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(tmp, dir); err != nil {
		t.Fatal(err)
	}
	out, err := run(t, data, "log", "lobby")
	if err != nil || !strings.Contains(out, `"\x1b[31mred"`) || strings.Contains(out, "\x1b") {
		t.Errorf("%q %v", out, err)
	}
	file := filepath.Join(data, "out.jsonl")
	if _, err := run(t, data, "export", "lobby", "-o", file); err != nil {
		t.Error(err)
	}
	if _, err := run(t, data, "export", "lobby", "-o", file); err == nil {
		t.Error("overwrites")
	}
	if _, err := run(t, data, "verify", "nowhere"); err == nil {
		t.Error("verifies nothing")
	}
	// Of several, the log is of the room's own.
	another, err := repo.Create(tmp, repo.Author{Identity: a.Device}, commit.InvitesOnly, nil, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	guest := another.ID().String()
	if err := another.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(tmp, filepath.Join(filepath.Dir(dir), guest)); err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, data, "log", "lobby"); err != nil || strings.Count(out, "begins the conversation") != 2 {
		t.Errorf("two conversations: %q %v", out, err)
	}
	state := filepath.Join(data, "jami/lobby/conversation.json")
	if err := os.WriteFile(state, []byte(`{"conversation":"`+r.ID().String()+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, data, "log", "lobby"); err != nil || strings.Count(out, "begins the conversation") != 1 ||
		!strings.Contains(out, "red") || !strings.Contains(out, "is also in the conversation") || !strings.Contains(out, guest) {
		t.Errorf("the room's own: %q %v", out, err)
	}
	if out, err := run(t, data, "verify", "lobby"); err != nil || strings.Count(out, "all valid") != 2 {
		t.Errorf("verify: %q %v", out, err)
	}
	if err := os.RemoveAll(filepath.Join(filepath.Dir(dir), guest)); err != nil {
		t.Fatal(err)
	}
	// One changed byte is found.
	object := filepath.Join(dir, "objects", head[:2], head[2:])
	other := filepath.Join(dir, "objects", r.ID().String()[:2], r.ID().String()[2:])
	content, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(object, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, data, "verify", "lobby"); err == nil {
		t.Errorf("a broken repository is fine: %s", out)
	}
}

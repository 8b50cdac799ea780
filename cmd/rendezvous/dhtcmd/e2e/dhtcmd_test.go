package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"rendezvous/cmd/rendezvous/dhtcmd"
	"rendezvous/dht"
	"rendezvous/internal/lab/opendht"
)

// run executes the command as from a shell and returns what it printed.
func run(t *testing.T, ctx context.Context, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	c := dhtcmd.Command()
	c.SetArgs(args)
	c.SetOut(&out)
	c.SetErr(&out)
	err := c.ExecuteContext(ctx)
	return out.String(), err
}

// The commands against a real dhtnode.
func TestCommands(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	real, err := opendht.StartNode(ctx, opendht.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer real.Kill()
	bootstrap := "--bootstrap=" + real.Addr()

	// Something listening sees the put.
	heard := make(chan string, 1)
	listening, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		r, w := io.Pipe()
		c := dhtcmd.Command()
		c.SetArgs([]string{"listen", "debugged", "--json", bootstrap})
		c.SetOut(w)
		go func() { w.CloseWithError(c.ExecuteContext(listening)) }()
		line, err := bufio.NewReader(r).ReadString('\n')
		if err != nil {
			line = err.Error()
		}
		heard <- line
	}()
	if out, err := run(t, ctx, "put", "debugged", "some text", bootstrap); err != nil {
		t.Fatalf("put: %v\n%s", err, out)
	}
	if _, err := real.Ask(ctx, `data\(text/plain\):"some text"`, "g debugged"); err != nil {
		t.Error(err)
	}
	out, err := run(t, ctx, "get", "debugged", bootstrap, "--json")
	if err != nil {
		t.Fatalf("get: %v\n%s", err, out)
	}
	var line struct {
		Text     string
		UserType string `json:"user_type"`
	}
	if err := json.Unmarshal([]byte(out), &line); err != nil || line.Text != "some text" || line.UserType != "text/plain" {
		t.Errorf("get printed %s: %v", out, err)
	}
	// The hash of the text is the same key.
	if out, err := run(t, ctx, "get", dht.KeyOfText("debugged").String(), bootstrap); err != nil || !strings.Contains(out, `"some text"`) {
		t.Errorf("get by hash: %v\n%s", err, out)
	}
	if out, err := run(t, ctx, "nodes", bootstrap); err != nil || !strings.Contains(out, real.ID+" "+real.Addr()+" good") {
		t.Errorf("nodes: %v\n%s", err, out)
	}
	if out, err := run(t, ctx, "stats", bootstrap); err != nil || !strings.Contains(out, "IPv4: 1 good") {
		t.Errorf("stats: %v\n%s", err, out)
	}
	// The listener may have joined after the put: it sees the value all the same, because it is there.
	if line := <-heard; !strings.Contains(line, `"text":"some text"`) {
		t.Errorf("listen printed %q", line)
	}
	if out, err := run(t, ctx, "get", "x", "--wait=100ms", "--bootstrap=127.0.0.1:9"); err == nil || !strings.Contains(err.Error(), "cannot join") {
		t.Errorf("without network: %v\n%s", err, out)
	}
}

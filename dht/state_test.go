package dht

import (
	"os"
	"path/filepath"
	"testing"
)

// A state that a power cut has left empty, or anything else in its place, keeps no node from starting.
func TestDamagedState(t *testing.T) {
	for name, text := range map[string]string{"empty": "", "cut": `{"id": "00`, "noise": "\x00\xff", "another's": `[1, 2]`} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "dht-state")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			n, err := New(Config{IPv4: "127.0.0.1:0", StateFile: file})
			if err != nil {
				t.Fatalf("a damaged cache keeps the node from starting: %v", err)
			}
			if n.ID().IsZero() {
				t.Error("a node without a place")
			}
			if kept, err := os.ReadFile(file + ".damaged"); err != nil || string(kept) != text {
				t.Errorf("kept is %q, %v", kept, err)
			}
			if again, err := New(Config{IPv4: "127.0.0.1:0", StateFile: file}); err != nil || again.ID() == n.ID() {
				t.Errorf("the next start: %v", err)
			}
		})
	}
}

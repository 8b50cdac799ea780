package jamilab

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Nothing is left of a lab.
func TestDownRemovesEverything(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	l, err := Up(ctx, Options{Peers: 1})
	if err != nil {
		t.Fatal(err)
	}
	if addr, err := l.Addr("app"); err != nil || addr.String() != "10.77.0.3" {
		t.Errorf("app is %v, %v", addr, err)
	}
	if err := l.Down(); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("ip", "netns", "list").Output()
	if err != nil || strings.Contains(string(out), l.Namespace("")) {
		t.Errorf("namespaces left: %s, %v", out, err)
	}
	if _, err := os.Stat(l.dir); !os.IsNotExist(err) {
		t.Errorf("folder left: %v", err)
	}
}

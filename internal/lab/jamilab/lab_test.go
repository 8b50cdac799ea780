package jamilab

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Two daemons call each other: what every other test with daemons builds on.
func TestTwoDaemonsCall(t *testing.T) {
	Run(t, Options{Peers: 2}, func(t *testing.T, l *Lab) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		if err := Accounts(ctx, l.Peers()...); err != nil {
			t.Fatal(err)
		}
		a, b := l.Peer(1), l.Peer(2)
		if err := b.Set(ctx, map[string]string{"Account.autoAnswer": "true"}); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		call, err := a.PlaceCall(ctx, b.URI, Media(nil))
		if err != nil {
			t.Fatal(err)
		}
		if err := a.WaitCall(ctx, call, "CURRENT"); err != nil {
			t.Fatal(err)
		}
		t.Logf("CURRENT after %v", time.Since(start))
		if err := a.HangUp(ctx, call); err != nil {
			t.Fatal(err)
		}
	})
}

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

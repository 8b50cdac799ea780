package e2e

import (
	"context"
	"testing"
	"time"

	"rendezvous/internal/lab/jamilab"
)

// What two daemons do that are in a room, or want to be. They share a lab, for a daemon's new
// account takes seconds of CPU; each of these has a host of its own.
func TestTwoDaemons(t *testing.T) {
	t.Parallel() // daemons mostly wait
	jamilab.Run(t, jamilab.Options{Peers: 2, Sound: true, Alone: true}, func(t *testing.T, l *jamilab.Lab) {
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
		defer cancel()
		if err := jamilab.Accounts(ctx, l.Peers()...); err != nil {
			t.Fatal(err)
		}
		t.Run("a turned camera", func(t *testing.T) { turnsItsCamera(t, ctx, l) })
		t.Run("keys", func(t *testing.T) { pressKeys(t, ctx, l) })
		t.Run("a firewall", func(t *testing.T) { behindAFirewall(t, ctx, l) }) // it stays
	})
}

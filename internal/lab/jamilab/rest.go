package jamilab

import (
	"context"
	"fmt"
	"slices"
	"time"
)

const (
	// resting is how long nothing of a daemon's media has changed when a test changes it: the
	// pace of a person.
	resting = 500 * time.Millisecond
	// restless is how long a test waits for that at most.
	restless = 1500 * time.Millisecond
)

// takeMediaDown are the methods by which the daemon takes down media of a call.
var takeMediaDown = []string{"CallManager.hangUp", "CallManager.requestMediaChange", "CallManager.hold"}

// mediaSignals tell that media of a call were begun, ended or drawn anew a moment ago.
var mediaSignals = []string{"callStateChanged", "mediaNegotiationStatus", "onConferenceInfosUpdated", "decodingStarted", "decodingStopped"}

// rest waits before a method that takes media down until the daemon has done with what came
// before.
func (p *Peer) rest(ctx context.Context, method string) error {
	if !slices.Contains(takeMediaDown, method) {
		return nil
	}
	return p.Rest(ctx)
}

// Rest waits until nothing of the daemon's media has changed for a moment. Several of its threads
// take media up and down without a lock between them: asked for something else within
// milliseconds of a change, the daemon of 2023 now and then frees a receiver twice (heap
// corruption), or stops reading its connection.
func (p *Peer) Rest(ctx context.Context) error {
	for end := time.Now().Add(restless); ; {
		now := time.Now()
		wait := min(p.lastChange().Add(resting).Sub(now), end.Sub(now))
		if wait <= 0 {
			return nil
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return fmt.Errorf("jamilab: %s does not rest: %w", p.name, ctx.Err())
		}
	}
}

// lastChange is when the daemon last told of a change of media.
func (p *Peer) lastChange() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range slices.Backward(p.signals) {
		if slices.Contains(mediaSignals, s.Name) {
			return s.Time
		}
	}
	return time.Time{}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rendezvous/internal/sound"
)

const (
	heardAbove = -35.0 // dB relative to a full-scale sine: a tone that is there
	ownBelow   = 30.0  // dB that one's own tone must be below the other's

	piece = 250 * time.Millisecond // of sound, in which a tone is looked for: how exact the time is
	whole = time.Second            // in which one's own must not be
)

// errOwnTone says that somebody hears who they should, and themselves.
var errOwnTone = errors.New("with their own tone")

// ear is somebody who hears.
type ear interface {
	// listen records what they hear from now on, for a while.
	listen(ctx context.Context, d time.Duration) (sound.Recording, error)
}

// hears waits until somebody hears a tone, and far below it their own. It returns how long after
// began the tone was there.
func hears(ctx context.Context, began time.Time, e ear, want, own float64) (time.Duration, error) {
	var first time.Duration
	last := errors.New("nothing came")
	for {
		length := piece
		if first > 0 {
			length = whole
		}
		s, err := e.listen(ctx, length)
		there, self := s.Level(want), s.Level(own)
		switch levels := fmt.Sprintf("%.0f Hz at %.0f dB, own %.0f Hz at %.0f dB", want, there, own, self); {
		case ctx.Err() != nil:
			return 0, fmt.Errorf("%v: %w", patience, last)
		case err != nil: // there may be nothing to listen to yet
			last = err
			_ = wait(ctx) // the next round sees the end
		case there < heardAbove:
			last = errors.New(levels)
		case first == 0:
			first = time.Since(began)
		case there-self >= ownBelow:
			return first, nil
		default:
			last = fmt.Errorf("%s, %w", levels, errOwnTone)
		}
	}
}

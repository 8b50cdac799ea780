// Package eventually waits, in tests, for what others do in their own time.
package eventually

import (
	"errors"
	"testing"
	"time"
)

const (
	// patience is generous: what is waited for takes milliseconds, or the machine is busy with something else. Only a test that fails
	// waits so long.
	patience = time.Minute
	// longestPause is between two looks; the first ones are closer together.
	longestPause = 10 * time.Millisecond
)

// NoError looks again and again until there is nothing wrong any more, and ends the test with what was wrong last if that takes more
// than a minute. It may be called only by the test's own goroutine, as t.Fatal may.
func NoError(t testing.TB, look func() error) {
	t.Helper()
	began := time.Now()
	for pause := time.Millisecond; ; pause = min(2*pause, longestPause) {
		err := look()
		if err == nil {
			return
		}
		if waited := time.Since(began); waited > patience {
			t.Fatalf("after %v: %v", waited.Round(time.Second), err)
		}
		time.Sleep(pause)
	}
}

// True is NoError for what needs no telling but that it is not so.
func True(t testing.TB, what string, so func() bool) {
	t.Helper()
	vain := errors.New("waited in vain: " + what)
	NoError(t, func() error {
		if so() {
			return nil
		}
		return vain
	})
}

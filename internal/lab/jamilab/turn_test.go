package jamilab

import (
	"testing"
	"time"
)

// Who is alone has waited for the others, and lets nobody in; nobody overtakes who waits for that.
func TestTurn(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	take := func(alone bool) chan *turn {
		got := make(chan *turn, 1)
		go func() {
			w, err := takeTurn(alone)
			if err != nil {
				t.Error(err)
			}
			got <- w
		}()
		return got
	}
	waits := func(c chan *turn) bool {
		select {
		case <-c:
			return false
		case <-time.After(50 * time.Millisecond):
			return true
		}
	}
	one, two := <-take(false), <-take(false)
	alone := take(true)
	if !waits(alone) {
		t.Fatal("alone beside others")
	}
	late := take(false)
	one.end()
	if !waits(alone) || !waits(late) {
		t.Fatal("alone beside one other, or overtaken")
	}
	two.end()
	w := <-alone
	if !waits(late) {
		t.Fatal("somebody came in beside who is alone")
	}
	w.end()
	(<-late).end()
}

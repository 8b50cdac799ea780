package clocktest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"rendezvous/internal/clocktest"
)

func TestStep(t *testing.T) {
	c := clocktest.New()
	synctest.Test(t, func(t *testing.T) {
		for _, step := range []time.Duration{0, time.Hour, -time.Minute, 400 * 24 * time.Hour, -2 * time.Hour} {
			before := c.Now()
			c.Step(step)
			time.Sleep(3 * time.Second)
			after := c.Now()
			if passed := after.Sub(before); passed != 3*time.Second {
				t.Errorf("with a step of %v, three seconds are %v", step, passed)
			}
			// Round(0) takes the monotonic reading away.
			if moved := after.Round(0).Sub(before.Round(0)); moved != step+3*time.Second {
				t.Errorf("with a step of %v, and three seconds, the time of day moves by %v", step, moved)
			}
		}
	})
}

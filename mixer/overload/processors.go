package overload

import (
	"context"
	"runtime"
	"syscall"
	"time"
)

// Watch calls Observe each Interval with what the whole program uses of the processors that it may use, until ctx has ended. people is how many are in
// the rooms.
func (c *Control) Watch(ctx context.Context, people func() int) {
	ticker := time.NewTicker(Interval)
	defer ticker.Stop()
	at, spent := time.Now(), processorTime()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now, until := time.Now(), processorTime()
		// GOMAXPROCS is what a container is allowed, too.
		c.Observe(min(1, float64(until-spent)/float64(now.Sub(at))/float64(runtime.GOMAXPROCS(0))), people(), now)
		at, spent = now, until
	}
}

// processorTime is what the program has used until now, in user and system mode.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil { // of oneself it cannot fail
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

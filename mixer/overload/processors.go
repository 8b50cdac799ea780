package overload

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
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
		used := float64(until-spent) / float64(now.Sub(at)) / processors("/proc/self/cgroup", "/sys/fs/cgroup")
		c.Observe(min(1, used), people(), now)
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

// processors is how many the program may use: those of the machine, or less where its control group has a bandwidth limit (cpu.max of cgroup v2), which need
// not be whole ones, as GOMAXPROCS is. self is the file that names the program's group below root.
func processors(self, root string) float64 {
	n := float64(runtime.GOMAXPROCS(0))
	text, err := os.ReadFile(self)
	if err != nil {
		return n
	}
	for line := range strings.Lines(string(text)) {
		group, ok := strings.CutPrefix(strings.TrimSpace(line), "0::/")
		if !ok {
			continue
		}
		for dir := filepath.Join(root, group); strings.HasPrefix(dir, root); dir = filepath.Dir(dir) {
			if limit, ok := bandwidth(filepath.Join(dir, "cpu.max")); ok {
				n = min(n, limit)
			}
		}
	}
	return n
}

// bandwidth is the limit that a cpu.max file has, in processors, if it has one: "$MAX $PERIOD" in microseconds, or "max $PERIOD".
func bandwidth(file string) (limit float64, ok bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	most, period, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	m, err1 := strconv.ParseFloat(most, 64)
	p, err2 := strconv.ParseFloat(period, 64)
	return m / p, err1 == nil && err2 == nil && m > 0 && p > 0
}

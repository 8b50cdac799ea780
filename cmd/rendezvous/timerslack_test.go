package main

import (
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func TestTimerSlackOfAllThreads(t *testing.T) {
	var held, checked sync.WaitGroup
	release := make(chan struct{})
	for range 8 { // more threads than there were
		held.Add(1)
		checked.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			slack, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
			if err != nil || slack != 1_000_000 {
				t.Errorf("a thread has a timer slack of %d ns, %v; want 1 ms", slack, err)
			}
			held.Done()
			<-release
		})
	}
	held.Wait()
	close(release)
	checked.Wait()
}

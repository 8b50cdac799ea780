package eventually

import (
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// failing is a test that may fail.
type failing struct {
	testing.TB
	text string
}

func (*failing) Helper() {}
func (f *failing) Fatalf(format string, args ...any) {
	f.text = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// run is what a test fails with, and how long it took.
func run(test func(t testing.TB)) (text string, took time.Duration) {
	f, began, done := &failing{}, time.Now(), make(chan struct{})
	go func() {
		defer close(done)
		test(f)
	}()
	<-done
	return f.text, time.Since(began)
}

func TestNoError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks, last := 0, time.Now()
		text, took := run(func(t testing.TB) {
			NoError(t, func() error {
				if pause := time.Since(last); pause > 10*time.Millisecond {
					t.Fatalf("%v between two looks", pause)
				}
				last = time.Now()
				if looks++; looks == 100 {
					return nil
				}
				return fmt.Errorf("look %d", looks)
			})
		})
		require.Empty(t, text)
		require.Equal(t, 100, looks)
		require.Less(t, took, time.Second)

		looks = 0
		text, took = run(func(t testing.TB) { NoError(t, func() error { looks++; return fmt.Errorf("look %d", looks) }) })
		require.Equal(t, fmt.Sprintf("after 1m0s: look %d", looks), text)
		require.InDelta(t, patience.Seconds(), took.Seconds(), 0.1)
	})
}

func TestTrue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		text, _ := run(func(t testing.TB) { True(t, "a second", func() bool { return time.Since(began) > time.Second }) })
		require.Empty(t, text)
		text, _ = run(func(t testing.TB) { True(t, "the moon", func() bool { return false }) })
		require.Equal(t, "after 1m0s: waited in vain: the moon", text)
	})
}

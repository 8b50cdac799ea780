package ratelimit

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"
)

// passed is how many of some tries at once are allowed.
func passed[K comparable](l *Limiter[K], now time.Time, key K, tries int) (n int) {
	for range tries {
		if l.AllowN(now, key, 1) {
			n++
		}
	}
	return n
}

func TestEachSourceHasItsOwn(t *testing.T) {
	l, now := New[string](Config{Rate: 2, Burst: 3, Sources: 10}), time.Now()
	require.Equal(t, 3, passed(l, now, "a", 10))
	require.Equal(t, 3, passed(l, now, "b", 10))
	now = now.Add(time.Second)
	require.Equal(t, 2, passed(l, now, "a", 10))
	now = now.Add(time.Hour)
	require.Equal(t, 3, passed(l, now, "a", 10), "no more than that is saved")
	require.False(t, l.AllowN(now, "c", 4), "more than a bucket holds")
	require.True(t, l.AllowN(now, "c", 3))
}

// What is spent already is waited for.
func TestCharge(t *testing.T) {
	l, now := New[string](Config{Rate: rate.Every(7 * time.Second), Burst: 3, Sources: 10}), time.Now()
	require.True(t, l.Has(now, "a", 3))
	require.Zero(t, l.Len(), "who is asked about is remembered")
	for range 4 {
		l.Charge(now, "a", 1)
	}
	require.False(t, l.Has(now.Add(14*time.Second-time.Millisecond), "a", 1))
	require.True(t, l.Has(now.Add(14*time.Second), "a", 1))
	require.True(t, l.Has(now.Add(35*time.Second), "a", 3))
	require.True(t, l.Has(now, "b", 3))
	require.False(t, l.Has(now, "b", 4))
}

// New sources get no further than known ones, however many come.
func TestShare(t *testing.T) {
	l, now := New[int](Config{Rate: 2, Burst: 3, Sources: 4, Share: true}), time.Now()
	all := 0
	for i := range 1000 {
		require.True(t, i > 6 || l.Has(now, i, 1))
		all += passed(l, now, i, 1)
	}
	require.False(t, l.Has(now, 1000, 1))
	require.Equal(t, 4+3, all)
	require.Equal(t, 4, l.Len())
	require.Equal(t, 2, passed(l, now, 0, 9), "a known one has what it had")
	// Those that have been quiet make room.
	now = now.Add(time.Minute)
	require.True(t, l.Has(now, 1000, 3))
	require.Equal(t, 3, passed(l, now, 2000, 9))
	require.Equal(t, 3, passed(l, now, 2001, 9))
}

// Without it, who was not heard of for the longest time is forgotten.
func TestForget(t *testing.T) {
	l, now := New[int](Config{Rate: 2, Burst: 3, Sources: 4}), time.Now()
	for i := range 4 {
		require.Equal(t, 3, passed(l, now, i, 9))
	}
	require.Zero(t, passed(l, now, 0, 1))
	for i := range 3 {
		require.True(t, l.Has(now, 100+i, 3))
		require.Equal(t, 3, passed(l, now, 100+i, 9))
	}
	require.Equal(t, 4, l.Len())
	require.Zero(t, passed(l, now, 0, 1), "heard of after the others")
	require.Equal(t, 3, passed(l, now, 1, 9))
}

// What a crowd has left becomes less when few come.
func TestShrinks(t *testing.T) {
	l, now := New[int](Config{Rate: 1, Burst: 1, Sources: 100, Share: true}), time.Now()
	for i := range 100 {
		l.AllowN(now, i, 1)
	}
	require.Equal(t, 100, l.Len())
	now = now.Add(time.Minute)
	for i := range 60 {
		l.AllowN(now, 1000+i, 1)
	}
	require.LessOrEqual(t, l.Len(), 60)
}

func TestManyAtOnce(t *testing.T) {
	l, now := New[int](Config{Rate: 1, Burst: 5, Sources: 8}), time.Now()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 1000 {
				l.AllowN(now, i%16, 1)
				l.Has(now, i%16, 1)
				l.Charge(now, i%16, 1)
			}
		})
	}
	wg.Wait()
	require.LessOrEqual(t, l.Len(), 8)
}

func BenchmarkFlood(b *testing.B) {
	l, now := New[int](Config{Rate: 1, Burst: 5, Sources: 10_000, Share: true}), time.Now()
	b.ReportAllocs()
	for i := range b.N {
		l.AllowN(now, i, 1)
	}
}

package main

import (
	"math"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMetrics(t *testing.T) {
	m := parseMetrics(`# HELP t_seconds x
# TYPE t_seconds histogram
t_seconds_bucket{le="0.005"} 90
t_seconds_bucket{le="+Inf"} 100
t_seconds_sum 1.5
t_seconds_count 100
x_total{kind="a b"} 1.2e+03

garbage
`)
	require.Len(t, m, 5)
	require.InDelta(t, 1200, m[`x_total{kind="a b"}`], 0)
	share, count := m.above("t_seconds", 0.005)
	require.InDelta(t, 0.1, share, 1e-9)
	require.InDelta(t, 100, count, 0)
	share, _ = m.above("t_seconds", 0.01)
	require.True(t, math.IsNaN(share), "there is no such bucket")
	share, count = m.since(m).above("t_seconds", 0.005)
	require.True(t, math.IsNaN(share), "nothing happened meanwhile")
	require.Zero(t, count)
}

func FuzzMetrics(f *testing.F) {
	f.Add("a 1\nb{le=\"x\"} 2\n")
	f.Fuzz(func(t *testing.T, text string) { parseMetrics(text).above("b", 1) })
}

func TestStat(t *testing.T) {
	u, err := parseStat("27057 (a ) (b) S 27055 27055 7444 0 -1 4194560 1869 0 8 0 100 23 0 0 35 15 12 0 2504400 770355200 5421 1844674407")
	require.NoError(t, err)
	require.Equal(t, usage{cpu: 1230 * time.Millisecond, threads: 12, resident: 5421 * int64(os.Getpagesize())}, u)
	for _, text := range []string{"", "1 (x) S 1 2 3", "27057 (a) S 27055 27055 7444 0 -1 4194560 1869 0 8 0 x 2 0 0 35 15 12 0 2504400 770355200 5421 1"} {
		_, err := parseStat(text)
		require.Error(t, err)
	}
	// Of ourselves, it says what getrusage does.
	own, err := usageOf(os.Getpid())
	require.NoError(t, err)
	require.InDelta(t, ownTime().Seconds(), own.cpu.Seconds(), 1)
	require.Positive(t, own.sockets)
}

func TestBusiest(t *testing.T) {
	seen, err := programs()
	require.NoError(t, err)
	require.NotEmpty(t, seen)
	require.Contains(t, seen, os.Getpid())
	before := map[int]program{1: {"1 (a)", time.Second}, 2: {"2 (b) c)", time.Second}, 3: {"3 (host)", 0}}
	after := map[int]program{1: {"1 (a)", 2 * time.Second}, 2: {"2 (b) d)", 4 * time.Second}, 3: {"3 (host)", time.Hour}, 4: {"4 (new)", time.Second}}
	who, used := busiest(before, after, 3)
	require.Equal(t, "2 (b) d)", who, "it has another name now")
	require.Equal(t, 3*time.Second, used)
	who, _ = busiest(before, before, 3)
	require.Empty(t, who)
}

func TestMachine(t *testing.T) {
	total, err := parseMachine("cpu  100 10 20 5000 300 1 2 3 50 0")
	require.NoError(t, err)
	require.Equal(t, 1360*time.Millisecond, total, "without what was idle, and guests are counted once")
	_, err = parseMachine("cpu0 1 2")
	require.Error(t, err)
}

// Whoever reads a table is told what makes its figures doubtful, and the generator is blamed only for what is its doing.
func TestDoubts(t *testing.T) {
	require.Empty(t, window{host: 0.5, generator: 0.2}.doubts())
	require.Contains(t, window{host: 0.1, generator: 0.9}.doubts()[0], "THE GENERATOR WAS THE BOTTLENECK")
	require.Contains(t, window{host: 0.1, lateTurns: 0.1}.doubts()[0], "THE GENERATOR WAS THE BOTTLENECK")
	require.Contains(t, window{host: 1.5, overload: 2}.doubts()[0], "rendezvous_overload_level is 2")
	busy := window{host: 0.1, others: 0.3, lateTurns: 0.1, busiest: "2 (b) most: 0.20"}.doubts()
	require.Len(t, busy, 2)
	require.Equal(t, "others used 0.30 cores of the machine, 2 (b) most: 0.20", busy[0])
	require.NotContains(t, busy[1], "BOTTLENECK")
}

func TestStatistics(t *testing.T) {
	require.InDelta(t, 2, median([]float64{3, 1, 2}), 0)
	require.InDelta(t, 2.5, median([]float64{4, 1, 2, 3}), 0)
	require.True(t, math.IsNaN(median(nil)))
	require.InDelta(t, 4, percentile([]float64{4, 1, 2, 3}, 99), 0)
	require.InDelta(t, 1, percentile([]float64{4, 1, 2, 3}, 0), 0)
	require.InDelta(t, 0.25, lateGaps([]time.Duration{20 * time.Millisecond, 25 * time.Millisecond, 26 * time.Millisecond, 0}), 0)
}

func TestPlan(t *testing.T) {
	names := func(args ...string) (names []string) {
		todo, err := plan(args)
		require.NoError(t, err)
		for _, p := range todo {
			names = append(names, p.String())
		}
		return names
	}
	require.Subset(t, names(), []string{"sound-50", "sound-1000", "listeners-200", "churn-1000", "idle-200", "delay-200"})
	require.Equal(t, []string{"sound-50", "sound-200", "sound-500", "sound-1000"}, names("sound"))
	require.Equal(t, []string{"sound-7", "churn-3"}, names("sound-7", "churn-3"))
	for _, wrong := range []string{"noise", "sound-", "sound-0", "sound-x", "sound-99999"} {
		_, err := plan([]string{wrong})
		require.Error(t, err, wrong)
	}
}

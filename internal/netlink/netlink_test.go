package netlink_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rendezvous/internal/netlink"
)

const ms = time.Millisecond

var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

type arrival = netlink.Arrival[int]

// run sends packets of size bytes, numbered from 0, one each interval for a time, and returns all that arrives.
func run(l *netlink.Link[int], from time.Time, size int, interval, length time.Duration) (got []arrival) {
	n := 0
	for at := time.Duration(0); at < length; at += interval {
		got = append(got, l.Deliver(from.Add(at))...)
		l.Send(from.Add(at), size, n)
		n++
	}
	return append(got, rest(l)...)
}

// rest is all that is under way.
func rest(l *netlink.Link[int]) (got []arrival) {
	for at, ok := l.Next(); ok; at, ok = l.Next() {
		got = append(got, l.Deliver(at)...)
	}
	return got
}

func numbers(got []arrival) (n []int) {
	for _, a := range got {
		n = append(n, a.Data)
	}
	return n
}

func sent(l *netlink.Link[int]) (n int) {
	for _, c := range l.Counts() {
		n += c
	}
	return n
}

func TestPerfect(t *testing.T) {
	l := netlink.New[int](netlink.Settings{}, 1)
	got := run(l, begin, 1000, 10*ms, time.Second)
	require.Len(t, got, 100)
	for i, a := range got {
		require.Equal(t, arrival{i, 1000, a.Sent, begin.Add(time.Duration(i) * 10 * ms), 0}, a)
		require.Equal(t, a.At, a.Sent)
	}
}

func TestRate(t *testing.T) {
	l := netlink.New[int](netlink.Settings{Rate: 800_000, Queue: 10 * time.Second, Delay: 20 * ms}, 1)
	for i := range 100 { // 10 ms each
		l.Send(begin, 1000, i)
	}
	require.Equal(t, 100_000, l.Backlog(begin))
	got := rest(l)
	require.Len(t, got, 100)
	for i, a := range got {
		queued := time.Duration(i+1) * 10 * ms
		require.Equal(t, arrival{i, 1000, begin, begin.Add(queued + 20*ms), queued}, a)
	}
	// After a pause the link is idle: what was not used is not saved up.
	later := begin.Add(5 * time.Second)
	l.Send(later, 1000, 0)
	l.Send(later, 1000, 1)
	require.Equal(t, later.Add(40*ms), rest(l)[1].At)
}

func TestQueueLimit(t *testing.T) {
	for name, s := range map[string]netlink.Settings{
		"time":  {Rate: 800_000, Queue: 200 * ms},
		"bytes": {Rate: 800_000, QueueBytes: 20_000},
	} {
		t.Run(name, func(t *testing.T) {
			l := netlink.New[int](s, 1)
			for i := range 50 {
				fate := l.Send(begin, 1000, i)
				require.Equal(t, i >= 20, fate == netlink.QueueFull, i)
			}
			got := rest(l)
			require.Len(t, got, 20)
			require.Equal(t, 200*ms, got[19].Queued)
			require.Equal(t, netlink.Counts{netlink.Kept: 20, netlink.QueueFull: 30}, l.Counts())
		})
	}
	// Twice the rate for a while: half is lost, and what comes has queued for the limit.
	l := netlink.New[int](netlink.Settings{Rate: 800_000}, 1)
	got := run(l, begin, 1000, 5*ms, 10*time.Second)
	require.InDelta(t, 1050, len(got), 2) // 10 s of the link and its queue
	require.InDelta(t, float64(netlink.DefaultQueue), float64(got[len(got)/2].Queued), float64(10*ms))
	// Two packets have room in the shortest queue.
	l = netlink.New[int](netlink.Settings{Rate: 1000, QueueBytes: 1}, 1)
	require.Equal(t, netlink.Kept, l.Send(begin, 1000, 0))
	require.Equal(t, netlink.Kept, l.Send(begin, 1000, 1))
	require.Equal(t, netlink.QueueFull, l.Send(begin, 1000, 2))
}

func TestDelayAndJitter(t *testing.T) {
	s := netlink.Settings{Delay: 50 * ms, Jitter: 100 * ms}
	for _, s.Free = range []bool{false, true} {
		l := netlink.New[int](s, 7)
		got := run(l, begin, 100, 10*ms, 20*time.Second)
		require.Len(t, got, 2000)
		var sum time.Duration
		for _, a := range got {
			took := a.At.Sub(a.Sent)
			require.GreaterOrEqual(t, took, 50*ms)
			require.LessOrEqual(t, took, 150*ms)
			sum += took
		}
		require.True(t, slices.IsSortedFunc(got, func(a, b arrival) int { return a.At.Compare(b.At) }))
		require.Equal(t, !s.Free, slices.IsSorted(numbers(got)))
		if s.Free {
			require.InDelta(t, float64(100*ms), float64(sum)/2000, float64(3*ms))
		}
	}
	// A shorter way lets nobody overtake either.
	l := netlink.New[int](netlink.Settings{Delay: 100 * ms}, 1)
	l.Send(begin, 100, 0)
	l.Set(begin.Add(ms), netlink.Settings{Delay: 10 * ms})
	l.Send(begin.Add(2*ms), 100, 1)
	got := rest(l)
	require.Equal(t, []int{0, 1}, numbers(got))
	require.Equal(t, begin.Add(100*ms), got[1].At)
}

func TestReorder(t *testing.T) {
	l := netlink.New[int](netlink.Settings{Delay: 10 * ms, Reorder: 0.05, ReorderBy: 40 * ms}, 3)
	got := run(l, begin, 100, 10*ms, 100*time.Second)
	require.Len(t, got, 10_000)
	late := 0
	for _, a := range got {
		switch a.At.Sub(a.Sent) {
		case 10 * ms:
		case 50 * ms:
			late++
		default:
			t.Fatal(a)
		}
	}
	require.InDelta(t, 500, late, 100)
	require.False(t, slices.IsSorted(numbers(got)))
}

func TestLoss(t *testing.T) {
	lost := func(share float64, seed uint64) []int {
		l := netlink.New[int](netlink.Settings{Loss: share}, seed)
		got := numbers(run(l, begin, 100, ms, 10*time.Second))
		require.Equal(t, 10_000, sent(l))
		require.Equal(t, 10_000-len(got), l.Counts()[netlink.Lost])
		return got
	}
	five := lost(0.05, 1)
	require.Equal(t, five, lost(0.05, 1))
	require.NotEqual(t, five, lost(0.05, 2))
	require.InDelta(t, 9500, len(five), 3*math.Sqrt(10_000*0.05*0.95))
	// Of the same seed, a greater loss takes the same packets and others.
	for _, n := range lost(0.2, 1) {
		require.Contains(t, five, n)
	}
	require.Empty(t, lost(1, 1))
}

func TestBursts(t *testing.T) {
	l := netlink.New[int](netlink.Settings{}, 1)
	l.Send(begin, 100, -1)
	from := begin.Add(1234 * ms)
	l.Set(from, netlink.Settings{BurstEvery: 5 * time.Second, BurstLen: 300 * ms})
	got := run(l, from, 100, 10*ms, 20*time.Second)
	require.Equal(t, 4*30, l.Counts()[netlink.InBurst])
	require.Equal(t, 1+2000-4*30, len(got))
	for _, a := range got[1:] {
		require.GreaterOrEqual(t, a.Sent.Sub(from)%(5*time.Second), 300*ms)
	}
}

func TestBlackout(t *testing.T) {
	l := netlink.New[int](netlink.Settings{Delay: 50 * ms}, 1)
	l.Send(begin, 100, 0)
	l.Set(begin.Add(ms), netlink.Settings{Delay: 50 * ms, Blackout: true})
	require.Equal(t, netlink.InBlackout, l.Send(begin.Add(2*ms), 100, 1))
	l.Set(begin.Add(3*ms), netlink.Settings{Delay: 50 * ms})
	l.Send(begin.Add(4*ms), 100, 2)
	require.Equal(t, []int{0, 2}, numbers(rest(l)))
}

// A change of the rate keeps what queues, and what of the first packet has been sent already.
func TestRateChange(t *testing.T) {
	s := netlink.Settings{Rate: 800_000, Queue: time.Second}
	fill := func() *netlink.Link[int] {
		l := netlink.New[int](s, 1)
		for i := range 100 { // 10 ms each
			l.Send(begin, 1000, i)
		}
		return l
	}
	slower := s
	slower.Rate /= 4
	l := fill()
	require.Len(t, l.Deliver(begin.Add(15*ms)), 1)
	l.Set(begin.Add(15*ms), slower)
	require.Equal(t, 99_000, l.Backlog(begin.Add(15*ms)))
	require.Equal(t, netlink.QueueFull, l.Send(begin.Add(15*ms), 1000, 100))
	got := rest(l)
	require.Len(t, got, 99)
	require.Equal(t, begin.Add(15*ms+5*ms*4), got[0].At)
	require.Equal(t, begin.Add(15*ms+5*ms*4+98*40*ms), got[98].At)

	l = fill()
	l.Set(begin.Add(15*ms), netlink.Settings{}) // no limit: all is there at once
	got = l.Deliver(begin.Add(15 * ms))
	require.Len(t, got, 100)
	require.Equal(t, begin.Add(15*ms), got[99].At)
	require.Equal(t, 15*ms, got[99].Queued)

	// Whether Deliver is called often or not is all the same.
	one, many := fill(), fill()
	a := one.Deliver(begin.Add(time.Second))
	require.Equal(t, a, rest(many))
}

func TestSendLate(t *testing.T) {
	l := netlink.New[int](netlink.Settings{Delay: 10 * ms}, 1)
	l.SendLate(begin, 100, 0, 200*ms)
	l.Send(begin.Add(20*ms), 100, 1)
	l.SendLate(begin.Add(40*ms), 100, 2, 200*ms)
	got := rest(l)
	require.Equal(t, []int{1, 0, 2}, numbers(got))
	require.Equal(t, begin.Add(210*ms), got[1].At)
}

// A clock that is read by several, or set back, is told once more: time does not go back.
func TestEarlierTimes(t *testing.T) {
	l := netlink.New[int](netlink.Settings{Rate: 800_000}, 1)
	l.Send(begin, 1000, 0)
	l.Deliver(begin.Add(time.Second))
	l.Send(begin.Add(900*ms), 1000, 1)
	require.Equal(t, begin.Add(time.Second+10*ms), rest(l)[0].At)
}

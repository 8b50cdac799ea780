package netlink_test

import (
	"fmt"
	"time"

	"rendezvous/internal/netlink"
)

// A sender of 1 Mbit/s over a link of 500 kbit/s with a queue of one second, for ten seconds.
func Example() {
	const ms = time.Millisecond
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	l := netlink.New[int](netlink.Settings{Rate: 500_000, Queue: time.Second, Delay: 10 * ms}, 1)
	var got []netlink.Arrival[int]
	for n := range 1000 {
		l.Send(now, 1250, n)
		now = now.Add(10 * ms)
		got = append(got, l.Deliver(now)...)
	}
	last := got[len(got)-1]
	fmt.Println(len(got), "have come; the last one was sent", now.Sub(last.Sent).Round(100*ms), "ago and queued for", last.Queued.Round(100*ms))
	fmt.Println(l.Counts()[netlink.QueueFull], "had no room,", l.Backlog(now), "bytes wait")
	// Output:
	// 499 have come; the last one was sent 1s ago and queued for 1s
	// 451 had no room, 61250 bytes wait
}

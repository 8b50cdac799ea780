package scenario

import (
	"fmt"
	"time"

	"rendezvous/internal/lab/network"
	"rendezvous/internal/netlink"
)

const (
	sec = time.Second
	ms  = time.Millisecond
)

// All are the scenarios. Each begins with a step on an open network, by which the others are judged.
func All() []Scenario {
	return []Scenario{
		{
			Name: "500k-deep", Title: "receiver: open -> 500 kbit/s, queue of 2 s",
			Steps: []Step{
				{"open", 8 * sec, nil},
				{"narrow", 25 * sec, []Path{link("bob", Down, netlink.Settings{Rate: 500 * kbit, Queue: 2 * sec})}},
			},
			Targets: narrowed("narrow", 500*kbit),
		},
		{
			Name: "500k", Title: "receiver: open -> 500 kbit/s, queue of 500 ms",
			Steps: []Step{
				{"open", 8 * sec, nil},
				{"narrow", 25 * sec, []Path{link("bob", Down, netlink.Settings{Rate: 500 * kbit, Queue: 500 * ms})}},
			},
			Targets: narrowed("narrow", 500*kbit),
		},
		{
			Name: "700k", Title: "receiver: open -> 700 kbit/s, queue of 1.2 s",
			Steps: []Step{
				{"open", 8 * sec, nil},
				{"narrow", 25 * sec, []Path{link("bob", Down, netlink.Settings{Rate: 700 * kbit, Queue: 1200 * ms})}},
			},
			Targets: narrowed("narrow", 700*kbit),
		},
		{
			Name: "300k", Title: "receiver: open -> 300 kbit/s, queue of 500 ms",
			Steps: []Step{
				{"open", 8 * sec, nil},
				{"narrow", 25 * sec, []Path{link("bob", Down, netlink.Settings{Rate: 300 * kbit, Queue: 500 * ms})}},
			},
			Targets: narrowed("narrow", 300*kbit),
		},
		{
			Name: "150k", Title: "receiver: open -> 150 kbit/s -> open",
			Steps: []Step{
				{"open", 8 * sec, nil},
				{"narrow", 30 * sec, []Path{link("bob", Down, netlink.Settings{Rate: 150 * kbit, Queue: 500 * ms})}},
				{"again", 30 * sec, []Path{open("bob", Down)}},
			},
			Targets: []Target{
				most("gaps of sound over 40 ms, after 3 s", "gaps", 0, gaps("narrow", 3*sec)),
				most("queue, 95 %, after 3 s", "ms-queue", 200, queue("bob", "narrow", 3*sec, 0.95)),
				most("longest freeze without a notice", "s-freeze", 0.7, untold("narrow")),
				most("best rung after the link is open", "s-best", 10, best("again")),
			},
		},
		{
			Name: "blackout-15s", Title: "receiver: nothing for 15 s",
			Steps: []Step{
				{"open", 8 * sec, nil},
				{"dark", 15 * sec, []Path{link("bob", Both, netlink.Settings{Blackout: true})}},
				{"again", 30 * sec, []Path{open("bob", Both)}},
			},
			Targets: []Target{
				most("sound after the link", "s-sound", 1, soundBack("again")),
				most("picture after the link", "s-picture", 2, pictureBack("again")),
				most("best rung after the link", "s-best", 10, best("again")),
			},
		},
		{
			Name: "blackout-5s", Title: "receiver: nothing for 5 s",
			Steps: []Step{
				{"open", 8 * sec, nil},
				{"dark", 5 * sec, []Path{link("bob", Both, netlink.Settings{Blackout: true})}},
				{"again", 20 * sec, []Path{open("bob", Both)}},
			},
			Targets: []Target{
				most("picture after the link", "s-picture", 2, pictureBack("again")),
				most("freezes after the first picture", "freezes", 0, freezesOnceBack("again")),
			},
		},
		{
			Name: "address", Title: "receiver: another address",
			Steps: []Step{
				{"open", 8 * sec, nil},
				{"moved", 30 * sec, []Path{{Who: "bob", Address: 9}}},
			},
			Targets: []Target{
				most("longest without sound", "s-sound", 2, silent("moved")),
				most("longest without a picture", "s-picture", 2, longest("moved")),
			},
		},
		{
			Name: "loss-down", Title: "receiver: 20 % of what comes is lost",
			Steps: []Step{
				{"open", 8 * sec, nil},
				{"loss", 30 * sec, []Path{link("bob", Down, netlink.Settings{Loss: 0.2})}},
			},
			Targets: []Target{
				most("gaps of sound over 40 ms a minute", "gaps/min", 2, gapsAMinute("loss")),
				least("pictures a second", "1/s", 20, pictures("loss")),
			},
		},
		{
			Name: "loss-up", Title: "sender: 5 % is lost",
			Steps: []Step{
				{"open", 8 * sec, nil},
				{"loss", 30 * sec, []Path{link("ann", Up, netlink.Settings{Loss: 0.05})}},
			},
			Targets: []Target{
				most("gaps of sound over 40 ms a minute", "gaps/min", 2, gapsAMinute("loss")),
				least("pictures a second in the sender's tile", "1/s", 20, tilePictures("loss")),
			},
		},
		{
			Name: "rtt-down", Title: "receiver: round trip 20 -> 180 ms, nothing lost",
			Steps: []Step{
				{"open", 8 * sec, nil},
				{"far", 40 * sec, []Path{link("bob", Both, netlink.Settings{Delay: 90 * ms})}},
			},
			Targets: []Target{most("not the best rung", "s-worse", 0, worse("far"))},
		},
		{
			Name: "rtt-loss-up", Title: "sender: round trip 200 ms, 3 % is lost",
			Steps: []Step{
				{"open", 8 * sec, nil},
				{"far", 30 * sec, []Path{link("ann", Up, netlink.Settings{Delay: 100 * ms, Loss: 0.03}), link("ann", Down, netlink.Settings{Delay: 100 * ms})}},
			},
			Targets: []Target{
				least("pictures a second in the sender's tile", "1/s", 25, tilePictures("far")),
				most("freezes of the sender's tile", "freezes", 0, tileFreezes("far")),
			},
		},
		{
			Name: "bursts-up", Title: "sender: 300 ms lost every 5 s; six receivers", Watchers: 5,
			Steps: []Step{
				{"open", 8 * sec, nil},
				{"bursts", 25 * sec, []Path{link("ann", Up, netlink.Settings{BurstEvery: 5 * sec, BurstLen: 300 * ms})}},
			},
			Targets: []Target{most("the sender's tile frozen, of 25 s", "s-frozen", 1, tileFrozen("bursts"))},
		},
		{
			Name: "lips", Title: "sender: sound comes 200 ms later than the picture", Flash: true,
			Steps: []Step{
				{"open", 12 * sec, nil},
				{"apart", 30 * sec, []Path{{Who: "ann", Way: Up, Settings: network.Settings{SoundLate: 200 * ms}}}},
			},
			Targets: []Target{
				most("mouth to ear, clean", "ms-ear", 120, toEar("open")),
				most("mouth to eye, clean", "ms-eye", 100, toEye("open")),
				most("sound and picture apart, clean", "ms-apart", 40, apart("open", 2*sec)),
				most("apart, with sound 200 ms late, after 10 s", "ms-apart", 40, apart("apart", 10*sec)),
			},
		},
		{
			Name: "uplink", Title: "sender: 300 kbit/s, then 100 kbit/s",
			Steps: []Step{
				{"open", 8 * sec, nil},
				{"300k", 20 * sec, []Path{link("ann", Up, netlink.Settings{Rate: 300 * kbit, Queue: 500 * ms})}},
				{"100k", 20 * sec, []Path{link("ann", Up, netlink.Settings{Rate: 100 * kbit, Queue: 500 * ms})}},
			},
			Targets: []Target{
				most("gaps of sound over 40 ms at 300 kbit/s", "gaps", 0, gaps("300k", 0)),
				most("gaps of sound over 40 ms at 100 kbit/s", "gaps", 0, gaps("100k", 0)),
			},
		},
		{
			Name: "jitter-down", Title: "receiver: jitter of 30 and 100 ms, 5 % reordered by 40 ms",
			Steps: []Step{
				{"open", 8 * sec, nil},
				{"30ms", 20 * sec, []Path{link("bob", Down, netlink.Settings{Jitter: 30 * ms})}},
				{"100ms", 20 * sec, []Path{link("bob", Down, netlink.Settings{Jitter: 100 * ms})}},
				{"calm", 10 * sec, []Path{open("bob", Down)}},
				{"reorder", 20 * sec, []Path{link("bob", Down, netlink.Settings{Reorder: 0.05, ReorderBy: 40 * ms})}},
			},
			Targets: held(pictures, "30ms", "100ms", "reorder"),
		},
		{
			Name: "jitter-up", Title: "sender: jitter of 30 and 100 ms, 5 % reordered by 40 ms",
			Steps: []Step{
				{"open", 8 * sec, nil},
				{"30ms", 20 * sec, []Path{link("ann", Up, netlink.Settings{Jitter: 30 * ms})}},
				{"100ms", 20 * sec, []Path{link("ann", Up, netlink.Settings{Jitter: 100 * ms})}},
				{"calm", 10 * sec, []Path{open("ann", Up)}},
				{"reorder", 20 * sec, []Path{link("ann", Up, netlink.Settings{Reorder: 0.05, ReorderBy: 40 * ms})}},
			},
			Targets: held(tilePictures, "30ms", "100ms", "reorder"),
		},
		{
			Name: "phone-500k", Title: "receiver, a telephone: open -> 500 kbit/s, queue of 500 ms", Phone: true,
			Steps: []Step{
				{"open", 8 * sec, nil},
				{"narrow", 25 * sec, []Path{link("bob", Down, netlink.Settings{Rate: 500 * kbit, Queue: 500 * ms})}},
			},
			Targets: unseen("bob", "narrow", 500*kbit),
		},
		{
			Name: "phone-150k", Title: "receiver, a telephone: open -> 150 kbit/s, queue of 500 ms", Phone: true,
			Steps: []Step{
				{"open", 8 * sec, nil},
				{"narrow", 25 * sec, []Path{link("bob", Down, netlink.Settings{Rate: 150 * kbit, Queue: 500 * ms})}},
			},
			Targets: []Target{
				most("sound lost", "%", 1, soundLost("bob", "narrow")),
				most("queue, 95 %, after 3 s", "ms-queue", 200, queue("bob", "narrow", 3*sec, 0.95)),
			},
		},
		{
			Name: "one-bad", Title: "one receiver of ten: 300 kbit/s and 10 % lost; Bob is one of the others", Watchers: 8,
			Steps: []Step{
				{"open", 10 * sec, nil},
				{"bad", 25 * sec, []Path{link("w1", Down, netlink.Settings{Rate: 300 * kbit, Loss: 0.1})}},
			},
			Targets: []Target{
				most("fewer pictures a second at Bob's than before", "1/s", 1, func(r *Result) float64 { return pictures("open")(r) - pictures("bad")(r) }),
				most("not the best rung", "s-worse", 0, worse("bad")),
				most("freezes", "freezes", 0, freezes("bad")),
				most("gaps of sound over 40 ms", "gaps", 0, gaps("bad", 0)),
			},
		},
	}
}

// Quick is for tests, which run on a machine that does much else: how good it is on a quiet one is All's to measure.
func Quick() Scenario {
	return Scenario{
		Name: "quick", Title: "receiver: open -> 500 kbit/s, queue of 2 s",
		Steps: []Step{
			{"open", 2 * sec, nil},
			{"narrow", 10 * sec, []Path{link("bob", Down, netlink.Settings{Rate: 500 * kbit, Queue: 2 * sec})}},
		},
		Targets: []Target{
			most("queue over 150 ms", "s-queue", 4, queueOver("bob", "narrow", 150*ms)),
			most("longest freeze", "s-freeze", 3, longest("narrow")),
			least("pictures a second", "1/s", 3, pictures("narrow")),
			most("sound gone in all", "s-gone", 1.5, gone("narrow")),
			least("of the link is used after 5 s", "%", 40, used("bob", "narrow", 5*sec, 500*kbit)),
		},
	}
}

// Long are scenarios that take so long that they are played only when they are asked for.
func Long() []Scenario {
	skewed := func(name string, skew float64) Scenario {
		return Scenario{
			Name: name, Title: fmt.Sprintf("sender: a clock that is fast by %g millionths, 30 minutes", skew), Skew: skew,
			Steps: []Step{{"open", 8 * sec, nil}, {"skewed", 30 * time.Minute, nil}},
			Targets: []Target{
				most("gaps of sound over 40 ms", "gaps", 0, gaps("skewed", 0)),
				most("sound gone in all", "s-gone", 1, gone("skewed")),
			},
		}
	}
	return []Scenario{skewed("clock-fast", 200), skewed("clock-slow", -200)}
}

// narrowed is what a path must be like that has become narrower than what was sent over it.
func narrowed(step string, rate int) []Target {
	return []Target{
		most("queue over 150 ms", "s-queue", 1.5, queueOver("bob", step, 150*ms)),
		most("queue, 95 %, after 1.5 s", "ms-queue", 100, queue("bob", step, 1500*ms, 0.95)),
		most("longest freeze", "s-freeze", 0.7, longest(step)),
		most("sound gone in all", "s-gone", 0.3, gone(step)),
		least("of the link is used after 5 s", "%", 80, used("bob", step, 5*sec, rate)),
	}
}

// unseen is narrowed for a receiver of whom only the packets are looked at.
func unseen(who, step string, rate int) []Target {
	return []Target{
		most("queue over 150 ms", "s-queue", 1.5, queueOver(who, step, 150*ms)),
		most("queue, 95 %, after 1.5 s", "ms-queue", 100, queue(who, step, 1500*ms, 0.95)),
		most("longest without a whole picture", "s-freeze", 0.7, func(r *Result) float64 { return received(who, step)(r).Longest.Seconds() }),
		least("whole pictures a second", "1/s", 20, func(r *Result) float64 { return received(who, step)(r).Rate }),
		most("sound lost", "%", 1, soundLost(who, step)),
		least("of the link is used after 5 s", "%", 80, used(who, step, 5*sec, rate)),
	}
}

// held is what steps must be like that nobody should notice.
func held(rate func(step string) func(*Result) float64, steps ...string) (all []Target) {
	for _, s := range steps {
		all = append(all,
			most(s+": gaps of sound over 40 ms a minute", "gaps/min", 2, gapsAMinute(s)),
			least(s+": pictures a second", "1/s", 20, rate(s)))
	}
	return all
}

func most(what, unit string, limit float64, of func(*Result) float64) Target {
	return Target{What: what, Unit: unit, Limit: limit, Of: of}
}

func least(what, unit string, limit float64, of func(*Result) float64) Target {
	return Target{What: what, Unit: unit, Limit: limit, Least: true, Of: of}
}

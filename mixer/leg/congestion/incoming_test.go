package congestion

import (
	"log/slog"
	"testing"
	"time"

	"rendezvous/internal/netlink"
)

// uplink is a sender of sound and pictures who does nothing of themselves but what they are asked for, as browsers obey it.
type uplink struct {
	now, from, step, newest time.Time
	in                      *Incoming
	up                      *netlink.Link[incoming]
	wanted                  int // bit/s of pictures
	least                   int // bit/s of pictures, however little is asked for

	limit       int // as the sender knows it
	told        []told
	sound, shot time.Time
	paced       []int // bytes of packets that wait
	leave       time.Time

	late time.Duration // longer than pictures that sound takes

	lost   int             // packets of sound
	queued []sample        // ms, of sound
	shown  []sample        // bits of pictures that came
	brakes []time.Duration // since the step
}

type incoming struct {
	sound bool
	made  time.Time
}

type told struct {
	at    time.Time
	limit int
}

func newUplink(s netlink.Settings, wanted int) *uplink {
	u := &uplink{now: time.Unix(1_800_000_000, 0), wanted: wanted, least: 30_000, in: NewIncoming(slog.New(slog.DiscardHandler))}
	u.from, u.step, u.sound, u.shot = u.now, u.now, u.now, u.now
	u.up = netlink.New[incoming](s, 1)
	return u
}

func (u *uplink) set(s netlink.Settings) { u.up.Set(u.now, s); u.step = u.now }

// tell has the sender know the limit when it has come to them and their congestion control looks at it.
func (u *uplink) tell() {
	u.told = append(u.told, told{u.now.Add(35 * time.Millisecond), u.in.Limit(u.now.Sub(u.from))})
}

func (u *uplink) run(d time.Duration) {
	const header = 20 // RTP with extensions
	for end := u.now.Add(d); u.now.Before(end); u.now = u.now.Add(step) {
		for _, a := range u.up.Deliver(u.now) {
			at := a.At.Sub(u.from)
			u.in.Arrived(a.Size-Overhead, at)
			if !a.Data.sound {
				u.shown = append(u.shown, sample{a.At, float64(8 * a.Size)})
				continue
			}
			u.queued = append(u.queued, sample{a.At, float64(a.Queued.Microseconds()) / 1000})
			if a.Data.made.Before(u.newest) {
				continue
			}
			u.newest = a.Data.made
			if u.in.Sound(a.At.Sub(a.Data.made), at) {
				u.brakes = append(u.brakes, a.At.Sub(u.step))
				u.tell()
			}
		}
		if u.now.Sub(u.from)%(100*time.Millisecond) == 0 {
			u.tell()
		}
		for len(u.told) > 0 && !u.told[0].at.After(u.now) {
			u.limit, u.told = u.told[0].limit, u.told[1:]
		}
		if !u.now.Before(u.sound) {
			u.sound = u.sound.Add(20 * time.Millisecond)
			if u.up.SendLate(u.now, 80+header+Overhead, incoming{true, u.now}, u.late) != netlink.Kept {
				u.lost++
			}
		}
		rate := u.wanted
		if u.limit > 0 {
			rate = max(u.least, min(rate, u.limit-57_000))
		}
		if !u.now.Before(u.shot) {
			u.shot = u.shot.Add(time.Second / 30)
			for left := rate / 30 / 8; left > 0; left -= 1100 {
				u.paced = append(u.paced, min(left, 1100)+header+Overhead)
			}
		}
		for len(u.paced) > 0 && !u.leave.After(u.now) {
			u.up.Send(u.now, u.paced[0], incoming{made: u.now})
			u.leave = u.now.Add(time.Duration(float64(8*u.paced[0]) / (2.5 * float64(rate+57_000)) * 1e9))
			u.paced = u.paced[1:]
		}
	}
}

func (u *uplink) over(s []sample, from, to time.Duration) (out []float64) {
	for _, x := range s {
		if d := x.at.Sub(u.step); d >= from && d < to {
			out = append(out, x.value)
		}
	}
	return out
}

func (u *uplink) pictures(from, to time.Duration) (bitrate float64) {
	for _, b := range u.over(u.shown, from, to) {
		bitrate += b
	}
	return bitrate / (to - from).Seconds()
}

// A sender who does nothing by themselves makes no long queue on a path that becomes too narrow for them, and loses nothing of their sound; and what
// the path carries is used for their pictures.
func TestSenderOnANarrowPath(t *testing.T) {
	for _, tt := range []struct {
		from, wanted, to int     // bit/s
		longest          float64 // ms that sound has queued
		shown            float64 // bit/s of pictures at least
	}{
		{0, 500_000, 300_000, 250, 200_000},
		{0, 900_000, 500_000, 250, 380_000},
		{0, 900_000, 300_000, 490, 200_000},      // more than a second's worth in 200 ms
		{300_000, 200_000, 100_000, 490, 40_000}, // which is what they send at least
	} {
		s := netlink.Settings{Rate: tt.from, Delay: 10 * time.Millisecond, Queue: 500 * time.Millisecond}
		u := newUplink(s, tt.wanted)
		u.run(8 * time.Second)
		if len(u.brakes) > 0 {
			t.Errorf("%+v: before it is narrow, they are asked for less at %v", tt, u.brakes)
		}
		s.Rate = tt.to
		u.set(s)
		u.run(2 * time.Second)
		if u.lost > 0 {
			t.Errorf("%+v: %d packets of sound are lost", tt, u.lost)
		}
		u.run(18 * time.Second)
		if q := quantile(u.over(u.queued, 0, 2*time.Second), 1); q > tt.longest {
			t.Errorf("%+v: sound queues for %.0f ms", tt, q)
		}
		if q := quantile(u.over(u.queued, 2*time.Second, time.Hour), 0.95); tt.to > 100_000 && q > 150 {
			t.Errorf("%+v: sound queues for %.0f ms (95 %%) later on", tt, q)
		}
		if shown := u.pictures(2*time.Second, 20*time.Second); shown < tt.shown {
			t.Errorf("%+v: %.0f bit/s of pictures", tt, shown)
		}
	}
}

// When the path is open again, all is sent again that is wanted.
func TestSenderOnAPathThatIsOpenAgain(t *testing.T) {
	s := netlink.Settings{Rate: 300_000, Delay: 10 * time.Millisecond, Queue: 500 * time.Millisecond}
	u := newUplink(netlink.Settings{Delay: s.Delay}, 900_000)
	u.run(8 * time.Second)
	u.set(s)
	u.run(3 * time.Second)
	u.set(netlink.Settings{Delay: s.Delay})
	u.run(15 * time.Second)
	if shown := u.pictures(10*time.Second, 15*time.Second); shown < 880_000 {
		t.Errorf("%.0f bit/s of pictures", shown)
	}
}

// What paths do that are not too narrow takes next to nothing of the pictures.
func TestSenderOnAGoodPath(t *testing.T) {
	const ms = time.Millisecond
	for name, tt := range map[string]struct {
		to    netlink.Settings
		late  time.Duration // that sound is, from then on
		dark  time.Duration // before that
		share float64       // of the pictures that come at least
	}{
		"nothing happens":       {share: 0.99},
		"jitter of 30 ms":       {to: netlink.Settings{Jitter: 30 * ms}, share: 0.98},
		"jitter of 100 ms":      {to: netlink.Settings{Jitter: 100 * ms}, share: 0.9},
		"jitter that overtakes": {to: netlink.Settings{Jitter: 60 * ms, Free: true}, share: 0.95},
		"some come later":       {to: netlink.Settings{Reorder: 0.05, ReorderBy: 40 * ms}, share: 0.98},
		"a longer way":          {to: netlink.Settings{Delay: 100 * ms}, share: 0.98},
		"loss":                  {to: netlink.Settings{Loss: 0.05}, share: 0.94},
		"bursts of loss":        {to: netlink.Settings{BurstEvery: 5 * time.Second, BurstLen: 300 * ms}, share: 0.92},
		"nothing for 5 s":       {dark: 5 * time.Second, share: 0.98},
		"sound is late":         {late: 200 * ms, share: 0.98},
	} {
		u := newUplink(netlink.Settings{Delay: 10 * ms}, 500_000)
		u.run(8 * time.Second)
		whole := u.pictures(0, 8*time.Second)
		if tt.dark > 0 {
			u.set(netlink.Settings{Blackout: true})
			u.run(tt.dark)
		}
		tt.to.Delay, u.late = max(tt.to.Delay, 10*ms), tt.late
		u.set(tt.to)
		u.run(20 * time.Second)
		if shown := u.pictures(0, 20*time.Second); shown < tt.share*whole {
			t.Errorf("%s: %.0f bit/s of pictures of %.0f; they are asked for less at %v", name, shown, whole, u.brakes)
		}
	}
}

// Who falls silent while they are asked for next to nothing is not asked for that for ever.
func TestSenderWhoFallsSilent(t *testing.T) {
	s := netlink.Settings{Rate: 300_000, Delay: 10 * time.Millisecond, Queue: 500 * time.Millisecond}
	u := newUplink(netlink.Settings{Delay: s.Delay}, 500_000)
	u.run(8 * time.Second)
	u.set(s)
	for len(u.brakes) == 0 {
		u.run(step)
	}
	at := u.now.Sub(u.from)
	if u.in.Limit(at) != braking || !u.in.Braking(at) {
		t.Fatalf("asked for %d", u.in.Limit(at))
	}
	if at += longestBrake; u.in.Braking(at) || u.in.Limit(at) <= braking {
		t.Errorf("asked for %d %v later", u.in.Limit(at), longestBrake)
	}
	for range 100 {
		at += time.Second
		u.in.Limit(at)
	}
	if limit := u.in.Limit(at); limit != 0 {
		t.Errorf("asked for %d much later", limit)
	}
}

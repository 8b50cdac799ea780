package congestion

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/rtcp"

	"rendezvous/internal/netlink"
)

const ms = time.Millisecond

var open = netlink.Settings{Delay: 10 * ms}

func limited(kbps int, queue time.Duration) netlink.Settings {
	return netlink.Settings{Delay: 10 * ms, Rate: kbps * 1000, Queue: queue}
}

// path is a sender of sound and pictures that obeys a controller, a link, and a receiver that tells of each packet.
type path struct {
	t    testing.TB
	now  time.Time
	c    *Controller
	down *netlink.Link[uint16]
	up   *netlink.Link[[]rtcp.Packet]
	rec  *twcc.Recorder

	wanted int // bit/s of all
	floor  int // bit/s that pictures need at least

	seq               uint16
	sound, shot, back time.Time
	pictures          []int // bytes still to be sent of each picture
	leave             time.Time
	probe             *cluster
	skew              int64 // parts per million that the receiver's clock is fast

	from, step time.Time // of the run, of the step
	queued     []sample
	targets    []sample
	sent       []sample
}

type sample struct {
	at    time.Time
	value float64
}

type cluster struct {
	Probe
	until time.Time
	next  time.Time
}

func newPath(t testing.TB, s netlink.Settings) *path {
	p := &path{t: t, now: time.Unix(1_800_000_000, 0), wanted: 2_300_000, floor: 50_000, rec: twcc.NewRecorder(1)}
	p.from, p.sound, p.shot, p.back = p.now, p.now, p.now, p.now
	p.c = New(Config{Initial: 1_200_000, Min: 60_000, Max: 8_000_000, Now: func() time.Time { return p.now }})
	p.down = netlink.New[uint16](s, 1)
	p.up = netlink.New[[]rtcp.Packet](netlink.Settings{Delay: s.Delay}, 2)
	p.c.Want(p.wanted)
	return p
}

func (p *path) send(size int) {
	p.c.Sent(p.seq, size)
	p.sent = append(p.sent, sample{p.now, float64(size + Overhead)})
	p.down.Send(p.now, size+Overhead, p.seq)
	p.seq++
}

const step = time.Millisecond

// run goes on for a while.
func (p *path) run(d time.Duration) {
	for end := p.now.Add(d); p.now.Before(end); p.now = p.now.Add(step) {
		for _, a := range p.down.Deliver(p.now) {
			p.queued = append(p.queued, sample{a.At, float64(a.Queued.Microseconds()) / 1000})
			at := a.At.Sub(p.from).Microseconds()
			p.rec.Record(2, a.Data, at+at*p.skew/1_000_000+77_000_000)
		}
		if !p.now.Before(p.back) {
			p.back = p.back.Add(75 * time.Millisecond)
			if fb := p.rec.BuildFeedbackPacket(); len(fb) > 0 {
				p.up.Send(p.now, 60, fb)
			}
		}
		for _, a := range p.up.Deliver(p.now) {
			for _, f := range a.Data {
				b, err := f.Marshal()
				if err != nil {
					p.t.Fatal(err)
				}
				var tcc rtcp.TransportLayerCC
				if err := tcc.Unmarshal(b); err != nil {
					p.t.Fatal(err)
				}
				p.c.Feedback(&tcc)
			}
		}
		st := p.c.State()
		p.targets = append(p.targets, sample{p.now, float64(st.Target) / 1000})
		if !p.now.Before(p.sound) {
			p.sound = p.sound.Add(20 * time.Millisecond)
			p.send(80 + 20)
		}
		held := p.now.Before(st.Hold)
		if !p.now.Before(p.shot) {
			p.shot = p.shot.Add(time.Second / 30)
			if bits := min(st.Target, p.wanted) - 60_000; !held && bits >= p.floor {
				p.pictures = append(p.pictures, bits/30/8*1150/1210)
			}
		}
		if p.probe == nil && !held {
			if pr, ok := p.c.Probe(); ok {
				p.probe = &cluster{pr, p.now.Add(pr.Duration), p.now}
			}
		}
		if p.probe != nil {
			for !p.now.Before(p.probe.next) && p.now.Before(p.probe.until) {
				n := min(p.probe.Packet, 313)
				p.send(n - Overhead)
				p.probe.next = p.probe.next.Add(time.Duration(float64(n*8) / float64(p.probe.Bitrate) * 1e9))
			}
			if !p.now.Before(p.probe.until) {
				p.c.Probed()
				p.probe = nil
			}
			continue
		}
		if p.leave.Before(p.now.Add(-4 * time.Millisecond)) {
			p.leave = p.now.Add(-4 * time.Millisecond)
		}
		for len(p.pictures) > 0 && !held && !p.leave.After(p.now.Add(8*time.Millisecond)) {
			n := min(p.pictures[0], 1150)
			p.send(n + 20)
			p.leave = p.leave.Add(time.Duration(float64((n+20+Overhead)*8) / float64(st.Pace) * 1e9))
			if p.pictures[0] -= n; p.pictures[0] <= 0 {
				p.pictures = p.pictures[1:]
			}
		}
	}
}

// set changes the link; what follows is measured from here.
func (p *path) set(s netlink.Settings) {
	p.down.Set(p.now, s)
	u := p.up.Settings()
	u.Delay, u.Blackout = s.Delay, s.Blackout
	p.up.Set(p.now, u)
	p.step = p.now
}

// over are the samples from a time after the step to another.
func (p *path) over(s []sample, from, to time.Duration) (out []float64) {
	for _, x := range s {
		if d := x.at.Sub(p.step); d >= from && d < to {
			out = append(out, x.value)
		}
	}
	return out
}

func quantile(v []float64, q float64) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Clone(v)
	slices.Sort(v)
	return v[min(len(v)-1, int(q*float64(len(v))))]
}

// used is what was sent in kbit/s.
func (p *path) used(from, to time.Duration) float64 {
	sum := 0.
	for _, b := range p.over(p.sent, from, to) {
		sum += b
	}
	return sum * 8 / 1000 / (to - from).Seconds()
}

// clear is how long after the step the queue is over 150 ms for the last time.
func (p *path) clear() time.Duration {
	var last time.Duration
	for _, x := range p.queued {
		if d := x.at.Sub(p.step); d >= 0 && x.value > 150 {
			last = d
		}
	}
	return last
}

// reached is how long after the step the target has come to so much, in kbit/s.
func (p *path) reached(kbps float64) time.Duration {
	for _, x := range p.targets {
		if d := x.at.Sub(p.step); d >= 0 && x.value >= kbps {
			return d
		}
	}
	return time.Hour
}

// trace is a line each so long since the step, to look at.
func (p *path) trace(every, to time.Duration) string {
	var b strings.Builder
	for d := time.Duration(0); d < to; d += every {
		fmt.Fprintf(&b, "\n%6.2fs sent %6.0f target %6.0f queue p50 %5.0f max %5.0f", d.Seconds(), p.used(d, d+every),
			quantile(p.over(p.targets, d, d+every), .5), quantile(p.over(p.queued, d, d+every), .5), quantile(p.over(p.queued, d, d+every), 1))
	}
	return b.String()
}

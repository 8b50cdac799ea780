package congestion

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"rendezvous/internal/netlink"
)

// peer is how a receiver reports.
type peer struct {
	bytes int           // of pictures, after which each report comes, as FFmpeg's do; 0: they come by time
	every time.Duration // else
	echo  bool          // it answers questions
	plain bool          // its reports have no round trip
	pli   bool          // it asks for key frames when it lacks something, at most each 500 ms
}

var (
	// FFmpeg reports on what has come with 0.5 % / 50 of its bytes in 28 bytes each, Jami's own with five times as much.
	ffmpeg  = peer{bytes: 280_000}
	jami    = peer{bytes: 56_000}
	debian  = peer{bytes: 280_000, echo: true}
	baresip = peer{every: 5 * time.Second, pli: true}
	linear  = peer{every: time.Second}
)

// told is what goes back.
type toldBack struct {
	flow   int
	report Report
	echo   bool
	pli    bool
	asked  time.Time
	lsr    time.Time
	dlsr   time.Duration
}

// datagram is what goes there.
type datagram struct {
	kind int // 0 sound, 1 picture, 2 sender report of pictures, 3 of sound, 4 question
	seq  uint16
	at   time.Time
	size int
}

// receiver is what a receiver counts of one flow.
type receiver struct {
	any            bool
	base, highest  int64
	got, gotAt     int64
	expectedAt     int64
	lsr, lsrAt     time.Time
	bytes, bytesAt int
	reported       time.Time
	gap, asked     time.Time
}

// reportsPath is a sender that obeys Reports, a link, and a receiver that reports.
type reportsPath struct {
	t     testing.TB
	now   time.Time
	c     *Reports
	flows [2]*Flow
	peer  peer
	down  *netlink.Link[datagram]
	up    *netlink.Link[toldBack]
	rec   [2]receiver

	wanted, floor, rung int // bit/s; rung: what is sent at most while the target does not reach the next, 0: no such thing
	next                int

	seq          [2]uint16
	sound, shot  time.Time
	report, asks time.Time
	pictures     []int
	leave        time.Time

	from, step      time.Time
	queued          []sample
	targets         []sample
	sent            []sample
	soundOut, heard []sample
}

func newReportsPath(t testing.TB, s netlink.Settings, p peer) *reportsPath {
	r := &reportsPath{t: t, now: time.Unix(1_800_000_000, 0), wanted: 2_500_000, floor: 50_000, peer: p}
	r.from, r.step, r.sound, r.shot, r.report, r.asks = r.now, r.now, r.now, r.now, r.now, r.now
	r.c = NewReports(Config{Initial: 2_500_000, Min: 60_000, Max: 8_000_000, Now: func() time.Time { return r.now }})
	r.flows = [2]*Flow{r.c.Flow(), r.c.Flow()}
	r.down = netlink.New[datagram](s, 1)
	r.up = netlink.New[toldBack](netlink.Settings{Delay: s.Delay}, 2)
	r.c.Want(r.wanted)
	return r
}

func (p *reportsPath) send(kind, size int) {
	d := datagram{kind: kind, at: p.now, size: size}
	if kind < 2 {
		d.seq = p.seq[kind]
		p.seq[kind]++
		p.flows[kind].Sent(d.seq, size)
	}
	p.sent = append(p.sent, sample{p.now, float64(size + Overhead)})
	p.down.Send(p.now, size+Overhead, d)
	if kind == 0 {
		p.soundOut = append(p.soundOut, sample{p.now, 1})
	}
}

func (p *reportsPath) receive(a netlink.Arrival[datagram]) {
	d := a.Data
	p.queued = append(p.queued, sample{a.At, float64(a.Queued.Microseconds()) / 1000})
	switch d.kind {
	case 2, 3:
		r := &p.rec[3-d.kind]
		r.lsr, r.lsrAt = d.at, a.At
	case 4:
		if p.peer.echo {
			p.up.Send(p.now, 100, toldBack{echo: true, asked: d.at})
		}
	default:
		r := &p.rec[d.kind]
		if d.kind == 0 {
			p.heard = append(p.heard, sample{d.at, 1})
		}
		n := int64(d.seq)
		if !r.any {
			r.any, r.base, r.highest, r.reported = true, n, n-1, p.now.Add(-3300*time.Millisecond)
		}
		n = r.highest + int64(int16(d.seq-uint16(r.highest)))
		if n > r.highest+1 {
			r.gap = p.now
		}
		r.highest = max(r.highest, n)
		r.got++
		r.bytes += d.size
		if p.peer.bytes > 0 && r.bytes-r.bytesAt >= p.peer.bytes {
			p.tell(d.kind)
		}
	}
}

func (p *reportsPath) tell(flow int) {
	r := &p.rec[flow]
	expected := r.highest - r.base + 1
	all, got := expected-r.expectedAt, r.got-r.gotAt
	r.expectedAt, r.gotAt, r.bytesAt, r.reported = expected, r.got, r.bytes, p.now
	fraction := int64(0)
	if all > 0 && all > got {
		fraction = min(255, (all-got)*256/all)
	}
	b := toldBack{flow: flow, report: Report{Highest: uint32(r.highest), Lost: uint8(fraction)}}
	if !r.lsr.IsZero() && !p.peer.plain {
		b.lsr, b.dlsr = r.lsr, p.now.Sub(r.lsrAt)
	}
	p.up.Send(p.now, 80, b)
}

func (p *reportsPath) run(d time.Duration) {
	for end := p.now.Add(d); p.now.Before(end); p.now = p.now.Add(step) {
		for _, a := range p.down.Deliver(p.now) {
			p.receive(a)
		}
		if p.peer.every > 0 {
			for i := range p.rec {
				if r := &p.rec[i]; r.any && p.now.Sub(r.reported).Round(50*time.Millisecond) >= p.peer.every {
					p.tell(i)
				}
			}
		}
		if r := &p.rec[1]; p.peer.pli && p.now.Sub(r.gap) < 100*time.Millisecond && p.now.Sub(r.asked) >= 500*time.Millisecond {
			r.asked = p.now
			p.up.Send(p.now, 60, toldBack{pli: true})
		}
		for _, a := range p.up.Deliver(p.now) {
			b := a.Data
			if b.pli {
				p.c.Broken()
				continue
			}
			if b.echo {
				p.c.Echo(p.now.Sub(b.asked))
				continue
			}
			if !b.lsr.IsZero() {
				b.report.Sent = p.now.Sub(b.lsr)
				b.report.Trip = b.report.Sent - b.dlsr
			}
			p.flows[b.flow].Report(b.report)
		}
		st := p.c.State()
		p.targets = append(p.targets, sample{p.now, float64(st.Target) / 1000})
		if !p.now.Before(p.sound) {
			p.sound = p.sound.Add(20 * time.Millisecond)
			p.send(0, 80+12)
		}
		if !p.now.Before(p.report) {
			p.report = p.report.Add(ReportEvery)
			p.send(2, 28+14)
			p.send(3, 28+14)
		}
		if p.peer.echo && !p.now.Before(p.asks) {
			p.asks = p.asks.Add(st.Ask())
			p.c.Asked()
			p.send(4, QuestionSize)
		}
		held := p.now.Before(st.Hold)
		if !p.now.Before(p.shot) {
			p.shot = p.shot.Add(time.Second / 30)
			bits := min(st.Target, p.wanted) - 80_000
			if p.rung > 0 && bits < p.next {
				bits = min(bits, p.rung)
			}
			if !held && bits >= p.floor {
				p.pictures = append(p.pictures, bits/30/8*1130/1180)
			}
		}
		if p.leave.Before(p.now.Add(-4 * time.Millisecond)) {
			p.leave = p.now.Add(-4 * time.Millisecond)
		}
		for len(p.pictures) > 0 && !held && !p.leave.After(p.now.Add(8*time.Millisecond)) {
			n := min(p.pictures[0], 1130)
			p.send(1, n+12)
			p.leave = p.leave.Add(time.Duration(float64((n+12+Overhead)*8) / float64(st.Pace) * 1e9))
			if p.pictures[0] -= n; p.pictures[0] <= 0 {
				p.pictures = p.pictures[1:]
			}
		}
		if held {
			p.pictures = p.pictures[:0]
		}
	}
}

func (p *reportsPath) set(s netlink.Settings) {
	p.down.Set(p.now, s)
	u := p.up.Settings()
	u.Delay, u.Blackout = s.Delay, s.Blackout
	p.up.Set(p.now, u)
	p.step = p.now
}

func (p *reportsPath) over(s []sample, from, to time.Duration) []float64 {
	return (&path{step: p.step}).over(s, from, to)
}

func (p *reportsPath) used(from, to time.Duration) float64 {
	return (&path{step: p.step, sent: p.sent}).used(from, to)
}

func (p *reportsPath) reached(kbps float64) time.Duration {
	return (&path{step: p.step, targets: p.targets}).reached(kbps)
}

// lost is the share of sound that is lost.
func (p *reportsPath) lost(from, to time.Duration) float64 {
	out, in := len(p.over(p.soundOut, from, to)), len(p.over(p.heard, from, to))
	return 1 - float64(in)/float64(max(1, out))
}

func (p *reportsPath) trace(every, to time.Duration) string {
	var b strings.Builder
	for d := time.Duration(0); d < to; d += every {
		fmt.Fprintf(&b, "\n%6.2fs sent %6.0f target %6.0f queue p50 %5.0f max %5.0f sound lost %5.1f %%", d.Seconds(), p.used(d, d+every),
			quantile(p.over(p.targets, d, d+every), .5), quantile(p.over(p.queued, d, d+every), .5), quantile(p.over(p.queued, d, d+every), 1), 100*p.lost(d, d+every))
	}
	return b.String()
}

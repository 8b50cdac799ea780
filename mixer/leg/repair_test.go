package leg

import (
	"container/heap"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// lossyPath is the emulated network between a sender of pictures and a stream, on a clock of its own. The sender sends a
// recording of 30 pictures a second over and over, repeats what is asked for, and goes on at the recording's next key frame
// when that is asked for.
type lossyPath struct {
	*watched
	rtt     time.Duration
	lost    func(at time.Duration) bool // a packet to us
	clean   time.Duration               // until when nothing is
	rng     *rand.Rand
	now     time.Duration
	events  events
	history map[uint16]rtp.Packet
	seq     uint16
	repeats int
	keys    int

	pictures [][]rtp.Packet
	isKey    []bool
	at       int // of pictures
	wantKey  bool
	free     [2]time.Duration // when the sender's pacer is, for what is new and for repeats, which go first

	seen   []time.Duration // new pictures at ticks of 1/30 s
	serial uint64
}

type event struct {
	at time.Duration
	n  int
	do func()
}

type events struct {
	list []event
	n    int
}

func (e *events) Len() int { return len(e.list) }
func (e *events) Less(i, j int) bool {
	return e.list[i].at < e.list[j].at || e.list[i].at == e.list[j].at && e.list[i].n < e.list[j].n
}
func (e *events) Swap(i, j int) { e.list[i], e.list[j] = e.list[j], e.list[i] }
func (e *events) Push(x any)    { e.list = append(e.list, x.(event)) }
func (e *events) Pop() any {
	x := e.list[len(e.list)-1]
	e.list = e.list[:len(e.list)-1]
	return x
}

func (p *lossyPath) after(d time.Duration, do func()) {
	p.events.n++
	heap.Push(&p.events, event{p.now + d, p.events.n, do})
}

func newPath(t *testing.T, rtt time.Duration) *lossyPath {
	t.Helper()
	packets := recorded(t, "H264")
	p := &lossyPath{watched: newWatched(t, packets), rtt: rtt, rng: rand.New(rand.NewPCG(5, 6)), history: map[uint16]rtp.Packet{},
		clean: 3 * time.Second}
	for _, x := range packets {
		if n := len(p.pictures); n == 0 || p.pictures[n-1][0].Timestamp != x.Timestamp {
			p.pictures = append(p.pictures, nil)
		}
		n := len(p.pictures) - 1
		p.pictures[n] = append(p.pictures[n], x)
	}
	for _, x := range p.pictures {
		var data []byte
		for _, y := range x {
			data, _ = h264Depacketiser{}.append(data, y.Payload)
		}
		p.isKey = append(p.isKey, h264Depacketiser{}.key(data))
	}
	p.stream.SetShown(640, 360)
	return p
}

// send paces a packet to us at 3 Mbit/s.
func (p *lossyPath) send(x rtp.Packet, repeat int) {
	free := &p.free[repeat]
	*free = max(*free, p.now) + time.Duration(len(x.Payload))*8*time.Second/3e6
	p.after(*free-p.now, func() {
		if p.now > p.clean && p.lost != nil && p.lost(p.now) {
			return
		}
		p.after(p.rtt/2, func() {
			p.stream.picture.push(&h264, &x, p.start.Add(p.now))
		})
	})
}

func (p *lossyPath) sendPicture(n int) {
	p.after(time.Duration(n+1)*time.Second/30-p.now, func() { p.sendPicture(n + 1) })
	if p.wantKey {
		for p.wantKey = false; !p.isKey[p.at]; {
			p.at = (p.at + 1) % len(p.pictures)
		}
	}
	for _, x := range p.pictures[p.at] {
		x.SequenceNumber, x.Timestamp, x.SSRC = p.seq, p.first+uint32(n)*3000, 7
		p.seq++
		p.history[x.SequenceNumber] = x
		p.send(x, 0)
	}
	p.at = (p.at + 1) % len(p.pictures)
}

// feedback brings what the stream has said to the sender.
func (p *lossyPath) feedback() {
	p.fake.mu.Lock()
	said := p.fake.rtcp
	p.fake.rtcp = nil
	p.fake.mu.Unlock()
	for _, x := range said {
		p.after(p.rtt/2, func() {
			switch x := x.(type) {
			case *rtcp.PictureLossIndication:
				p.keys++
				p.wantKey = true
			case *rtcp.TransportLayerNack:
				for _, pair := range x.Nacks {
					for _, seq := range pair.PacketList() {
						p.repeats++
						p.send(p.history[seq], 1)
					}
				}
			}
		})
	}
}

// run plays so long, and notes what a canvas would see.
func (p *lossyPath) run(length time.Duration) {
	p.after(0, func() { p.sendPicture(0) })
	var tick func()
	tick = func() {
		if pic, serial := p.stream.Picture(); pic != nil {
			pic.Release()
			if serial != p.serial {
				p.serial = serial
				p.seen = append(p.seen, p.now)
			}
		}
		p.after(time.Second/30, tick)
	}
	p.after(7*time.Millisecond, tick)
	p.play(length)
}

// play lets the time pass.
func (p *lossyPath) play(length time.Duration) {
	in := p.stream.picture
	for p.now < length {
		e := heap.Pop(&p.events).(event)
		in.mu.Lock()
		rings := in.ringsAt
		in.mu.Unlock()
		if at := max(p.now, rings.Sub(p.start)); !rings.IsZero() && at < e.at {
			heap.Push(&p.events, e)
			p.now = at
			p.clock.Store(int64(p.now))
			in.ring(p.start.Add(p.now))
		} else {
			p.now = e.at
			p.clock.Store(int64(p.now))
			e.do()
		}
		p.feedback()
	}
}

// looks is how the pictures looked since a time: how many a second, and the longest without a new one.
func (p *lossyPath) looks(from time.Duration) (rate float64, longest time.Duration) {
	last, n := from, 0
	for _, at := range append(p.seen, p.now) {
		if at >= from {
			longest = max(longest, at-last)
			last = at
			n++
		}
	}
	return float64(n-1) / (p.now - from).Seconds(), longest
}

// random loses that share of the packets.
func (p *lossyPath) random(share float64) func(time.Duration) bool {
	return func(time.Duration) bool { return p.rng.Float64() < share }
}

// What is lost on its way to us is sent again, and the pictures stay even.
func TestLostPacketsAreRepaired(t *testing.T) {
	const known, unknown = true, false
	for _, tt := range []struct {
		name    string
		rtt     time.Duration
		lost    func(p *lossyPath) func(at time.Duration) bool
		known   bool          // the round trip is
		rate    float64       // pictures a second, at least
		longest time.Duration // without a new one, at most
		keys    int           // asked for, at most
	}{
		{"nothing", 20 * time.Millisecond, nil, known, 29.5, 70 * time.Millisecond, 1},
		{"5 %", 20 * time.Millisecond, func(p *lossyPath) func(time.Duration) bool { return p.random(.05) }, known, 25, 150 * time.Millisecond, 1},
		{"5 %, round trip not known", 20 * time.Millisecond, func(p *lossyPath) func(time.Duration) bool { return p.random(.05) }, unknown, 22, 250 * time.Millisecond, 2},
		{"3 %, far", 200 * time.Millisecond, func(p *lossyPath) func(time.Duration) bool { return p.random(.03) }, known, 25, 450 * time.Millisecond, 2},
		{"20 %", 40 * time.Millisecond, func(p *lossyPath) func(time.Duration) bool { return p.random(.2) }, known, 24, 400 * time.Millisecond, 6},
		{"bursts", 20 * time.Millisecond, func(p *lossyPath) func(time.Duration) bool {
			return func(at time.Duration) bool { return at%(5*time.Second) > 4700*time.Millisecond }
		}, known, 25, 480 * time.Millisecond, 6},
		{"bursts and 5 %", 40 * time.Millisecond, func(p *lossyPath) func(time.Duration) bool {
			return func(at time.Duration) bool {
				return at%(5*time.Second) > 4700*time.Millisecond || p.rng.Float64() < .05
			}
		}, known, 23, 550 * time.Millisecond, 12},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPath(t, tt.rtt)
			if tt.lost != nil {
				p.lost = tt.lost(p)
			}
			if tt.known {
				p.leg.trips.rtt = tt.rtt
			}
			p.run(30 * time.Second)
			rate, longest := p.looks(6 * time.Second)
			t.Logf("%.1f pictures a second, %v at most without one, %d packets sent again, %d key frames asked for, held %v",
				rate, longest, p.repeats, p.keys, p.stream.picture.playout.even)
			if rate < tt.rate || longest > tt.longest || p.keys > tt.keys {
				t.Errorf("want %.1f pictures a second at least, %v without one and %d key frames at most", tt.rate, tt.longest, tt.keys)
			}
		})
	}
}

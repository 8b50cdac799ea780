package jitter_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"rendezvous/mixer/audio/jitter"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const frame = 960

// sent is a packet on its way: when it arrives, after the start.
type sent struct {
	p  jitter.Packet
	at time.Duration
}

// stream is packets of n samples each, sent at the pace of their duration.
func stream(count, samples int) []sent {
	s := make([]sent, count)
	for i := range s {
		s[i] = sent{
			p: jitter.Packet{SSRC: 7, Sequence: uint16(65530 + i), Timestamp: uint32(1<<32 - 5000 + i*samples), Clock: 48000,
				PayloadType: 96, Samples: samples, Level: -1, Payload: []byte{byte(i), byte(i >> 8), byte(i >> 16)}},
			at: time.Duration(i*samples) * time.Second / 48000,
		}
	}
	return s
}

// number of a packet in its stream, as its payload tells.
func number(p *jitter.Packet) int {
	return int(p.Payload[0]) | int(p.Payload[1])<<8 | int(p.Payload[2])<<16
}

// outcome is what a player made of a stream.
type outcome struct {
	played  []int // numbers of the packets, in order
	jumps   int
	lost    int // samples
	stalled int
	fec     int // losses with the next packet at hand
	silence int

	shortened, lengthened int
	// The time from a packet's sending to its playing, in samples, at the end and at most.
	delay, worst int
	stats        jitter.Stats
}

// atEnd is how long a stream that has ended is taken for one that ran dry.
const atEnd = 120*48 + frame

// listen plays the stream with a pull every 20 ms, correcting the delay 5 ms at a time.
func listen(t *testing.T, packets []sent, cfg jitter.Config) outcome {
	t.Helper()
	slices.SortStableFunc(packets, func(a, b sent) int { return int(a.at - b.at) })
	b := jitter.New(cfg)
	start := time.Unix(1e9, 0)
	var o outcome
	var p jitter.Packet
	fifo, next := 0, 0
	end := packets[len(packets)-1].at + 600*time.Millisecond
	for now := 7 * time.Millisecond; now < end; now += 20 * time.Millisecond {
		for ; next < len(packets) && packets[next].at <= now; next++ {
			b.Push(&packets[next].p, start.Add(packets[next].at))
		}
		for rounds := 0; fifo < frame; rounds++ {
			if rounds > 200 {
				t.Fatal("Pull makes no progress")
			}
			action, n := b.Pull(start.Add(now), frame-fifo, &p)
			if action == jitter.Idle {
				fifo = frame
				break
			}
			if n <= 0 {
				t.Fatalf("%v of %d samples", action, n)
			}
			fifo += n
			switch action {
			case jitter.Play:
				o.played = append(o.played, number(&p))
				if p.Jump {
					o.jumps++
				}
				o.delay = int(now*48/time.Millisecond) + fifo - n - number(&p)*p.Samples
				o.worst = max(o.worst, o.delay)
			case jitter.Lost:
				o.lost += n
				if len(p.Payload) > 0 {
					o.fec++
				}
			case jitter.Stall:
				o.stalled += n
			case jitter.Silence:
				o.silence += n
			}
		}
		switch excess := b.Excess(fifo % frame); {
		case excess > 0:
			fifo -= min(240, excess)
			o.shortened += min(240, excess)
			b.Corrected()
		case excess < 0:
			fifo += 240
			o.lengthened += 240
			b.Corrected()
		}
		fifo -= frame
	}
	o.stats = b.Stats()
	return o
}

func inOrder(t *testing.T, played []int) {
	t.Helper()
	for i := 1; i < len(played); i++ {
		if played[i] <= played[i-1] {
			t.Fatalf("packet %d played after %d", played[i], played[i-1])
		}
	}
}

func TestPerfectNetwork(t *testing.T) {
	for _, samples := range []int{120, 480, 960, 1920, 2880, 5760} {
		o := listen(t, stream(60*48000/samples, samples), jitter.Config{})
		inOrder(t, o.played)
		if len(o.played) != 60*48000/samples || o.lost != 0 || o.stats.Lost != 0 || o.stalled > atEnd {
			t.Errorf("%d samples: %d played, lost %d, stalled %d: %+v", samples, len(o.played), o.lost, o.stalled, o.stats)
		}
		if o.delay > 45*48 {
			t.Errorf("%d samples: delay of %d ms", samples, o.delay/48)
		}
	}
}

func TestJitter(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, jitterMs := range []int{20, 60, 150} {
		s := stream(3000, frame)
		for i := range s {
			s[i].at += time.Duration(r.IntN(jitterMs*1000)) * time.Microsecond
		}
		o := listen(t, s, jitter.Config{})
		inOrder(t, o.played)
		if missed := 3000 - len(o.played); missed > 3000*4/100 {
			t.Errorf("jitter of %d ms: %d of 3000 packets missed: %+v", jitterMs, missed, o.stats)
		}
		if o.worst > (jitterMs+100)*48 {
			t.Errorf("jitter of %d ms: delay up to %d ms", jitterMs, o.worst/48)
		}
		t.Logf("jitter %d ms: played %d, late %d, stalled %d ms, delay at the end %d ms, worst %d ms, target %v",
			jitterMs, len(o.played), o.stats.Late, o.stalled/48, o.delay/48, o.worst/48, o.stats.Target)
	}
}

func TestLossIsCountedAndFECWaitedFor(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, fec := range []bool{false, true} {
		var s []sent
		dropped := 0
		for i, p := range stream(3000, frame) {
			p.p.FEC = fec
			if i > 0 && i < 2999 && r.IntN(10) == 0 {
				dropped++
				continue
			}
			s = append(s, p)
		}
		o := listen(t, s, jitter.Config{})
		if len(o.played) != len(s) || int(o.stats.Lost) != dropped || o.stats.Late != 0 {
			t.Errorf("of %d, %d dropped: played %d, %+v", 3000, dropped, len(o.played), o.stats)
		}
		if fec && o.fec < dropped*7/10 {
			t.Errorf("%d of %d losses were mended with FEC", o.fec, dropped)
		}
		if o.delay > 80*48 {
			t.Errorf("delay of %d ms", o.delay/48)
		}
	}
}

func TestReordering(t *testing.T) {
	s := stream(2000, frame)
	for i := 5; i+1 < len(s); i += 10 {
		s[i].at = s[i+1].at + time.Millisecond
	}
	o := listen(t, s, jitter.Config{})
	inOrder(t, o.played)
	if missed := 2000 - len(o.played); missed > 5 {
		t.Errorf("%d packets missed: %+v", missed, o.stats)
	}
}

// TestRepairs: every twentieth packet comes so much later. It is waited for if that is not long; else the rest does not wait either.
func TestRepairs(t *testing.T) {
	for _, c := range []struct {
		late time.Duration
		wait bool
	}{{30 * time.Millisecond, true}, {60 * time.Millisecond, true}, {110 * time.Millisecond, false}, {220 * time.Millisecond, false}} {
		s := stream(3000, frame)
		for i := 10; i < len(s); i += 20 {
			s[i].at += c.late
		}
		s = append(s, stream(4000, frame)[3000:]...) // then none
		var o, ended outcome
		o, ended = listen(t, slices.Clone(s[:3000]), jitter.Config{}), listen(t, s, jitter.Config{})
		inOrder(t, o.played)
		missed := 3000 - len(o.played)
		if c.wait && (missed > 40 || o.delay > int(c.late/time.Millisecond+50)*48) || !c.wait && (missed < 100 || o.delay > 50*48) {
			t.Errorf("%v late: %d missed, delay %d ms, %+v", c.late, missed, o.delay/48, o.stats)
		}
		if ended.delay > 40*48 {
			t.Errorf("%v late, and then no more: delay %d ms", c.late, ended.delay/48)
		}
	}
}

// TestRepetitions: each packet comes with a copy of the one before, and every tenth is lost.
func TestRepetitions(t *testing.T) {
	all := stream(3000, frame)
	var s []sent
	lost := 0
	for i, p := range all {
		if i%10 == 5 {
			lost++
			continue
		}
		s = append(s, p)
		if i > 0 {
			again := all[i-1]
			again.p.Redundant, again.at = true, p.at
			s = append(s, again)
		}
	}
	o := listen(t, s, jitter.Config{})
	inOrder(t, o.played)
	if len(o.played) < 2990 || o.stats.Restored < uint64(lost-10) || o.stats.Duplicate+o.stats.Stray+o.stats.Late != 0 || int(o.stats.Received) != 3000-lost ||
		o.delay > 60*48 {
		t.Errorf("played %d, delay %d ms, %+v", len(o.played), o.delay/48, o.stats)
	}
}

// TestStrayRepetitions do nothing: of another stream, or before there is one, or newer than the packet they came in.
func TestStrayRepetitions(t *testing.T) {
	b := jitter.New(jitter.Config{})
	now := time.Unix(1e9, 0)
	p := stream(10, frame)[5].p
	p.Redundant = true
	b.Push(&p, now)
	first := stream(10, frame)[4].p
	b.Push(&first, now)
	b.Push(&p, now)
	p.SSRC, p.Sequence = 8, p.Sequence-2
	b.Push(&p, now)
	if s := b.Stats(); s.Received != 1 || s.Stray+s.Late+s.Duplicate+s.Restarts != 0 {
		t.Errorf("%+v", s)
	}
}

func TestDuplicates(t *testing.T) {
	s := stream(500, frame)
	for _, p := range stream(500, frame) {
		p.at += 3 * time.Millisecond
		s = append(s, p)
		p.at += 100 * time.Millisecond
		s = append(s, p)
	}
	o := listen(t, s, jitter.Config{})
	inOrder(t, o.played)
	if len(o.played) != 500 || o.stats.Duplicate != 1000 || o.stats.Late != 0 {
		t.Errorf("played %d: %+v", len(o.played), o.stats)
	}
}

// TestBurst holds the network up for 300 ms in the middle of speech: nothing may be lost, and the delay has to come back.
func TestBurst(t *testing.T) {
	s := stream(3000, frame)
	for i := 500; i < 515; i++ {
		s[i].at = s[515].at
	}
	o := listen(t, s, jitter.Config{})
	if len(o.played) != 3000 || o.stats.Overflow != 0 {
		t.Errorf("played %d: %+v", len(o.played), o.stats)
	}
	if o.delay > 50*48 {
		t.Errorf("%d ms of delay are left", o.delay/48)
	}
}

// TestSpikes is a radio link: some jitter always, and twice in 10 s a stop of 160 ms after which what has
// queued comes at once, in order.
func TestSpikes(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	s := stream(6000, frame)
	for i := range s {
		s[i].at += time.Duration(r.ExpFloat64() * float64(4*time.Millisecond))
		if stop := i / 250 * 250; i > stop && i < stop+8 && i > 250 {
			s[i].at = max(s[i].at, time.Duration(stop+8)*20*time.Millisecond+time.Duration(i-stop)*100*time.Microsecond)
		}
	}
	o := listen(t, s, jitter.Config{})
	inOrder(t, o.played)
	t.Logf("played %d, stalled %d ms, shortened %d ms, delay %d ms at the end, at most %d ms: %+v", len(o.played), o.stalled/48, o.shortened/48, o.delay/48, o.worst/48, o.stats)
	if len(o.played) < 6000*995/1000 || o.worst > 300*48 {
		t.Errorf("played %d, delay up to %d ms: %+v", len(o.played), o.worst/48, o.stats)
	}
}

// TestLongOutage holds it up for 2 s and then floods.
func TestLongOutage(t *testing.T) {
	s := stream(3000, frame)
	for i := 500; i < 600; i++ {
		s[i].at = s[600].at + time.Duration(i)*time.Microsecond
	}
	o := listen(t, s, jitter.Config{})
	inOrder(t, o.played)
	if len(o.played) < 2900 || o.delay > 50*48 {
		t.Errorf("played %d, delay %d ms: %+v", len(o.played), o.delay/48, o.stats)
	}
	if o.worst > 900*48 { // 400 ms kept of what waited, before the rest is found out
		t.Errorf("delay up to %d ms", o.worst/48)
	}
}

func TestDTX(t *testing.T) {
	var s []sent
	want := 0
	for i, p := range stream(3000, frame) {
		// 2 s of talk, 2 s of silence with a packet every 400 ms.
		if silent := i%200 >= 100; silent {
			p.p.Discontinuous = true
			if i%20 != 0 {
				continue
			}
		} else {
			want++
		}
		p.p.Sequence = uint16(len(s))
		s = append(s, p)
	}
	o := listen(t, s, jitter.Config{})
	inOrder(t, o.played)
	talk := 0
	for _, n := range o.played {
		if n%200 < 100 {
			talk++
		}
	}
	if talk != want || o.lost != 0 || o.stats.Lost != 0 || o.stats.Late != 0 {
		t.Errorf("played %d of %d packets of talk, lost %d: %+v", talk, want, o.lost, o.stats)
	}
	if o.delay > 50*48 {
		t.Errorf("delay of %d ms", o.delay/48)
	}
}

func TestRestarts(t *testing.T) {
	for name, change := range map[string]func(i int, p *sent){
		"SSRC":               func(i int, p *sent) { p.p.SSRC = 8; p.p.Sequence += 12345; p.p.Timestamp += 987654321 },
		"timestamp forward":  func(i int, p *sent) { p.p.Timestamp += 1e9 },
		"timestamp backward": func(i int, p *sent) { p.p.Timestamp -= 1e9 },
		"sequence":           func(i int, p *sent) { p.p.Sequence += 20000 },
		"clock rate":         func(i int, p *sent) { p.p.Clock = 8000; p.p.Timestamp = uint32(i * 160) },
		"pause of 10 s with a frozen timestamp": func(i int, p *sent) {
			p.at += 10 * time.Second
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := stream(1000, frame)
			for i := 500; i < 1000; i++ {
				change(i, &s[i])
			}
			o := listen(t, s, jitter.Config{})
			inOrder(t, o.played)
			if len(o.played) < 998 {
				t.Errorf("played %d: %+v", len(o.played), o.stats)
			}
			if o.stats.Restarts != 1 {
				t.Errorf("%+v", o.stats)
			}
			if name != "pause of 10 s with a frozen timestamp" && o.delay > 60*48 {
				t.Errorf("delay of %d ms", o.delay/48)
			}
		})
	}
}

// TestStrayPackets mixes packets of a stranger into a stream.
func TestStrayPackets(t *testing.T) {
	s := stream(1000, frame)
	for i, p := range stream(1000, frame) {
		if i%3 == 0 {
			p.p.SSRC = 99
			p.p.Timestamp *= 3
			p.p.Sequence = uint16(i)
			p.at += time.Millisecond
			s = append(s, p)
		}
	}
	o := listen(t, s, jitter.Config{})
	inOrder(t, o.played)
	if len(o.played) != 1000 || o.stats.Stray != 334 || o.stats.Restarts != 0 {
		t.Errorf("played %d: %+v", len(o.played), o.stats)
	}
}

// TestHolesAreNotLost has packets of something else among those of sound, and in their place.
func TestHolesAreNotLost(t *testing.T) {
	b := jitter.New(jitter.Config{})
	start := time.Unix(1e9, 0)
	var p jitter.Packet
	played, concealed, seq := 0, 0, uint16(65000)
	for i, s := range stream(1000, frame) {
		now := start.Add(s.at)
		if key := i%100 >= 50; key && i%3 == 0 {
			b.Hole(7, seq, now) // an event beside the sound
			seq++
		}
		s.p.Sequence = seq
		if i%100 >= 90 {
			b.Hole(7, seq, now) // an event instead of it
		} else {
			b.Push(&s.p, now)
		}
		seq++
		switch a, _ := b.Pull(now, frame, &p); a {
		case jitter.Play:
			played++
		case jitter.Lost:
			concealed++
		}
	}
	if s := b.Stats(); s.Lost != 0 || s.Late != 0 || s.Overflow != 0 || concealed != 0 || played < 895 {
		t.Errorf("played %d, %d taken for lost: %+v", played, concealed, s)
	}
}

// TestReaderComesLate pushes two seconds before the first pull.
func TestReaderComesLate(t *testing.T) {
	b := jitter.New(jitter.Config{})
	s := stream(200, frame)
	start := time.Unix(1e9, 0)
	for i := range 150 {
		b.Push(&s[i].p, start.Add(s[i].at))
	}
	var p jitter.Packet
	a, _ := b.Pull(start.Add(s[149].at), frame, &p)
	if a == jitter.Silence {
		a, _ = b.Pull(start.Add(s[149].at+20*time.Millisecond), frame, &p)
	}
	if a != jitter.Play || number(&p) < 147 {
		t.Errorf("first comes %v, packet %d", a, number(&p))
	}
}

func TestNoAllocations(t *testing.T) {
	b := jitter.New(jitter.Config{})
	s := stream(4000, frame)
	start := time.Unix(1e9, 0)
	p := jitter.Packet{Payload: make([]byte, 0, 100)}
	i := 0
	step := func() {
		b.Push(&s[i].p, start.Add(s[i].at))
		b.Pull(start.Add(s[i].at), frame, &p)
		i++
	}
	for range 500 {
		step()
	}
	if n := testing.AllocsPerRun(1000, step); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}

func FuzzBuffer(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 1, 20, 0, 1, 0, 1, 0, 2, 0, 20})
	f.Add([]byte{0, 0, 9, 9, 1, 40, 1, 5, 0, 0, 8, 8, 17, 40, 1, 5, 0, 0, 10, 10, 1, 40, 1, 5})
	f.Add([]byte{255, 255, 255, 128, 7, 200, 3, 0, 9, 9, 9, 9, 9, 9, 9, 9, 1, 1, 1, 1, 1, 1, 1, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		b := jitter.New(jitter.Config{})
		now := time.Unix(1e9, 0)
		var p jitter.Packet
		for ; len(data) >= 8; data = data[8:] {
			b.Push(&jitter.Packet{
				SSRC: uint32(data[0] & 3), Sequence: uint16(data[1])<<8>>(data[0]&8) | uint16(data[2]),
				Timestamp: uint32(data[3]) << (data[0] >> 3), Clock: [4]int{8000, 48000, 1, 0}[data[4]&3],
				Samples: int(data[5]) * 24, Discontinuous: data[4]&4 != 0, FEC: data[4]&8 != 0, Redundant: data[4]&16 != 0, Payload: data[:data[6]&7],
			}, now.Add(-time.Duration(data[6])*time.Millisecond))
			if data[0]&4 != 0 {
				b.Hole(uint32(data[0]&3), uint16(data[2])+uint16(data[7]), now)
			}
			now = now.Add(time.Duration(data[7]) * 4 * time.Millisecond)
			for fifo, rounds := 0, 0; fifo < frame; rounds++ {
				if rounds > 1000 {
					t.Fatal("Pull makes no progress")
				}
				a, n := b.Pull(now, frame-fifo, &p)
				if a == jitter.Idle {
					break
				}
				if n <= 0 || n > 6120 {
					t.Fatalf("%v of %d samples", a, n)
				}
				fifo += n
			}
			b.Excess(int(data[3]) * 3)
			if s := b.Stats(); s.Target > 400*time.Millisecond {
				t.Fatalf("%+v", s)
			}
		}
	})
}

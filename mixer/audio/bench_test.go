package audio_test

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/pion/rtp"

	"rendezvous/mixer/audio"
	"rendezvous/mixer/audio/codec"
	"rendezvous/mixer/audio/receive"
	"rendezvous/mixer/audio/talk"
)

// What a leg of the benchmarks sends.
type kindOfLeg int

const (
	talking     kindOfLeg = iota // speech, without levels
	hissing                      // a faint background, without levels
	hissingCELT                  // the same by an encoder that looks for no voices
	levelled                     // the same with levels (RFC 6464)
	dtx                          // the same with Opus DTX
)

// script is what one kind of leg sends, over and over.
type script struct {
	packets []rtp.Packet
	levels  []int
	span    int // ticks
}

func record(b testing.TB, kind kindOfLeg) script {
	frames := 1500
	source := noise(0.0003)
	if kind == hissingCELT {
		var x []int16
		for range frames {
			var f audio.Frame
			source(&f)
			x = append(x, f[:]...)
		}
		i := slices.IndexFunc(opusSenders, func(o opusSender) bool { return o.name == "CELT" })
		return opusSenders[i].record(b, x)
	}
	if kind == talking {
		voice := speech(b, pangram, 0.5)
		// Without the pauses, for the price of one who talks.
		var x []int16
		for i := 0; i+960 <= len(voice); i += 960 {
			if talk.Level(voice[i:i+960]) > -40 {
				x = append(x, voice[i:i+960]...)
			}
		}
		source = clip(x)
		frames = len(x) / 960
	}
	enc, err := codec.NewEncoder(codec.Params{Name: "opus", Bitrate: 32000, DTX: kind == dtx})
	if err != nil {
		b.Fatal(err)
	}
	defer enc.Close()
	s := script{span: frames}
	var f audio.Frame
	fell := false
	for i := range frames {
		source(&f)
		if kind == dtx && i > 20 {
			clear(f[:]) // libopus's DTX is sure of digital silence only
		}
		payload, err := enc.Encode(nil, f[:])
		if err != nil {
			b.Fatal(err)
		}
		// As WebRTC does it: of the packets without a frame only the first in a row is sent.
		empty := len(payload) <= 2
		if empty && fell {
			continue
		}
		fell = empty
		level := receive.NoLevel
		if kind == levelled {
			level = int(talk.Header(talk.Level(f[:])))
		}
		s.packets = append(s.packets, rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 96, Timestamp: uint32(i * 960)}, Payload: payload})
		s.levels = append(s.levels, level)
	}
	return s
}

// room is a bus with scripted legs on a clock that is turned by hand.
type room struct {
	bus  *audio.Bus
	now  time.Time
	tick int
	legs []*leg
}

// leg is a member with a real receiver, fed from a script.
type leg struct {
	script
	receiver *receive.Receiver
	next     int
	round    int
	seq      uint16
	ssrc     uint32
	got      int
}

func (l *leg) ReadFrame(f *audio.Frame) bool          { return l.receiver.ReadFrame(f) }
func (l *leg) SkipFrame()                             { l.receiver.SkipFrame() }
func (l *leg) SetSparing(on bool)                     { l.receiver.SetSparing(on) }
func (l *leg) Holed() bool                            { return l.receiver.Holed() }
func (l *leg) UndecodedLevel() float64                { return l.receiver.UndecodedLevel() }
func (l *leg) ReadPrivate(*audio.Frame) bool          { return false }
func (l *leg) Format() audio.Format                   { return audio.Format{Codec: "opus", Channels: 2, Bitrate: 32000} }
func (l *leg) WritePacket(audio.Packet, audio.Format) { l.got++ }

func newRoom() *room {
	return &room{bus: audio.NewBus(audio.Config{}), now: time.Unix(1e9, 0)}
}

func (r *room) add(s script, n int) {
	for range n {
		l := &leg{script: s, seq: uint16(r.tick + 1000*len(r.legs)), ssrc: uint32(len(r.legs) + 1)}
		l.receiver = receive.New(receive.Config{
			Codecs: map[uint8]codec.Params{96: {Name: "opus"}},
			Now:    func() time.Time { return r.now },
		})
		r.legs = append(r.legs, l)
		r.bus.AddStill(l)
	}
}

func (r *room) close() {
	r.bus.CloseStill()
	for _, l := range r.legs {
		l.receiver.Close()
	}
}

// step is 20 ms of the room: packets in, tick, packets out.
func (r *room) step() {
	for _, l := range r.legs {
		for int(l.packets[l.next].Timestamp)/960+l.round*l.span <= r.tick {
			p := &l.packets[l.next]
			h := p.Header
			h.SequenceNumber, h.SSRC = l.seq, l.ssrc
			h.Timestamp += uint32(l.round * l.span * 960)
			l.receiver.Push(&h, p.Payload, l.levels[l.next], r.now)
			l.seq++
			if l.next++; l.next == len(l.packets) {
				l.next = 0
				l.round++
			}
		}
	}
	r.bus.Tick()
	r.tick++
	r.now = r.now.Add(audio.FrameDuration)
}

// BenchmarkBareOpus is what the legs are held against: one decode and one encode of 20 ms of speech.
func BenchmarkBareOpus(b *testing.B) {
	s := record(b, talking)
	enc, err := codec.NewEncoder(codec.Params{Name: "opus", Bitrate: 32000})
	if err != nil {
		b.Fatal(err)
	}
	defer enc.Close()
	dec, err := codec.NewDecoder(codec.Params{Name: "opus"})
	if err != nil {
		b.Fatal(err)
	}
	defer dec.Close()
	pcm := make([]int16, codec.MaxSamples)
	out := make([]byte, 0, codec.MaxPayload)
	i := 0
	begin := used(b)
	for b.Loop() {
		if _, err := dec.Decode(pcm, s.packets[i%len(s.packets)].Payload); err != nil {
			b.Fatal(err)
		}
		if _, err := enc.Encode(out, pcm[:audio.FrameSamples]); err != nil {
			b.Fatal(err)
		}
		i++
	}
	b.ReportMetric(float64((used(b)-begin).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

// used is the CPU time that the process has taken: on a machine with other work ns/op says little.
func used(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkLegs is one tick of a room, on one core (run it with -cpu 1): the price of a leg is the difference
// between rooms of different size, divided.
func BenchmarkLegs(b *testing.B) {
	for _, c := range []struct {
		name   string
		kind   kindOfLeg
		talk   int
		silent int
	}{
		{"3 talking", talking, 3, 0},
		{"6 talking", talking, 6, 0},
		{"3 talking, 47 with levels", levelled, 3, 47},
		{"3 talking, 47 with DTX", dtx, 3, 47},
		{"3 talking, 47 without either", hissing, 3, 47},
		{"4 talking, 196 with levels", levelled, 4, 196},
		{"4 talking, 196 with DTX", dtx, 4, 196},
		{"4 talking, 196 without either", hissing, 4, 196},
		{"5 talking, 995 with levels", levelled, 5, 995},
		{"5 talking, 995 with DTX", dtx, 5, 995},
		{"5 talking, 995 without either", hissing, 5, 995},
		{"5 talking, 995 without either, CELT", hissingCELT, 5, 995},
		{"16 talking, 284 with levels", levelled, 16, 284},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := newRoom()
			defer r.close()
			r.add(record(b, talking), c.talk)
			if c.silent > 0 {
				r.add(record(b, c.kind), c.silent)
			}
			for range 600 { // until it is known what their background is
				r.step()
			}
			b.ReportAllocs()
			begin := used(b)
			for b.Loop() {
				r.step()
			}
			b.ReportMetric(float64((used(b)-begin).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}

// BenchmarkMix is one tick without codecs: members who give plain frames and take none.
func BenchmarkMix(b *testing.B) {
	for _, n := range []int{50, 300} {
		for _, talkers := range []int{3, 16} {
			b.Run(fmt.Sprintf("%d members, %d talking", n, talkers), func(b *testing.B) {
				bus := audio.NewBus(audio.Config{})
				defer bus.CloseStill()
				for i := range n {
					m := newMember(b, "", nil)
					if i < talkers {
						var f audio.Frame
						tone(float64(300+100*i), 0.05)(&f)
						m.source = func(g *audio.Frame) bool { *g = f; return true }
					}
					bus.AddStill(m)
				}
				b.ReportAllocs()
				for b.Loop() {
					bus.Tick()
				}
			})
		}
	}
}

package mixer_test

import (
	"math"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"

	"rendezvous/mixer"
	"rendezvous/mixer/audio/codec"
	"rendezvous/mixer/av"
	"rendezvous/mixer/leg"
	"rendezvous/mixer/mixertest"
)

// The two benchmarks below measure what the mixer adds, through real sockets on loopback: from
// the moment a packet that carries a change (a tone begins, the picture turns white) is given to
// the speaker's socket, to the moment the listener's socket delivers the first packet, or the
// listener's decoder the first picture, that shows it. Jitter buffer, mix, canvas, both codecs
// and pacing are in it; capturing and playing are not.

// percentiles reports p50 and p99 in milliseconds.
func percentiles(b *testing.B, all []time.Duration) {
	b.Helper()
	if len(all) == 0 {
		b.Fatal("nothing came through")
	}
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(all[min(len(all)-1, len(all)*99/100)].Microseconds())/1000, "p99-ms")
	b.ReportMetric(0, "ns/op")
}

// speaker is a leg in the mix with the far end's sockets in the test's hands.
type speaker struct {
	*mixertest.Party
	far [2]*net.UDPConn // audio, video
	to  [2]*net.UDPAddr
	seq [2]uint16
}

func newSpeaker(b *testing.B) *speaker {
	b.Helper()
	s := &speaker{Party: mixertest.NewParty(b, mixertest.H264)}
	for i, p := range []*mixertest.Sockets{s.Sound, s.Video} {
		far := mixertest.NewSockets(b)
		b.Cleanup(far.Close)
		s.far[i] = far.RTP
		s.to[i] = p.RTP.LocalAddr().(*net.UDPAddr)
		p.SendTo(far.Port())
	}
	return s
}

func (s *speaker) send(b *testing.B, medium int, pt uint8, ts uint32, marker bool, payload []byte) {
	b.Helper()
	p := rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: pt, SequenceNumber: s.seq[medium], Timestamp: ts, Marker: marker, SSRC: 77}, Payload: payload}
	s.seq[medium]++
	raw, err := p.Marshal()
	if err != nil {
		b.Fatal(err)
	}
	if _, err := s.far[medium].WriteToUDP(raw, s.to[medium]); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkSoundLatency(b *testing.B) {
	m := mixer.New(mixer.Config{})
	defer m.Close()
	talker, listener := newSpeaker(b), newSpeaker(b)
	m.Add("talker", talker.Leg, mixer.Attributes{Name: "talker"})
	m.Add("listener", listener.Leg, mixer.Attributes{Name: "listener"})
	defer func() {
		m.Remove("talker")
		m.Remove("listener")
		talker.Close(b)
		listener.Close(b)
	}()
	enc, err := codec.NewEncoder(codec.Params{Name: "opus", Channels: 2, Bitrate: 32000})
	if err != nil {
		b.Fatal(err)
	}
	began := make(chan time.Time, 1)
	heard := make(chan time.Time, 1)
	go func() { // ends when the socket is closed
		dec, err := codec.NewDecoder(codec.Params{Name: "opus", Channels: 2})
		if err != nil {
			return
		}
		buf, pcm := make([]byte, 1500), make([]int16, codec.MaxSamples)
		loud := false
		for {
			n, err := listener.far[0].Read(buf)
			if err != nil {
				return
			}
			at := time.Now()
			var p rtp.Packet
			if p.Unmarshal(buf[:n]) != nil {
				continue
			}
			n, err = dec.Decode(pcm, p.Payload)
			if err != nil {
				continue
			}
			peak := int16(0)
			for _, v := range pcm[:n] {
				peak = max(peak, v)
			}
			if now := peak > 3000; now != loud {
				if loud = now; loud {
					heard <- at
				}
			}
		}
	}()
	// 200 ms of tone in every second; each onset is one measurement.
	const tick, period, on = 20 * time.Millisecond, 50, 10
	var all []time.Duration
	next := time.Now()
	frame := make([]int16, 960)
	total := (3 + max(20, b.N)) * period
	if b.N == 1 {
		total = 23 * period
	}
	for i := range total {
		phase := i % period
		for k := range frame {
			frame[k] = 0
			if phase < on {
				frame[k] = int16(12000 * sin48[(i*960+k)%48])
			}
		}
		payload, err := enc.Encode(nil, frame)
		if err != nil {
			b.Fatal(err)
		}
		next = next.Add(tick)
		time.Sleep(time.Until(next)) // the microphone's clock
		if phase == 0 {
			select {
			case <-heard:
			default:
			}
			began <- time.Now()
		}
		talker.send(b, 0, 111, uint32(i*960), false, payload)
		if phase == on+20 {
			start := <-began
			select {
			case at := <-heard:
				if i > 3*period { // the jitter buffer has settled
					all = append(all, at.Sub(start))
				}
			default:
			}
		}
	}
	percentiles(b, all)
}

func BenchmarkPictureLatency(b *testing.B) {
	m := mixer.New(mixer.Config{})
	defer m.Close()
	talker, listener := newSpeaker(b), newSpeaker(b)
	m.Add("talker", talker.Leg, mixer.Attributes{Name: "talker"})
	m.Add("listener", listener.Leg, mixer.Attributes{Name: "listener", Invisible: true})
	defer func() {
		m.Remove("talker")
		m.Remove("listener")
		talker.Close(b)
		listener.Close(b)
	}()
	enc, err := av.NewVideoEncoder(av.VideoEncoderConfig{Codec: "H264", Width: 640, Height: 360, FPS: 30, Bitrate: 800_000})
	if err != nil {
		b.Fatal(err)
	}
	defer enc.Close()
	// The listener's far end is a leg of its own, which decodes.
	far := leg.New(leg.Config{})
	far.Port().Enter(nil, nil)
	pipe := &mixertest.Sockets{RTP: listener.far[1], RTCP: mixertest.NewSockets(b).RTCP}
	session, err := leg.NewSession(pipe, leg.SessionConfig{Kind: leg.Video, SSRC: 5, CNAME: "far", Receive: []leg.Codec{mixertest.H264, mixertest.VP8}})
	if err != nil {
		b.Fatal(err)
	}
	stream, err := far.Attach(leg.Media{Kind: leg.Video, Transport: session, Receive: []leg.Codec{mixertest.H264, mixertest.VP8}, SSRC: 5})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		pipe.Close()
		far.Close()
		if err := session.Close(); err != nil {
			b.Error(err)
		}
	}()
	black, white := av.NewPicture(640, 360), av.NewPicture(640, 360)
	for p, y := range map[*av.Picture]byte{black: 16, white: 235} {
		for i := range p.Y {
			p.Y[i] = y
		}
		for i := range p.U {
			p.U[i], p.V[i] = 128, 128
		}
	}
	payloader := codecs.H264Payloader{}
	var all []time.Duration
	next := time.Now()
	const period = 20 // pictures of one colour
	total := period * (6 + max(20, b.N))
	if b.N == 1 {
		total = period * 26
	}
	listener.Leg.RequestKeyFrame()
	for i := range total {
		isWhite := i/period%2 == 1
		pic := black
		if isWhite {
			pic = white
		}
		data, _, err := enc.Encode(pic, uint32(i*3000), i == 0)
		if err != nil {
			b.Fatal(err)
		}
		next = next.Add(time.Second / 30)
		time.Sleep(time.Until(next)) // the camera's clock
		start := time.Now()
		payloads := payloader.Payload(1100, data)
		for k, p := range payloads {
			talker.send(b, 1, 96, uint32(i*3000), k == len(payloads)-1, p)
		}
		if i%period != 0 || i == 0 {
			continue
		}
		for time.Since(start) < 500*time.Millisecond {
			if shows(stream, isWhite) {
				if i > 5*period {
					all = append(all, time.Since(start))
				}
				break
			}
			if i%30 == 0 {
				listener.Leg.RequestKeyFrame()
			}
			time.Sleep(500 * time.Microsecond) // between two looks
		}
		next = time.Now()
	}
	percentiles(b, all)
}

// shows reports whether the middle of a stream's newest picture is white, or black.
func shows(s *leg.Stream, white bool) bool {
	p, _ := s.Picture()
	if p == nil {
		return false
	}
	defer p.Release()
	y := p.Y[p.Height/2*p.StrideY+p.Width/2]
	return white && y > 180 || !white && y < 60
}

// sin48 is one period of 1 kHz at 48 kHz.
var sin48 = func() (s [48]float64) {
	for i := range s {
		s[i] = math.Sin(2 * math.Pi * float64(i) / 48)
	}
	return s
}()

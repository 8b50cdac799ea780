package main

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"

	"rendezvous/mixer"
	"rendezvous/mixer/audio"
	"rendezvous/mixer/audio/codec"
	"rendezvous/mixer/av"
	"rendezvous/mixer/leg"
)

// delay measures how long after its packet was given to one caller's leg something is
// in a packet that another caller's leg sends.
func delay(o options) ([]figure, error) {
	o.runs = 1 // a long one
	o.say(0, "sound")
	sounds, err := soundDelay(2 * o.length)
	if err != nil {
		return nil, fmt.Errorf("sound: %w", err)
	}
	o.say(0, "picture")
	pictures, err := pictureDelay(2 * o.length)
	if err != nil {
		return nil, fmt.Errorf("picture: %w", err)
	}
	count := func(values []float64) string { return fmt.Sprintf("of %d", len(values)) }
	p99 := func(values []float64) []float64 { return []float64{percentile(values, 99)} }
	return []figure{
		{"Delay/sound", "sound, median", "ms", sounds, count(sounds)},
		{"Delay/sound/p99", "sound, 99th percentile", "ms", p99(sounds), "jitter buffer included; goal: at most 40 beside it"},
		{"Delay/picture", "picture, median", "ms", pictures, count(pictures)},
		{"Delay/picture/p99", "picture, 99th percentile", "ms", p99(pictures), "decode, canvas, encode and pacing"},
	}, nil
}

// onsets pairs each thing that was sent with when it was seen.
type onsets struct {
	mu   sync.Mutex
	sent time.Time // of what is awaited; zero: nothing
	took []float64 // ms
}

func (o *onsets) begin(at time.Time) {
	o.mu.Lock()
	o.sent = at
	o.mu.Unlock()
}

func (o *onsets) seen() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.sent.IsZero() {
		o.took = append(o.took, float64(time.Since(o.sent).Microseconds())/1000)
		o.sent = time.Time{}
	}
}

func (o *onsets) result() ([]float64, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.took) < 5 {
		return nil, errors.New("too little came out to measure")
	}
	return o.took, nil
}

// soundDelay lets one caller say 100 ms of a tone twice a second, and looks for the first
// packet to the other in which it is heard. The tone begins with a packet, so that the
// time counts from when the first 20 ms of it are given to the leg.
func soundDelay(length time.Duration) ([]float64, error) {
	m := mixer.New(mixer.Config{})
	defer m.Close()
	dec, err := codec.NewDecoder(codec.Params{Name: "opus", Channels: 1})
	if err != nil {
		return nil, err
	}
	defer dec.Close() // after the legs, which call it
	speaker, err := newCaller(0)
	if err != nil {
		return nil, err
	}
	defer speaker.close()
	listener, err := newCaller(1)
	if err != nil {
		return nil, err
	}
	defer listener.close()
	var o onsets
	pcm := make([]int16, codec.MaxSamples)
	listener.pipe.out = func(_ *rtp.Header, payload []byte) {
		n, err := dec.Decode(pcm, payload)
		if err != nil {
			return
		}
		loud := 0
		for _, v := range pcm[:n] {
			if v > 1500 || v < -1500 {
				loud++
			}
		}
		if loud > n/20 {
			o.seen()
		}
	}
	m.Add("speaker", speaker.leg, mixer.Attributes{Name: "Speaker"})
	defer m.Remove("speaker")
	m.Add("listener", listener.leg, mixer.Attributes{Name: "Listener"})
	defer m.Remove("listener")

	enc, err := codec.NewEncoder(codec.Params{Name: "opus", Channels: 1, Bitrate: 32000})
	if err != nil {
		return nil, err
	}
	defer enc.Close()
	stop := time.After(length)
	done := make(chan struct{})
	go func() { <-stop; close(done) }()
	var frame [audio.FrameSamples]int16
	var failed error
	every(audio.FrameDuration, done, func(n int) {
		tone := n%25 >= 15 && n%25 < 20
		level := uint8(127)
		for i := range frame {
			frame[i] = 0
			if tone {
				frame[i] = int16(10000 * math.Sin(2*math.Pi*500*float64(i)/audio.SampleRate))
			}
		}
		if tone {
			level = 15
		}
		payload, err := enc.Encode(nil, frame[:])
		if err == nil {
			if n%25 == 15 && n > 100 { // the first two seconds are for the buffer to settle
				o.begin(time.Now())
			}
			err = speaker.speak(payload, level)
		}
		if err != nil && failed == nil {
			failed = err
		}
		speaker.time += audio.FrameSamples
	})
	if failed != nil {
		return nil, failed
	}
	return o.result()
}

var h264 = leg.Codec{Name: "H264", PayloadType: 96, ClockRate: 90000, Fmtp: "packetization-mode=1;profile-level-id=42e01f"}

// pictureDelay lets one caller send 30 pictures a second that turn from black to white
// and back twice a second, and looks for the first whole picture to the other in which it is seen.
func pictureDelay(length time.Duration) ([]float64, error) {
	m := mixer.New(mixer.Config{})
	defer m.Close()
	sender, watcher := newPipe(), newPipe()
	from, to := leg.New(leg.Config{}), leg.New(leg.Config{})
	var o onsets
	w, err := newWatching(&o)
	if err != nil {
		return nil, err
	}
	defer w.dec.Close() // after the legs, which call it
	defer func() {
		sender.close()
		from.Close()
		watcher.close()
		to.Close()
	}()
	var key sync.Mutex
	wantKey := true
	sender.rtcp = func(pkts []rtcp.Packet) {
		for _, p := range pkts {
			switch p.(type) {
			case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
				key.Lock()
				wantKey = true
				key.Unlock()
			}
		}
	}
	watcher.out = w.packet
	if _, err := from.Attach(leg.Media{Kind: leg.Video, Transport: sender, Receive: []leg.Codec{h264}, SSRC: 1}); err != nil {
		return nil, err
	}
	if _, err := to.Attach(leg.Media{Kind: leg.Video, Transport: watcher, Send: h264, SSRC: 2}); err != nil {
		return nil, err
	}
	m.Add("from", from, mixer.Attributes{Name: "From"})
	defer m.Remove("from")
	m.Add("to", to, mixer.Attributes{Name: "To", Invisible: true})
	defer m.Remove("to")

	enc, err := av.NewVideoEncoder(av.VideoEncoderConfig{Codec: "H264", Width: 640, Height: 360, FPS: clipFPS, Bitrate: 700_000, MaxSlice: 1100})
	if err != nil {
		return nil, err
	}
	defer enc.Close()
	packets := rtp.NewPacketizer(1200, h264.PayloadType, 7, &codecs.H264Payloader{}, rtp.NewFixedSequencer(1), uint32(h264.ClockRate))
	black, white := av.NewPicture(640, 360), av.NewPicture(640, 360)
	av.Fill(black, black.Bounds(), av.RGB(0, 0, 0))
	av.Fill(white, white.Bounds(), av.RGB(255, 255, 255))
	stop := time.After(length)
	done := make(chan struct{})
	go func() { <-stop; close(done) }()
	var failed error
	every(time.Second/clipFPS, done, func(n int) {
		p, bright := black, n/(clipFPS/2)%2 == 1
		if bright {
			p = white
		}
		key.Lock()
		k := wantKey
		wantKey = false
		key.Unlock()
		data, _, err := enc.Encode(p, uint32(n)*3000, k)
		if err != nil {
			if failed == nil {
				failed = err
			}
			return
		}
		if n%(clipFPS/2) == 0 && n > 3*clipFPS {
			w.await(bright)
			o.begin(time.Now())
		}
		for _, packet := range packets.Packetize(data, 3000) {
			b, err := packet.Marshal()
			if err != nil && failed == nil {
				failed = err
			}
			sender.send(b)
		}
	})
	if failed != nil {
		return nil, failed
	}
	return o.result()
}

// watching decodes what the watcher is sent.
type watching struct {
	onsets *onsets
	dec    *av.VideoDecoder
	depack codecs.H264Packet
	unit   []byte

	mu     sync.Mutex
	bright bool // what is awaited
}

func newWatching(o *onsets) (*watching, error) {
	dec, err := av.NewVideoDecoder("H264")
	return &watching{onsets: o, dec: dec}, err
}

func (w *watching) await(bright bool) {
	w.mu.Lock()
	w.bright = bright
	w.mu.Unlock()
}

// packet takes one RTP packet; the leg sends them one after the other.
func (w *watching) packet(h *rtp.Header, payload []byte) {
	part, err := w.depack.Unmarshal(append([]byte(nil), payload...))
	if err != nil {
		return
	}
	w.unit = append(w.unit, part...)
	if !h.Marker {
		return
	}
	p, err := w.dec.Decode(w.unit, h.Timestamp)
	w.unit = w.unit[:0]
	if err != nil || p == nil {
		return
	}
	defer p.Release()
	luma := p.Y[p.Height/2*p.StrideY+p.Width/2]
	w.mu.Lock()
	defer w.mu.Unlock()
	if (luma > 150) == w.bright && (luma > 150 || luma < 80) {
		w.onsets.seen()
	}
}

package leg

import (
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"rendezvous/mixer/ladder"
	"rendezvous/mixer/leg/congestion"
)

// sent is one packet that a leg wrote.
type sent struct {
	header  rtp.Header
	payload []byte
	at      time.Time
}

// fake is a Transport that keeps what is written and hands out what is put into rtp.
type fake struct {
	rtp    chan []byte
	closed chan struct{}
	once   sync.Once
	write  func() error // called for each packet, if set

	mu   sync.Mutex // guards all below
	out  []sent
	rtcp []rtcp.Packet
}

func newFake() *fake { return &fake{rtp: make(chan []byte), closed: make(chan struct{})} }

func (f *fake) ReadRTP(b []byte) (int, error) {
	select {
	case p := <-f.rtp:
		return copy(b, p), nil
	case <-f.closed:
		return 0, io.EOF
	}
}

func (f *fake) OnRTCP(func([]rtcp.Packet, error)) {}

func (f *fake) WriteRTP(h *rtp.Header, payload []byte) error {
	if f.write != nil {
		if err := f.write(); err != nil {
			return err
		}
	}
	f.mu.Lock()
	f.out = append(f.out, sent{*h, slices.Clone(payload), time.Now()})
	f.mu.Unlock()
	return nil
}

func (f *fake) WriteRTCP(pkts []rtcp.Packet) error {
	f.mu.Lock()
	f.rtcp = append(f.rtcp, pkts...)
	f.mu.Unlock()
	return nil
}

func (f *fake) close() { f.once.Do(func() { close(f.closed) }) }

// take returns what was written since it was last called.
func (f *fake) take() []sent {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := slices.Clone(f.out)
	f.out = f.out[:0]
	return out
}

// requests counts the key frames that were asked for, and the last bit rate, since it was last called.
func (f *fake) requests() (keys, bitrate int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.rtcp {
		switch p := p.(type) {
		case *rtcp.PictureLossIndication:
			keys++
		case *rtcp.ReceiverEstimatedMaximumBitrate:
			bitrate = int(p.Bitrate)
		}
	}
	f.rtcp = nil
	return keys, bitrate
}

var (
	opus = Codec{Name: "opus", PayloadType: 111, ClockRate: 48000, Channels: 2}
	pcmu = Codec{Name: "PCMU", PayloadType: 0, ClockRate: 8000}
	h264 = Codec{Name: "H264", PayloadType: 96, ClockRate: 90000}
	vp8  = Codec{Name: "VP8", PayloadType: 97, ClockRate: 90000}
)

// attach adds a medium over a fake.
func attach(t testing.TB, l *Leg, m Media) (*Stream, *fake) {
	t.Helper()
	f := newFake()
	m.Transport = f
	s, err := l.Attach(m)
	if err != nil {
		t.Fatal(err)
	}
	return s, f
}

// controlled is a controller that believes in so much, in bit/s.
func controlled(bitrate int) *congestion.Controller {
	return congestion.New(congestion.Config{Initial: bitrate, Min: bitrate, Max: bitrate})
}

// unit is a picture in n packets; those of pictures 3000 apart are numbered one after the other.
func unit(codec ladder.Codec, rung int, key bool, pts uint32, n int) *ladder.Unit {
	u := &ladder.Unit{Codec: codec, Rung: rung, Key: key, PTS: pts, Number: pts / 3000}
	for i := range n {
		u.Payloads = append(u.Payloads, append(make([]byte, ladder.MaxPayload-1), byte(i)))
	}
	return u
}

package mixer_test

import (
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/prometheus/client_golang/prometheus"

	"rendezvous/internal/eventually"
	"rendezvous/mixer"
	"rendezvous/mixer/av"
	"rendezvous/mixer/leg"
)

// liveCamera is a leg.Transport whose far end sends 30 pictures a second, and a key frame
// only when asked for one.
type liveCamera struct {
	packets chan []byte
	closed  chan struct{}
	once    sync.Once
	sender  sync.WaitGroup
	wantKey atomic.Bool
	keys    atomic.Int32 // sent
}

func newLiveCamera(t *testing.T) *liveCamera {
	t.Helper()
	c := &liveCamera{packets: make(chan []byte, 256), closed: make(chan struct{})}
	enc, err := av.NewVideoEncoder(av.VideoEncoderConfig{Codec: "H264", Width: 320, Height: 180, FPS: 30, Bitrate: 300_000})
	if err != nil {
		t.Fatal(err)
	}
	packets := rtp.NewPacketizer(1200, h264[0].PayloadType, 7, &codecs.H264Payloader{}, rtp.NewFixedSequencer(1), 90000)
	picture := av.NewPicture(320, 180)
	av.Fill(picture, picture.Bounds(), av.RGB(200, 60, 20))
	c.sender.Go(func() {
		defer enc.Close()
		tick := time.NewTicker(time.Second / 30)
		defer tick.Stop()
		for n := uint32(0); ; n++ {
			data, key, err := enc.Encode(picture, n*3000, c.wantKey.Swap(false))
			if err != nil {
				t.Error(err)
				return
			}
			if key {
				c.keys.Add(1)
			}
			for _, p := range packets.Packetize(data, 3000) {
				raw, err := p.Marshal()
				if err != nil {
					t.Error(err)
					return
				}
				select {
				case c.packets <- raw:
				case <-c.closed:
					return
				}
			}
			select {
			case <-tick.C:
			case <-c.closed:
				return
			}
		}
	})
	return c
}

func (c *liveCamera) ReadRTP(b []byte) (int, error) {
	select {
	case p := <-c.packets:
		return copy(b, p), nil
	case <-c.closed:
		return 0, io.EOF
	}
}
func (c *liveCamera) WriteRTP(*rtp.Header, []byte) error { return nil }
func (c *liveCamera) OnRTCP(func([]rtcp.Packet, error))  {}
func (c *liveCamera) WriteRTCP(packets []rtcp.Packet) error {
	for _, p := range packets {
		if _, ok := p.(*rtcp.PictureLossIndication); ok {
			c.wantKey.Store(true)
		}
	}
	return nil
}
func (c *liveCamera) close() {
	c.once.Do(func() { close(c.closed) })
	c.sender.Wait()
}

// tileTimes are how many tiles have appeared, and the seconds they took in all.
func tileTimes(t *testing.T, reg *prometheus.Registry) (count int, sum float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "rendezvous_mixer_tile_seconds" {
			h := f.GetMetric()[0].GetHistogram()
			return int(h.GetSampleCount()), h.GetSampleSum()
		}
	}
	t.Fatal("there is no such metric")
	return 0, 0
}

// A tile is in the encoded picture soon after its first picture is decoded: of one who comes, and of one
// who is shown again after being hidden, or after nobody watched.
func TestTileAppearsSoon(t *testing.T) { synctest.Test(t, testTileAppearsSoon) }

func testTileAppearsSoon(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := mixer.New(mixer.Config{Rungs: smallRungs, Metrics: mixer.NewMetrics(reg)})
	defer m.Close()
	eye := &recorder{}
	m.AddRecorder(eye, eye)
	far := newLiveCamera(t)
	sender := leg.New(leg.Config{})
	stream, err := sender.Attach(leg.Media{Kind: leg.Video, Transport: far, Receive: h264, SSRC: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		m.Remove("sender")
		far.close()
		sender.Close()
	}()
	attrs := mixer.Attributes{Name: "Sender"}
	before := 0.0
	appears := func(what string, nth int, since time.Time) {
		t.Helper()
		sum := 0.0
		eventually.True(t, what+": the tile appears", func() bool { n, s := tileTimes(t, reg); sum = s; return n == nth })
		t.Logf("%s: %.0f ms after the first decoded picture, %d ms in all", what, 1000*(sum-before), time.Since(since).Milliseconds())
		if sum-before > 0.2 {
			t.Errorf("%s: the tile took %.3f s from the first decoded picture; want at most 0.2", what, sum-before)
		}
		before = sum
	}

	began := time.Now()
	m.Add("sender", sender, attrs)
	appears("coming", 1, began)

	attrs.HideVideo = true
	m.Set("sender", attrs)
	eventually.True(t, "a hidden camera is not decoded", func() bool { p, _ := stream.Picture(); release(p); return p == nil })
	began = time.Now()
	attrs.HideVideo = false
	m.Set("sender", attrs)
	appears("shown again", 2, began)

	m.RemoveRecorder(eye, eye)
	eventually.True(t, "what nobody watches is not decoded", func() bool { p, _ := stream.Picture(); release(p); return p == nil })
	began = time.Now()
	again := &recorder{}
	m.AddRecorder(again, again)
	appears("watched again", 3, began)
	m.RemoveRecorder(again, again)
}

func release(p *av.Picture) {
	if p != nil {
		p.Release()
	}
}

package ladder

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp/codecs"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"

	"rendezvous/mixer/av"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const tick = time.Second / 30

// watcher is a viewer that behaves as a leg does: it asks for a key frame until it has one.
type watcher struct {
	wants []Want
	units []*Unit
}

func (w *watcher) Watching(dst []Want) []Want { return append(dst, w.wants...) }

func (w *watcher) WriteUnit(u *Unit) {
	w.units = append(w.units, u)
	for i := range w.wants {
		if u.Key && w.wants[i].Codec == u.Codec && w.wants[i].Rung == u.Rung {
			w.wants[i].Key = false
		}
	}
}

func watching(codec Codec, rung int) *watcher {
	return &watcher{wants: []Want{{Codec: codec, Rung: rung, Key: true}}}
}

func (w *watcher) keys() (n int) {
	for _, u := range w.units {
		if u.Key {
			n++
		}
	}
	return n
}

// picture is a pattern that moves with n.
func picture(w, h, n int) *av.Picture {
	p := av.NewPicture(w, h)
	for y := range h {
		for x := range w {
			p.Y[y*p.StrideY+x] = byte(60 + (x*3+y*2+5*n)%140 + (x*y+n)%13)
		}
	}
	for i := range p.U {
		p.U[i], p.V[i] = byte(100+n%50), byte(150-n%50)
	}
	return p
}

var small = []Rung{
	{Width: 320, Height: 180, FPS: 30, Bitrate: 800_000},
	{Width: 160, Height: 90, FPS: 30, Bitrate: 200_000},
	{Width: 160, Height: 90, FPS: 15, Bitrate: 60_000},
}

// A picture clock that is a little fast, or slow, makes a picture at each turn; a rung of fewer pictures a second has no more of them for it.
func TestTurnedClock(t *testing.T) {
	for _, turn := range []time.Duration{-250 * time.Microsecond, 0, 250 * time.Microsecond} {
		l := New(Config{Rungs: small})
		all, half := watching(H264, 1), watching(H264, 2)
		now := time.Unix(1000, 0)
		const passes = 120
		for n := range passes {
			p := picture(320, 180, n)
			l.Encode(p, true, now, []Viewer{all, half})
			p.Release()
			now = now.Add(tick + turn)
		}
		l.Close()
		if len(all.units) != passes {
			t.Errorf("turned by %v: %d of %d pictures", turn, len(all.units), passes)
		}
		if n := len(half.units); n < passes/2-1 || n > passes/2+1 {
			t.Errorf("turned by %v: %d pictures of a rung of half as many", turn, n)
		}
	}
}

// value reads a counter or gauge.
func value(t *testing.T, m prometheus.Metric) float64 {
	t.Helper()
	var d dto.Metric
	if err := m.Write(&d); err != nil {
		t.Fatal(err)
	}
	return d.GetCounter().GetValue() + d.GetGauge().GetValue()
}

func TestEncodesOnceForAll(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := NewMetrics(reg)
	l := New(Config{Rungs: small, Metrics: m})
	defer l.Close()
	a, b, c, d := watching(H264, 0), watching(H264, 0), watching(VP8, 1), watching(H264, 2)
	now := time.Unix(1000, 0)
	for n := range 30 {
		l.Encode(picture(320, 180, n), true, now, []Viewer{a, b, c, d})
		now = now.Add(tick)
	}
	if len(a.units) != 30 || len(b.units) != 30 || len(c.units) != 30 {
		t.Fatalf("%d, %d and %d units of 30 pictures", len(a.units), len(b.units), len(c.units))
	}
	if len(d.units) != 15 {
		t.Errorf("%d units on the rung of 15 pictures a second", len(d.units))
	}
	for i := range a.units {
		if a.units[i] != b.units[i] {
			t.Fatal("two viewers of one quality got different units")
		}
		if a.units[i].PTS != c.units[i].PTS {
			t.Error("the rungs' clocks differ")
		}
	}
	if got := value(t, m.pictures.WithLabelValues("H264", "0")); got != 30 {
		t.Errorf("%v pictures counted", got)
	}
	if a.keys() != 1 || !a.units[0].Key {
		t.Errorf("%d key frames", a.keys())
	}
	if step := a.units[1].PTS - a.units[0].PTS; step < 2990 || step > 3010 {
		t.Errorf("the clock steps by %d", step)
	}
}

func TestKeyFramesAreMergedAndLimited(t *testing.T) {
	l := New(Config{Rungs: small})
	defer l.Close()
	now := time.Unix(1000, 0)
	pass := func(n int, viewers ...Viewer) {
		for range n {
			l.Encode(picture(320, 180, int(now.UnixMilli()/33)), true, now, viewers)
			now = now.Add(tick)
		}
	}
	a := watching(H264, 0)
	pass(31, a)
	b, c := watching(H264, 0), watching(H264, 0)
	pass(1, a, b, c) // at once, one for both
	if a.keys() != 2 || b.keys() != 1 || c.keys() != 1 || len(b.units) != 1 {
		t.Fatalf("%d, %d and %d key frames", a.keys(), b.keys(), c.keys())
	}
	a.wants[0].Key = true
	pass(10, a) // too soon after the last
	if a.keys() != 2 {
		t.Errorf("another key frame within %v", keyInterval)
	}
	pass(10, a) // it comes when its time has come
	if a.keys() != 3 {
		t.Errorf("%d key frames", a.keys())
	}
	// One who never stops asking gets two a second.
	a.units = nil
	for range 90 {
		a.wants[0].Key = true
		pass(1, a)
	}
	if n := a.keys(); n < 5 || n > 6 {
		t.Errorf("%d key frames in 3 s", n)
	}
}

func TestStaticPicture(t *testing.T) {
	l := New(Config{Rungs: small})
	defer l.Close()
	v := watching(H264, 0)
	p := picture(320, 180, 0)
	now := time.Unix(1000, 0)
	for n := range 90 {
		l.Encode(p, n == 0, now, []Viewer{v})
		now = now.Add(tick)
	}
	if n := len(v.units); n < 13 || n > 16 {
		t.Errorf("%d encodes of a picture that stood for 3 s, want 5 a second", n)
	}
	before := len(v.units)
	l.Encode(p, true, now, []Viewer{v})
	if len(v.units) != before+1 {
		t.Error("a change was not encoded at once")
	}
	v.wants[0].Key = true
	l.Encode(p, false, now.Add(tick), []Viewer{v})
	if len(v.units) != before+2 || !v.units[before+1].Key {
		t.Error("a key frame had to wait for a change")
	}
}

func TestUnusedEncodersAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMetrics(nil)
		l := New(Config{Rungs: small, Metrics: m})
		defer l.Close()
		open := func() float64 { return value(t, m.encoders) }
		a, b := watching(H264, 0), watching(VP8, 1)
		for n := range 10 {
			l.Encode(picture(320, 180, n), true, time.Now(), []Viewer{a, b})
			time.Sleep(tick)
		}
		if open() != 2 {
			t.Fatalf("%v encoders", open())
		}
		for n := range 120 {
			l.Encode(picture(320, 180, n), true, time.Now(), []Viewer{a})
			time.Sleep(tick)
		}
		if open() != 1 {
			t.Errorf("%v encoders after one was not watched for 4 s", open())
		}
		time.Sleep(2 * unusedAfter)
		synctest.Wait()
		if open() != 0 {
			t.Errorf("%v encoders in an empty room", open())
		}
		a.units, a.wants[0].Key = nil, true
		l.Encode(picture(320, 180, 0), true, time.Now(), []Viewer{a})
		if len(a.units) != 1 || !a.units[0].Key {
			t.Error("the room does not come back to life")
		}
	})
}

func TestSkipsAreCounted(t *testing.T) {
	m := NewMetrics(nil)
	l := New(Config{Rungs: small, Metrics: m})
	defer l.Close()
	v := watching(H264, 0)
	now := time.Unix(1000, 0)
	l.Encode(picture(320, 180, 0), true, now, []Viewer{v})
	l.Encode(picture(320, 180, 1), true, now.Add(4*tick), []Viewer{v})
	if got := value(t, m.skipped.WithLabelValues("late")); got != 3 {
		t.Errorf("%v pictures counted as late", got)
	}
	for range 200 { // a machine far too slow
		now = now.Add(tick)
		l.load.observe(60*time.Millisecond, now)
	}
	if l.load.divisor != maxDivisor {
		t.Errorf("divisor is %d on a slow machine", l.load.divisor)
	}
	for range 2000 {
		now = now.Add(tick)
		l.load.observe(time.Millisecond, now)
	}
	if l.load.divisor != 1 {
		t.Errorf("divisor is %d on a machine that has recovered", l.load.divisor)
	}
}

// TestKeyFramesComeFirst: who changes rungs with a key frame sees it before the old rung's
// picture of the same time.
func TestKeyFramesComeFirst(t *testing.T) {
	l := New(Config{Rungs: small})
	defer l.Close()
	now := time.Unix(1000, 0)
	pass := func(v *watcher) {
		v.units = nil
		l.Encode(picture(320, 180, int(now.UnixMilli()/33)), true, now, []Viewer{v})
		now = now.Add(tick)
	}
	v := &watcher{wants: []Want{{Codec: H264, Rung: 0, Key: true}, {Codec: H264, Rung: 1, Key: true}}}
	pass(v)
	for n := range 20 {
		now = now.Add(keyInterval)
		v.wants[n%2].Key = true
		pass(v)
		if len(v.units) != 2 || !v.units[0].Key || v.units[0].Rung != n%2 || v.units[1].Key {
			t.Fatalf("round %d: the key frame does not come first", n)
		}
	}
}

// TestWrongWants: what cannot be had is passed over.
func TestWrongWants(t *testing.T) {
	l := New(Config{Rungs: small})
	defer l.Close()
	v := &watcher{wants: []Want{{Codec: H264, Rung: 9}, {Codec: H264, Rung: -1}, {Codec: "AV1"}}}
	l.Encode(picture(320, 180, 0), true, time.Unix(1000, 0), []Viewer{v})
	l.Encode(nil, false, time.Unix(1001, 0), []Viewer{v})
	if len(v.units) != 0 {
		t.Errorf("%d units", len(v.units))
	}
}

// TestPayloads gives what was cut up to pion's assembler and to FFmpeg's decoder.
func TestPayloads(t *testing.T) {
	for _, codec := range []Codec{H264, VP8} {
		t.Run(string(codec), func(t *testing.T) {
			l := New(Config{Rungs: []Rung{{Width: 640, Height: 360, FPS: 30, Bitrate: 3_000_000}}})
			defer l.Close()
			v := watching(codec, 0)
			now := time.Unix(1000, 0)
			for n := range 30 {
				l.Encode(picture(640, 360, n*7), true, now, []Viewer{v})
				now = now.Add(tick)
			}
			var stream bytes.Buffer
			if codec == VP8 {
				ivfHeader(&stream, 640, 360)
			}
			for i, u := range v.units {
				var whole []byte
				var h264 codecs.H264Packet
				for k, payload := range u.Payloads {
					if len(payload) > MaxPayload {
						t.Errorf("a payload of %d bytes", len(payload))
					}
					switch codec {
					case H264:
						out, err := h264.Unmarshal(payload)
						if err != nil {
							t.Fatal(err)
						}
						whole = append(whole, out...)
					case VP8:
						var p codecs.VP8Packet
						out, err := p.Unmarshal(payload)
						if err != nil {
							t.Fatal(err)
						}
						if (p.S == 1) != (k == 0) || p.PID != 0 || int(p.PictureID) != i+1 {
							t.Errorf("unit %d, payload %d: S %d, PID %d, picture id %d", i, k, p.S, p.PID, p.PictureID)
						}
						whole = append(whole, out...)
					}
				}
				if codec == VP8 {
					if !bytes.Equal(whole, u.Data) {
						t.Errorf("unit %d does not come together again", i)
					}
					ivfFrame(&stream, uint64(i), whole)
				} else {
					stream.Write(whole)
				}
			}
			path := filepath.Join(t.TempDir(), map[Codec]string{H264: "x.h264", VP8: "x.ivf"}[codec])
			if err := os.WriteFile(path, stream.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			if n := ffmpegFrames(t, path); n != 30 {
				t.Errorf("FFmpeg decodes %d pictures of 30", n)
			}
		})
	}
}

// ffmpegFrames decodes a file and counts the pictures; any complaint fails the test.
func ffmpegFrames(t *testing.T, path string) int {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command("ffprobe", "-v", "warning", "-count_frames", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", path)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("ffprobe: %v\n%s", err, stderr.String())
	}
	var n int
	fmt.Sscan(strings.TrimSpace(string(out)), &n)
	return n
}

func ivfHeader(w *bytes.Buffer, width, height int) {
	h := make([]byte, 32)
	copy(h, "DKIF")
	binary.LittleEndian.PutUint16(h[6:], 32)
	copy(h[8:], "VP80")
	binary.LittleEndian.PutUint16(h[12:], uint16(width))
	binary.LittleEndian.PutUint16(h[14:], uint16(height))
	binary.LittleEndian.PutUint32(h[16:], 30)
	binary.LittleEndian.PutUint32(h[20:], 1)
	w.Write(h)
}

func ivfFrame(w *bytes.Buffer, pts uint64, frame []byte) {
	h := make([]byte, 12)
	binary.LittleEndian.PutUint32(h, uint32(len(frame)))
	binary.LittleEndian.PutUint64(h[4:], pts)
	w.Write(h)
	w.Write(frame)
}

// TestLargeUnits: units over the packet size are fragmented (FU-A), whatever the encoder did.
func TestLargeUnits(t *testing.T) {
	nal := make([]byte, 3*MaxPayload)
	for i := range nal {
		nal[i] = byte(i%250 + 1)
	}
	nal[0] = 0x65
	sei := []byte{0x06, 0x05, 0x01, 0x80}
	data := append([]byte{0, 0, 0, 1}, sei...)
	data = append(append(data, 0, 0, 0, 1), nal...)
	data = append(data, 0, 0, 1, 0x41, 0x9a)
	u := newUnit(H264, 0, true, 0, 0, data)
	if len(u.Payloads) != 5 {
		t.Fatalf("%d payloads", len(u.Payloads))
	}
	var got []byte
	var p codecs.H264Packet
	for _, payload := range u.Payloads {
		if len(payload) > MaxPayload {
			t.Errorf("a payload of %d bytes", len(payload))
		}
		out, err := p.Unmarshal(payload)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, out...)
	}
	want := append(append([]byte{0, 0, 0, 1}, nal...), 0, 0, 0, 1, 0x41, 0x9a)
	if !bytes.Equal(got, want) {
		t.Error("the units do not come together again")
	}
}

func FuzzPayloads(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 3}, true)
	f.Add(make([]byte, 5000), false)
	f.Fuzz(func(t *testing.T, data []byte, h264 bool) {
		codec := VP8
		if h264 {
			codec = H264
		}
		u := newUnit(codec, 0, false, 0, 7, data)
		for _, p := range u.Payloads {
			if len(p) > MaxPayload || len(p) == 0 {
				t.Errorf("a payload of %d bytes", len(p))
			}
		}
	})
}

// TestVP8IDsGrowAcrossRungs: a receiver who changes rungs at key frames sees picture ids
// that only grow, and without a gap between key frames.
func TestVP8IDsGrowAcrossRungs(t *testing.T) {
	l := New(Config{Rungs: small})
	defer l.Close()
	v := &watcher{wants: []Want{{Codec: VP8, Rung: 0, Key: true}}}
	other := watching(VP8, 2)
	now := time.Unix(1000, 0)
	for n := range 150 {
		if n%40 == 39 {
			v.wants = []Want{{Codec: VP8, Rung: (n / 40) % 3, Key: true}}
		}
		l.Encode(picture(320, 180, n), true, now, []Viewer{v, other})
		now = now.Add(tick)
	}
	last := -1
	for _, u := range v.units {
		var p codecs.VP8Packet
		if _, err := p.Unmarshal(u.Payloads[0]); err != nil {
			t.Fatal(err)
		}
		id := int(p.PictureID)
		switch {
		case u.Key && id <= last:
			t.Errorf("a key frame's id %d after %d", id, last)
		case !u.Key && id != last+1:
			t.Errorf("id %d after %d", id, last)
		}
		last = id
	}
}

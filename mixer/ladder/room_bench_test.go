package ladder_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"rendezvous/mixer/av"
	"rendezvous/mixer/ladder"
	"rendezvous/mixer/video"
)

const (
	benchSeconds = 10
	benchBitrate = 1_500_000
)

// BenchmarkRoom measures the CPU time of a room's picture per second of media: n senders
// of 640x360 at 30 pictures a second into one canvas of 1280x720, encoded once. It runs the
// bare C loop of testdata/bare.c on the same streams beside it, in turns, and reports both
// and their ratio.
func BenchmarkRoom(b *testing.B) {
	dir := b.TempDir()
	frames := sender(b)
	stream := filepath.Join(dir, "stream")
	var packed []byte
	for _, f := range frames {
		packed = append(binary.NativeEndian.AppendUint32(packed, uint32(len(f))), f...)
	}
	if err := os.WriteFile(stream, packed, 0o600); err != nil {
		b.Fatal(err)
	}
	cc := exec.Command("sh", "-c", `cc -O2 -o "$0" testdata/bare.c $(pkg-config --cflags --libs libavcodec libavutil) -lyuv`, filepath.Join(dir, "bare"))
	if out, err := cc.CombinedOutput(); err != nil {
		b.Fatalf("compiling the bare loop: %v\n%s", err, out)
	}
	for _, n := range []int{4, 5, 9, 16, 25, 49} {
		for _, labelled := range []bool{false, true} {
			name := fmt.Sprintf("senders=%d", n)
			if labelled {
				name += "/names"
			}
			b.Run(name, func(b *testing.B) {
				var ours, theirs float64
				for range b.N {
					theirs += runBare(b, dir, stream, n)
					ours += room(b, frames, n, labelled)
				}
				b.ReportMetric(ours/float64(b.N), "cpu-s/s")
				b.ReportMetric(theirs/float64(b.N), "bare-cpu-s/s")
				b.ReportMetric(ours/theirs, "ratio")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

func runBare(b *testing.B, dir, stream string, n int) float64 {
	out, err := exec.Command(filepath.Join(dir, "bare"), stream, strconv.Itoa(n), strconv.Itoa(benchBitrate),
		"keyint=infinite:scenecut=0:repeat-headers=1:slice-max-size="+strconv.Itoa(ladder.MaxPayload)).Output()
	if err != nil {
		b.Fatal("the bare loop: ", err)
	}
	cpu, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	if err != nil {
		b.Fatal(err)
	}
	return cpu
}

// room is what a room does from a received frame to RTP payloads. A run in which other
// programs kept the machine so busy that the ladder left pictures out does not count.
func room(b *testing.B, frames [][]byte, n int, labelled bool) float64 {
	for range 5 {
		if cpu, whole := runRoom(b, frames, n, labelled); whole {
			return cpu
		}
	}
	b.Fatal("the machine is too busy to measure anything")
	return 0
}

func runRoom(b *testing.B, frames [][]byte, n int, labelled bool) (cpu float64, whole bool) {
	canvas := video.NewCanvas(1280, 720)
	defer canvas.Close()
	l := ladder.New(ladder.Config{Rungs: []ladder.Rung{{Width: 1280, Height: 720, FPS: 30, Bitrate: benchBitrate}}})
	defer l.Close()
	tiles := make([]video.Tile, n)
	cams := make([]*benchCamera, n)
	for i := range tiles {
		decoder, err := av.NewVideoDecoder("H264")
		if err != nil {
			b.Fatal(err)
		}
		defer decoder.Close()
		cams[i] = &benchCamera{decoder: decoder}
		tiles[i] = video.Tile{ID: fmt.Sprint(i), Source: cams[i], Talking: labelled && i == 1}
		if labelled {
			tiles[i].Name = fmt.Sprint("Participant ", i)
			tiles[i].Muted = i%2 == 0
		}
	}
	canvas.SetTiles(tiles)
	v := &benchViewer{}
	now := time.Unix(1000, 0)
	// The encoder and the labels are made before the clock starts, as in the bare loop.
	canvas.Compose(now)
	pic, _ := canvas.Compose(now)
	l.Encode(pic, true, now, []ladder.Viewer{v})

	before := cpuTime()
	for k, f := range frames {
		for _, c := range cams {
			p, err := c.decoder.Decode(f, uint32(k*3000))
			if err != nil {
				b.Fatal(err)
			}
			if c.pic != nil {
				c.pic.Release()
			}
			c.pic, c.serial = p, c.serial+1
		}
		now = now.Add(time.Second / 30)
		pic, changed := canvas.Compose(now)
		l.Encode(pic, changed, now, []ladder.Viewer{v})
	}
	used := cpuTime() - before
	for _, c := range cams {
		c.pic.Release()
	}
	return used.Seconds() * 30 / float64(len(frames)), v.units == len(frames)+1
}

type benchCamera struct {
	decoder *av.VideoDecoder
	pic     *av.Picture
	serial  uint64
}

func (c *benchCamera) Picture() (*av.Picture, uint64) {
	if c.pic == nil {
		return nil, 0
	}
	return c.pic.Retain(), c.serial
}

func (c *benchCamera) Lacking() bool { return false }

type benchViewer struct{ units int }

func (v *benchViewer) Watching(dst []ladder.Want) []ladder.Want {
	return append(dst, ladder.Want{Codec: ladder.H264, Rung: 0, Key: v.units == 0})
}

func (v *benchViewer) WriteUnit(*ladder.Unit) { v.units++ }

func cpuTime() time.Duration {
	var r syscall.Rusage
	// Cannot fail with RUSAGE_SELF and a valid pointer.
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// sender is ten seconds of somebody before their camera: a textured background with
// sensor noise, and a shape that moves as people do.
func sender(b *testing.B) [][]byte {
	const w, h = 640, 360
	enc, err := av.NewVideoEncoder(av.VideoEncoderConfig{Codec: "H264", Width: w, Height: h, FPS: 30, Bitrate: 800_000})
	if err != nil {
		b.Fatal(err)
	}
	defer enc.Close()
	p := av.NewPicture(w, h)
	var frames [][]byte
	seed := uint32(1)
	for n := range benchSeconds * 30 {
		t := float64(n) / 30
		cx, cy := w/2+60*math.Sin(t*1.3), h/2+14*math.Sin(t*2.9)
		for y := range h {
			row := p.Y[y*p.StrideY:][:w]
			for x := range row {
				fx, fy := float64(x), float64(y)
				v := 90 + 40*math.Sin(fx/23)*math.Cos(fy/17) + fy/9
				if dx, dy := (fx-cx)/90, (fy-cy)/130; dx*dx+dy*dy < 1 {
					v = 150 + 30*math.Sin((fx-cx)/7)*math.Sin((fy-cy)/11+t)
				}
				seed = seed*1664525 + 1013904223
				row[x] = byte(v) + byte(seed>>30)
			}
		}
		for y := range h / 2 {
			for x := range w / 2 {
				dx, dy := (float64(2*x)-cx)/90, (float64(2*y)-cy)/130
				u, v := byte(120), byte(130)
				if dx*dx+dy*dy < 1 {
					u, v = 110, 150
				}
				p.U[y*p.StrideU+x], p.V[y*p.StrideV+x] = u, v
			}
		}
		data, _, err := enc.Encode(p, uint32(n*3000), false)
		if err != nil {
			b.Fatal(err)
		}
		frames = append(frames, append([]byte(nil), data...))
	}
	return frames
}

package av

import (
	"fmt"
	"image"
	"math"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// tileSizes are what pictures of cameras are shrunk to by less than half: of 3, 5 and 7 columns, and odd ones.
var tileSizes = []struct{ from, to image.Point }{
	{image.Pt(640, 360), image.Pt(426, 240)},
	{image.Pt(320, 180), image.Pt(256, 144)},
	{image.Pt(320, 180), image.Pt(182, 102)},
	{image.Pt(1280, 720), image.Pt(1278, 718)},
	{image.Pt(854, 480), image.Pt(640, 360)},
	{image.Pt(640, 480), image.Pt(320, 242)}, // exactly half one way
	{image.Pt(640, 480), image.Pt(322, 242)}, // nearly half
	{image.Pt(641, 361), image.Pt(422, 238)}, // an odd picture
	{image.Pt(18, 18), image.Pt(10, 10)},
	{image.Pt(640, 360), image.Pt(640, 240)},
}

// TestShrinkIsBilinear compares each sample with the interpolation of its neighbours, as libyuv does it.
func TestShrinkIsBilinear(t *testing.T) {
	for _, c := range tileSizes {
		seed := uint32(1)
		src := moment(c.from.X, c.from.Y, 15, .1, &seed)
		for i := range src.U { // colours that change from sample to sample
			seed = seed*1664525 + 1013904223
			src.U[i], src.V[i] = byte(100+seed>>24&31), byte(90+i%60)
		}
		dst := NewPicture(c.to.X+4, c.to.Y+4)
		Fill(dst, dst.Bounds(), Colour{1, 2, 3})
		to := image.Rectangle{Max: c.to}.Add(image.Pt(2, 2))
		if err := Scale(dst, to, src, src.Bounds()); err != nil {
			t.Fatal(err)
		}
		planes := []struct {
			name             string
			src, dst         []byte
			stride, dstWidth int
			from, size, at   image.Point
			left             byte
		}{
			{"Y", src.Y, dst.Y, src.StrideY, dst.StrideY, c.from, c.to, image.Pt(2, 2), 1},
			{"U", src.U, dst.U, src.StrideU, dst.StrideU, c.from.Add(image.Pt(1, 1)).Div(2), c.to.Div(2), image.Pt(1, 1), 2},
			{"V", src.V, dst.V, src.StrideV, dst.StrideV, c.from.Add(image.Pt(1, 1)).Div(2), c.to.Div(2), image.Pt(1, 1), 3},
		}
		for _, p := range planes {
			worst := 0.0
			for y := range p.size.Y {
				for x := range p.size.X {
					want := interpolated(p.src, p.stride, p.from, (float64(x)+.5)*float64(p.from.X)/float64(p.size.X)-.5, (float64(y)+.5)*float64(p.from.Y)/float64(p.size.Y)-.5)
					worst = max(worst, math.Abs(want-float64(p.dst[(p.at.Y+y)*p.dstWidth+p.at.X+x])))
				}
			}
			// Places are taken to 1/128 of the distance between two samples, and rounded twice.
			if worst > 4 {
				t.Errorf("%v to %v: %s is wrong by up to %.1f", c.from, c.to, p.name, worst)
			}
			for y := range len(p.dst) / p.dstWidth {
				for x := range p.dstWidth {
					inside := x >= p.at.X && x < p.at.X+p.size.X && y >= p.at.Y && y < p.at.Y+p.size.Y
					if !inside && p.dst[y*p.dstWidth+x] != p.left {
						t.Fatalf("%v to %v: %s was written at %d,%d, outside", c.from, c.to, p.name, x, y)
					}
				}
			}
		}
	}
}

// interpolated is the sample at a place between those of a plane.
func interpolated(plane []byte, stride int, size image.Point, x, y float64) float64 {
	x, y = min(max(x, 0), float64(size.X-1)), min(max(y, 0), float64(size.Y-1))
	x0, y0 := int(x), int(y)
	x1, y1 := min(x0+1, size.X-1), min(y0+1, size.Y-1)
	fx, fy := x-float64(x0), y-float64(y0)
	at := func(x, y int) float64 { return float64(plane[y*stride+x]) }
	return (at(x0, y0)*(1-fx)+at(x1, y0)*fx)*(1-fy) + (at(x0, y1)*(1-fx)+at(x1, y1)*fx)*fy
}

// BenchmarkShrink compares with libyuv, in turns.
func BenchmarkShrink(b *testing.B) {
	for _, c := range tileSizes[:5] {
		b.Run(fmt.Sprint(c.from, c.to), func(b *testing.B) {
			seed := uint32(1)
			src, dst := moment(c.from.X, c.from.Y, 15, .1, &seed), NewPicture(c.to.X, c.to.Y)
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			var ours, theirs float64
			for b.Loop() {
				began := threadTime()
				if err := Scale(dst, dst.Bounds(), src, src.Bounds()); err != nil {
					b.Fatal(err)
				}
				middle := threadTime()
				if err := scaleYUV(dst, dst.Bounds(), src, src.Bounds()); err != nil {
					b.Fatal(err)
				}
				ours, theirs = ours+float64(middle-began), theirs+float64(threadTime()-middle)
			}
			b.ReportMetric(ours/float64(b.N), "cpu-ns/op")
			b.ReportMetric(theirs/float64(b.N), "libyuv-cpu-ns/op")
			b.ReportMetric(ours/theirs, "ratio")
		})
	}
}

// threadTime is what the thread has used.
func threadTime() time.Duration {
	var t unix.Timespec
	// Cannot fail with this clock.
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t)
	return time.Duration(t.Nano())
}

//go:build !race

// One goroutine, and the encoders, which are not Go: nothing for the race detector.

package av

import (
	"fmt"
	"testing"
)

// TestRateIsKept: with a lively picture each encoder keeps to the least that the ladder's small rungs ask for and leaves
// no picture out; a bitrate that falls is that of the next pictures already, without a key frame; and a key frame
// when it is asked for is no longer on the path than the rate control's buffer is.
func TestRateIsKept(t *testing.T) {
	for _, c := range []struct{ w, h, fps, from, to int }{
		{640, 360, 30, 1_200_000, 300_000},
		{320, 180, 30, 350_000, 110_000},
		{320, 180, 15, 130_000, 50_000},
	} {
		pics := lively(c.w, c.h, 15)
		for _, codec := range []string{"H264", "VP8"} {
			t.Run(fmt.Sprintf("%s/%dx%d@%d", codec, c.w, c.h, c.fps), func(t *testing.T) {
				e, err := NewVideoEncoder(VideoEncoderConfig{Codec: codec, Width: c.w, Height: c.h, FPS: c.fps, Bitrate: c.from, MaxSlice: 1130})
				if err != nil {
					t.Fatal(err)
				}
				defer e.Close()
				n := 0
				encode := func(pictures int, force bool) (bits []int) {
					for i := range pictures {
						data, key, err := e.Encode(pics[n%len(pics)], uint32(n*90000/c.fps), force && i == 0)
						if err != nil {
							t.Fatal(err)
						}
						if key != (n == 0 || force && i == 0) {
							t.Fatalf("picture %d: key frame %v", n, key)
						}
						if len(data) == 0 {
							t.Errorf("picture %d is left out", n)
						}
						n++
						bits = append(bits, 8*len(data))
					}
					return bits
				}
				sum := func(bits []int) (s int) {
					for _, b := range bits {
						s += b
					}
					return s
				}
				encode(3*c.fps, false)
				e.SetBitrate(c.to)
				fallen := encode(3*c.fps, false)
				if got := sum(fallen[:3]); got > 3*c.to/c.fps*2 {
					t.Errorf("%d bit in the first three pictures at %d bit/s", got, c.to)
				}
				if got := sum(fallen[2*c.fps:]); got > c.to*11/10 || got < c.to*3/4 {
					t.Errorf("%d bit in a second at %d bit/s", got, c.to)
				}
				if got := encode(1, true)[0]; got > c.to*3/10 {
					t.Errorf("a key frame of %d bit, %d ms", got, got*1000/c.to)
				}
			})
		}
	}
}

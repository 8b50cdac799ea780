package av

import (
	"fmt"
	"math"
	"testing"
)

// lively are two seconds of a meeting at its worst for an encoder: sixteen cameras with
// sensor noise, somebody moving before each.
func lively(w, h, grain int) []*Picture {
	pictures := make([]*Picture, 60)
	seed := uint32(1)
	for n := range pictures {
		pictures[n] = moment(w, h, grain, float64(n)/float64(len(pictures)), &seed)
	}
	return pictures
}

// moment is one of them, at a part of the time, which ends as it begins; seed is the noise's.
func moment(w, h, grain int, at float64, seed *uint32) *Picture {
	const grid = 4
	t := 2 * math.Pi * at
	p := NewPicture(w, h)
	tw, th := w/grid, h/grid
	for y := range h {
		row := p.Y[y*p.StrideY:][:w]
		for x := range row {
			tile := float64(y/th*grid + x/tw)
			fx, fy := float64(x%tw)/float64(tw), float64(y%th)/float64(th)
			cx, cy := .5+.2*math.Sin(2*t+tile), .6+.06*math.Sin(3*t+2*tile)
			v := 90 + 40*math.Sin(fx*11+tile)*math.Cos(fy*9)
			if dx, dy := (fx-cx)/.22, (fy-cy)/.4; dx*dx+dy*dy < 1 {
				v = 140 + 50*math.Sin((fx-cx)*40)*math.Sin((fy-cy)*30+t)
			}
			*seed = *seed*1664525 + 1013904223
			row[x] = byte(v) + byte(int(*seed>>16)%(grain+1))
		}
	}
	for i := range p.U {
		p.U[i], p.V[i] = 120, 135
	}
	return p
}

// BenchmarkRate logs what the encoders make of a bitrate: steady, after it falls, and of key frames; go test -v -run -
// -bench Rate -benchtime 1x. A grain of 60 is worse than any camera's.
func BenchmarkRate(b *testing.B) {
	for _, c := range []struct{ w, h, fps, from, to, min int }{
		{1280, 720, 30, 1_800_000, 400_000, 900_000},
		{640, 360, 30, 700_000, 300_000, 300_000},
		{320, 180, 30, 220_000, 110_000, 110_000},
		{320, 180, 15, 90_000, 50_000, 50_000},
	} {
		for _, grain := range []int{3, 15, 60} {
			pics := lively(c.w, c.h, grain)
			for _, codec := range []string{"H264", "VP8"} {
				b.Run(fmt.Sprintf("%s/%dx%d@%d/grain=%d", codec, c.w, c.h, c.fps, grain), func(b *testing.B) {
					for range b.N {
						rateOf(b, codec, c.w, c.h, c.fps, c.from, c.to, c.min, pics)
					}
				})
			}
		}
	}
}

func rateOf(b *testing.B, codec string, w, h, fps, from, to, least int, pics []*Picture) {
	e, err := NewVideoEncoder(VideoEncoderConfig{Codec: codec, Width: w, Height: h, FPS: fps, Bitrate: from, MaxSlice: 1130})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	n := 0
	ms := func(bytes, bitrate int) int { return bytes * 8 * 1000 / bitrate }
	encode := func(pictures, bitrate int, force bool) (sizes []int, text string) {
		sum, largest, empty, keys, key := 0, 0, 0, 0, 0
		for i := range pictures {
			data, k, err := e.Encode(pics[n%len(pics)], uint32(n*90000/fps), force && i == 0)
			if err != nil {
				b.Fatal(err)
			}
			n++
			sizes = append(sizes, len(data))
			sum += len(data)
			if k {
				keys++
				key = len(data)
			} else {
				largest = max(largest, len(data))
			}
			if len(data) == 0 {
				empty++
			}
		}
		text = fmt.Sprintf("%4d kbit/s of %4d, largest P %3d ms, %d keys of %3d ms, %d of %d skipped",
			sum*8*fps/pictures/1000, bitrate/1000, ms(largest, bitrate), keys, ms(key, bitrate), empty, pictures)
		return sizes, text
	}
	_, first := encode(3*fps, from, false)
	e.SetBitrate(to)
	sizes, after := encode(2*fps, to, false)
	tenth := max(1, fps/10)
	var per []string
	for i := 0; i+tenth <= fps; i += tenth {
		s := 0
		for _, x := range sizes[i : i+tenth] {
			s += x
		}
		per = append(per, fmt.Sprintf("%d", s*8*fps/tenth/1000))
	}
	_, key := encode(fps, to, true)
	e.SetBitrate(least)
	encode(2*fps, least, false)
	_, steady := encode(3*fps, least, false)
	_, keyMin := encode(fps, least, true)
	b.Logf("\n  first  %s\n  fallen %s\n         first pictures %v bytes\n         kbit/s per 100 ms %v\n  key    %s\n  least  %s\n  key    %s",
		first, after, sizes[:6], per, key, steady, keyMin)
}

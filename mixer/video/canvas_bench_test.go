package video

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"rendezvous/mixer/av"
)

// cpuTime is what the program has used; other programs on the machine do not disturb it.
func cpuTime() time.Duration {
	var r syscall.Rusage
	// Cannot fail with RUSAGE_SELF and a valid pointer.
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkCompose is the canvas alone: n cameras of 640x360 with a new picture each time.
func BenchmarkCompose(b *testing.B) {
	for _, n := range []int{1, 4, 9, 16, 49} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c := NewCanvas(1280, 720)
			defer c.Close()
			cams := make([]*camera, n)
			list := make([]Tile, n)
			for i := range list {
				cams[i] = flat(640, 360, av.RGB(uint8(i), 99, 44))
				list[i] = Tile{ID: fmt.Sprint(i), Name: names[i%len(names)], Source: cams[i], Talking: i == 0, Muted: i%2 == 1}
			}
			c.SetTiles(list)
			now := time.Now()
			c.Compose(now)
			c.labels.settle()
			b.ReportAllocs()
			before, rounds := cpuTime(), 0
			for b.Loop() {
				rounds++
				for _, cam := range cams {
					cam.show(cam.pic)
				}
				c.Compose(now)
			}
			b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/float64(rounds), "cpu-ns/op")
		})
	}
}

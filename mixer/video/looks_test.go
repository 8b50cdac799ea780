//go:build !race

// One goroutine, which waits for that of the labels: nothing for the race detector that TestConcurrentUse does not show it.

package video

import (
	"fmt"
	"image"
	"math"
	"testing"
	"time"

	"rendezvous/mixer/av"
)

// scenery is a camera with a soft picture, different for each n.
func scenery(w, h, n int) *camera {
	p := av.NewPicture(w, h)
	wave := make([]float64, w)
	for x := range w {
		wave[x] = 30 * math.Sin(9*float64(x)/float64(w)+float64(n))
	}
	for y := range h {
		fy := float64(y) / float64(h)
		shoulder := 0.28 * math.Sqrt(max(0, fy-0.58)*3)
		for x := range w {
			fx := float64(x) / float64(w)
			v := 60 + 80*fy + wave[x]
			if d := math.Hypot(fx-0.5, (fy-0.42)*1.1); d < 0.17 || fy > 0.62 && math.Abs(fx-0.5) < shoulder {
				v = 150 + 40*math.Cos(6*d+float64(n))
			}
			p.Y[y*p.StrideY+x] = byte(v)
		}
	}
	for y := range h / 2 {
		for x := range w / 2 {
			p.U[y*p.StrideU+x] = byte(128 + 40*math.Sin(float64(n)*1.7+float64(2*x)/float64(w)))
			p.V[y*p.StrideV+x] = byte(128 + 40*math.Cos(float64(n)*2.3+float64(2*y)/float64(h)))
		}
	}
	cam := &camera{}
	cam.show(p)
	return cam
}

func sample(n int) []Tile {
	var tiles []Tile
	for i := range n {
		t := Tile{ID: fmt.Sprint("p", i), Name: names[i%len(names)]}
		switch i % 5 {
		case 0, 1, 3:
			t.Source = scenery(320, 180, i)
		case 4:
			if i%2 == 0 {
				t.Source = scenery(180, 320, i)
			}
		}
		t.Talking = i == 1
		t.Muted = i%3 == 2
		t.Hand = i%7 == 3
		tiles = append(tiles, t)
	}
	return tiles
}

func TestSamples(t *testing.T) {
	now := time.Now()
	for _, n := range []int{1, 3, 5, 16, 121} { // of the last 49 are shown
		c := NewCanvas(1280, 720)
		c.SetTiles(sample(n))
		save(t, composed(t, c, now), fmt.Sprintf("grid-%02d", n))
		c.Close()
	}
	for layout, name := range map[Layout]string{OneBig: "one-big", OneBigWithSmall: "one-big-with-small", SideBySide: "side-by-side"} {
		c := NewCanvas(1280, 720)
		tiles := sample(7)
		tiles[0].Screen = true
		c.SetTiles(tiles)
		c.SetLayout(layout)
		if layout != SideBySide {
			c.SetActive("p1")
		}
		save(t, composed(t, c, now), name)
		c.Close()
	}
}

func TestMarksAreDrawn(t *testing.T) {
	now := time.Now()
	base := Tile{ID: "a", Name: "Ada", Source: flat(640, 360, av.RGB(80, 80, 80))}
	other := Tile{ID: "b", Source: flat(640, 360, av.RGB(80, 80, 80))}
	render := func(t2 Tile) *image.RGBA {
		c := NewCanvas(1280, 720)
		defer c.Close()
		c.SetTiles([]Tile{t2, other})
		return rgba(composed(t, c, now))
	}
	plain := render(base)
	differs := func(name string, change func(*Tile), where image.Rectangle) {
		t.Helper()
		changed := base
		change(&changed)
		img := render(changed)
		inside, outside := 0, 0
		for y := range 720 {
			for x := range 640 {
				if img.RGBAAt(x, y) != plain.RGBAAt(x, y) {
					if image.Pt(x, y).In(where) {
						inside++
					} else {
						outside++
					}
				}
			}
		}
		if inside < 50 || outside > 0 {
			t.Errorf("%s: %d pixels differ where it belongs, %d elsewhere", name, inside, outside)
		}
	}
	differs("muted", func(t *Tile) { t.Muted = true }, image.Rect(6, 490, 140, 536))
	differs("shared screen", func(t *Tile) { t.Screen = true }, image.Rect(6, 490, 140, 536))
	differs("hand", func(t *Tile) { t.Hand = true }, image.Rect(6, 186, 60, 240))
	differs("name", func(t *Tile) { t.Name = "Bob" }, image.Rect(6, 490, 140, 536))
	differs("no name", func(t *Tile) { t.Name = "" }, image.Rect(6, 490, 140, 536))
	differs("talking", func(t *Tile) { t.Talking = true }, image.Rect(0, 180, 640, 540))
}

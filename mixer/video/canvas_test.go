package video

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"rendezvous/mixer/av"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// camera is a source whose picture the test sets.
type camera struct {
	pic    *av.Picture
	serial uint64
}

func (c *camera) Picture() (*av.Picture, uint64) {
	if c.pic == nil {
		return nil, c.serial
	}
	return c.pic.Retain(), c.serial
}

func (c *camera) show(p *av.Picture) { c.pic, c.serial = p, c.serial+1 }

// flat is a camera that shows one colour.
func flat(w, h int, c av.Colour) *camera {
	p := av.NewPicture(w, h)
	av.Fill(p, p.Bounds(), c)
	cam := &camera{}
	cam.show(p)
	return cam
}

// scenery is a camera with a soft picture, different for each n.
func scenery(w, h, n int) *camera {
	p := av.NewPicture(w, h)
	for y := range h {
		for x := range w {
			fx, fy := float64(x)/float64(w), float64(y)/float64(h)
			d := math.Hypot(fx-0.5, (fy-0.42)*1.1)
			v := 60 + 80*fy + 30*math.Sin(9*fx+float64(n))
			if d < 0.17 || fy > 0.62 && math.Abs(fx-0.5) < 0.28*math.Sqrt(max(0, fy-0.58)*3) {
				v = 150 + 40*math.Cos(6*d+float64(n))
			}
			p.Y[y*p.StrideY+x] = byte(v)
			p.U[y/2*p.StrideU+x/2] = byte(128 + 40*math.Sin(float64(n)*1.7+fx))
			p.V[y/2*p.StrideV+x/2] = byte(128 + 40*math.Cos(float64(n)*2.3+fy))
		}
	}
	cam := &camera{}
	cam.show(p)
	return cam
}

var names = []string{
	"Ada Lovelace", "عبد الرحمن الخوارزمي", "श्रीनिवास रामानुजन्", "李清照", "สมชาย ใจดี", "Łukasz Żółkiewski",
	"やまだ はなこ", "김철수", "Ελένη Παπαδοπούλου", "Дмитрий Менделеев", "שרה לוי", "தமிழ் செல்வன்",
	"Nguyễn Thị Minh Khai", "Ömer Şahin", "😀 Smiley", "ნინო ბერიძე", "Հայկ Պետրոսյան", "Maximilian von und zu Hohenlohe-Langenburg-Schillingsfürst",
	"আনন্দ", "రాము", "Abebe በቀለ", "ភាសាខ្មែរ", "မောင်မောင်", "", "room-bot 3000",
}

func sample(n int) []Tile {
	var tiles []Tile
	for i := range n {
		t := Tile{ID: fmt.Sprint("p", i), Name: names[i%len(names)]}
		switch i % 5 {
		case 0, 1, 3:
			t.Source = scenery(640, 360, i)
		case 4:
			if i%2 == 0 {
				t.Source = scenery(360, 640, i)
			}
		}
		t.Talking = i == 1
		t.Muted = i%3 == 2
		t.Hand = i%7 == 3
		tiles = append(tiles, t)
	}
	return tiles
}

// composed composes until all labels are there.
func composed(t *testing.T, c *Canvas, now time.Time) *av.Picture {
	t.Helper()
	c.Compose(now)
	c.labels.settle()
	p, _ := c.Compose(now)
	if _, changed := c.Compose(now); changed {
		t.Error("a picture on which nothing moved counts as changed")
	}
	return p
}

// rgba converts from limited-range BT.601.
func rgba(p *av.Picture) *image.RGBA {
	img := image.NewRGBA(p.Bounds())
	clamp := func(v float64) uint8 { return uint8(min(max(v, 0), 255)) }
	for y := range p.Height {
		for x := range p.Width {
			l := 1.164 * (float64(p.Y[y*p.StrideY+x]) - 16)
			u := float64(p.U[y/2*p.StrideU+x/2]) - 128
			v := float64(p.V[y/2*p.StrideV+x/2]) - 128
			img.SetRGBA(x, y, color.RGBA{clamp(l + 1.596*v), clamp(l - 0.392*u - 0.813*v), clamp(l + 2.017*u), 255})
		}
	}
	return img
}

// save writes a picture for people to look at, into the folder ARTIFACTS names, if it does.
func save(t *testing.T, p *av.Picture, name string) {
	t.Helper()
	dir := os.Getenv("ARTIFACTS")
	if dir == "" {
		dir = t.TempDir()
	}
	f, err := os.Create(filepath.Join(dir, name+".png"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, rgba(p)); err != nil {
		t.Fatal(err)
	}
}

func TestSamples(t *testing.T) {
	now := time.Now()
	for _, n := range []int{1, 2, 3, 4, 5, 9, 16, 25, 49} {
		c := NewCanvas(1280, 720)
		c.SetTiles(sample(n))
		save(t, composed(t, c, now), fmt.Sprintf("grid-%02d", n))
		c.Close()
	}
	for layout, name := range map[Layout]string{OneBig: "one-big", OneBigWithSmall: "one-big-with-small", SideBySide: "side-by-side"} {
		for _, n := range []int{2, 7} {
			c := NewCanvas(1280, 720)
			tiles := sample(n)
			tiles[0].Screen = true
			c.SetTiles(tiles)
			c.SetLayout(layout)
			if layout != SideBySide {
				c.SetActive("p1")
			}
			save(t, composed(t, c, now), fmt.Sprintf("%s-%d", name, n))
			c.Close()
		}
	}
}

package video

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
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
	lacks  bool
}

func (c *camera) Lacking() bool { return c.lacks }

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

var names = []string{
	"Ada Lovelace", "عبد الرحمن الخوارزمي", "श्रीनिवास रामानुजन्", "李清照", "สมชาย ใจดี", "Łukasz Żółkiewski",
	"やまだ はなこ", "김철수", "Ελένη Παπαδοπούλου", "Дмитрий Менделеев", "שרה לוי", "தமிழ் செல்வன்",
	"Nguyễn Thị Minh Khai", "Ömer Şahin", "😀 Smiley", "ნინო ბერიძე", "Հայկ Պետրոսյան", "Maximilian von und zu Hohenlohe-Langenburg-Schillingsfürst",
	"আনন্দ", "రాము", "Abebe በቀለ", "ភាសាខ្មែរ", "မောင်မောင်", "", "room-bot 3000",
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

// save writes a picture for people to look at, into the folder TEST_ARTEFACTS names, if it does.
func save(t *testing.T, p *av.Picture, name string) {
	t.Helper()
	dir := os.Getenv("TEST_ARTEFACTS")
	if dir == "" {
		return
	}
	f, err := os.Create(filepath.Join(dir, name+".png"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fast := png.Encoder{CompressionLevel: png.BestSpeed}
	if err := fast.Encode(f, rgba(p)); err != nil {
		t.Fatal(err)
	}
}

// lumaAt and the colours make a picture's content checkable.
func lumaAt(p *av.Picture, x, y int) byte { return p.Y[y*p.StrideY+x] }

func tiles(cams ...*camera) []Tile {
	var out []Tile
	for i, c := range cams {
		out = append(out, Tile{ID: string(rune('a' + i)), Source: c})
	}
	return out
}

func TestTileAppearsAtOnce(t *testing.T) {
	now := time.Now()
	c := NewCanvas(1280, 720)
	defer c.Close()
	cam := &camera{}
	c.SetTiles(tiles(cam, flat(640, 360, av.RGB(255, 0, 0))))
	composed(t, c, now)
	cam.show(flat(640, 360, av.Colour{Y: 200, U: 90, V: 80}).pic)
	p, changed := c.Compose(now.Add(time.Second / 30))
	if !changed || lumaAt(p, 320, 360) != 200 {
		t.Errorf("changed %v, luma %d", changed, lumaAt(p, 320, 360))
	}
	placed, _ := c.Geometry()
	if !placed[0].Video || placed[0].Rect != image.Rect(0, 180, 640, 540) || placed[0].Active {
		t.Errorf("%+v", placed[0])
	}
}

func TestOnlyWhatChangedIsDrawn(t *testing.T) {
	now := time.Now()
	c := NewCanvas(640, 360)
	defer c.Close()
	a, b := flat(320, 180, av.Colour{Y: 50, U: 128, V: 128}), flat(320, 180, av.Colour{Y: 60, U: 128, V: 128})
	c.SetTiles(tiles(a, b))
	p := composed(t, c, now)
	// A mark on b's tile stays when only a has a new picture.
	p.Y[180*p.StrideY+480] = 77
	a.show(flat(320, 180, av.Colour{Y: 51, U: 128, V: 128}).pic)
	p, changed := c.Compose(now)
	if !changed || lumaAt(p, 160, 180) != 51 || lumaAt(p, 480, 180) != 77 {
		t.Errorf("changed %v, %d and %d", changed, lumaAt(p, 160, 180), lumaAt(p, 480, 180))
	}
}

// TestHeldPictureIsNotWritten: who retains a picture may look at it later.
func TestHeldPictureIsNotWritten(t *testing.T) {
	now := time.Now()
	c := NewCanvas(640, 360)
	defer c.Close()
	a, b := flat(320, 180, av.Colour{Y: 50, U: 128, V: 128}), flat(320, 180, av.Colour{Y: 60, U: 128, V: 128})
	c.SetTiles(tiles(a, b))
	held := composed(t, c, now).Retain()
	a.show(flat(320, 180, av.Colour{Y: 51, U: 128, V: 128}).pic)
	p, _ := c.Compose(now)
	if lumaAt(held, 160, 180) != 50 || lumaAt(p, 160, 180) != 51 || lumaAt(p, 480, 180) != 60 {
		t.Errorf("held %d, new %d and %d", lumaAt(held, 160, 180), lumaAt(p, 160, 180), lumaAt(p, 480, 180))
	}
	held.Release()
}

func TestStalledVideoBecomesAvatar(t *testing.T) {
	now := time.Now()
	c := NewCanvas(640, 360)
	defer c.Close()
	cam, screen := flat(320, 180, av.Colour{Y: 200, U: 128, V: 128}), flat(320, 180, av.Colour{Y: 210, U: 128, V: 128})
	c.SetTiles([]Tile{{ID: "a", Name: "Ada", Source: cam}, {ID: "s", Source: screen, Screen: true}})
	composed(t, c, now)
	now = now.Add(stalledAfter + time.Second)
	p := composed(t, c, now)
	placed, _ := c.Geometry()
	if placed[0].Video || !placed[1].Video || lumaAt(p, 10, 100) == 200 || lumaAt(p, 480, 180) != 210 {
		t.Errorf("%+v", placed)
	}
	cam.show(cam.pic)
	if p, changed := c.Compose(now); !changed || lumaAt(p, 40, 100) != 200 {
		t.Error("the picture does not come back")
	}
	cam.pic = nil // video off
	composed(t, c, now)
	if placed, _ = c.Geometry(); placed[0].Video {
		t.Error("a camera that is off is shown")
	}
	now = now.Add(screenStalledAfter + time.Second)
	composed(t, c, now)
	if placed, _ = c.Geometry(); placed[1].Video {
		t.Error("a screen that sends nothing is shown for ever")
	}
}

// A camera whose picture cannot go on shows its last one without colour and under a mark, for as long as that lasts.
func TestPastPictureIsGreyed(t *testing.T) {
	now := time.Now()
	c := NewCanvas(640, 360)
	defer c.Close()
	cam, other := flat(320, 180, av.Colour{Y: 200, U: 90, V: 160}), flat(320, 180, av.Colour{Y: 200, U: 90, V: 160})
	c.SetTiles(tiles(cam, other))
	sample := func(p *av.Picture, x, y int) av.Colour {
		return av.Colour{Y: p.Y[y*p.StrideY+x], U: p.U[y/2*p.StrideU+x/2], V: p.V[y/2*p.StrideV+x/2]}
	}
	composed(t, c, now)
	cam.lacks = true
	now = now.Add(2 * stalledAfter) // longer than a camera that is off would be shown
	other.show(other.pic)
	p := composed(t, c, now)
	if got, want := sample(p, 100, 120), (av.Colour{Y: 108, U: 128, V: 128}); got != want {
		t.Errorf("the past picture is %v, want %v", got, want)
	}
	if got := sample(p, 160, 180); got.Y < 200 {
		t.Errorf("there is no mark in the middle: %v", got)
	}
	if got, want := sample(p, 420, 120), (av.Colour{Y: 200, U: 90, V: 160}); got != want {
		t.Errorf("the other camera's picture is %v, want %v", got, want)
	}
	if placed, _ := c.Geometry(); !placed[0].Video {
		t.Error("the past picture is taken for none")
	}
	if _, changed := c.Compose(now); changed {
		t.Error("what stands still is drawn again")
	}
	cam.lacks = false
	cam.show(cam.pic)
	if p := composed(t, c, now); sample(p, 100, 120) != sample(p, 420, 120) || sample(p, 160, 180).Y != 200 {
		t.Errorf("the picture goes on as %v, with %v in the middle", sample(p, 100, 120), sample(p, 160, 180))
	}
}

func TestActiveSpeaker(t *testing.T) {
	now := time.Now()
	c := NewCanvas(640, 360)
	defer c.Close()
	c.SetLayout(OneBig)
	talking := func(who string) {
		list := []Tile{{ID: "a"}, {ID: "b"}, {ID: "c"}}
		for i := range list {
			list[i].Talking = list[i].ID == who
		}
		c.SetTiles(list)
	}
	active := func() string {
		placed, _ := c.Geometry()
		for _, p := range placed {
			if p.Active {
				if p.Rect != image.Rect(0, 0, 640, 360) {
					t.Errorf("the active tile lies at %v", p.Rect)
				}
				return p.ID
			}
		}
		return ""
	}
	pass := func(d time.Duration) {
		for end := now.Add(d); now.Before(end); now = now.Add(time.Second / 30) {
			c.Compose(now)
		}
	}
	step := func(who string, d time.Duration, want string) {
		t.Helper()
		talking(who)
		pass(d)
		if got := active(); got != want {
			t.Errorf("%q talks for %v: %q is shown, want %q", who, d, got, want)
		}
	}
	step("", time.Second, "a")
	step("b", 200*time.Millisecond, "a") // a cough
	step("", time.Second, "a")
	step("b", time.Second, "b")
	step("c", 700*time.Millisecond, "b") // b keeps the stage a while
	step("c", 2*time.Second, "c")
	step("", 5*time.Second, "c") // and in silence
	c.SetActive("a")
	step("b", 3*time.Second, "a")
	c.SetActive("")
	step("b", 3*time.Second, "b")
	c.SetActive("who left")
	step("b", time.Second, "b")
}

func TestMoreThanFit(t *testing.T) {
	now := time.Now()
	c := NewCanvas(1280, 720)
	defer c.Close()
	var list []Tile
	for i := range 60 {
		list = append(list, Tile{ID: fmt.Sprint(i)})
	}
	shown := func() map[string]bool {
		placed, _ := c.Geometry()
		m := map[string]bool{}
		for _, p := range placed {
			if !p.Rect.Empty() {
				m[p.ID] = true
			}
		}
		return m
	}
	c.SetTiles(list)
	c.Compose(now)
	if m := shown(); len(m) != maxTiles || !m["0"] || m["55"] {
		t.Fatalf("%d tiles", len(m))
	}
	more := func() (out []string) { // which tiles say that there are more, and how many
		for _, t := range c.tiles {
			if t.more != 0 {
				out = append(out, fmt.Sprintf("%s: %d", t.ID, t.more))
			}
		}
		return out
	}
	if got := more(); !slices.Equal(got, []string{"48: 11"}) {
		t.Errorf("more: %q", got)
	}
	talk := append([]Tile(nil), list...)
	talk[55].Talking = true
	c.SetTiles(talk)
	c.Compose(now.Add(time.Second))
	if m := shown(); len(m) != maxTiles || !m["55"] || m["48"] {
		t.Error("who talks is not shown")
	}
	if got := more(); !slices.Equal(got, []string{"55: 11"}) {
		t.Errorf("more, when 55 has come on: %q", got)
	}
	c.SetTiles(list)
	c.Compose(now.Add(time.Minute))
	if !shown()["55"] {
		t.Error("who has talked is not shown any more")
	}
	for _, x := range []struct {
		layout Layout
		want   int
	}{{OneBig, 0}, {OneBigWithSmall, 51}, {Grid, 11}} { // the grid stays
		layout, want := x.layout, x.want
		c.SetLayout(layout)
		c.Compose(now.Add(2 * time.Minute))
		sum := 0
		for _, t := range c.tiles {
			sum += t.more
		}
		if sum != want || len(more()) > 1 {
			t.Errorf("layout %d: %q", layout, more())
		}
	}
	c.SetTiles(list[:49])
	c.Compose(now.Add(3 * time.Minute))
	if got := more(); got != nil {
		t.Errorf("all are shown, and there are more: %q", got)
	}
}

// Auto is a grid, until a screen is shared or somebody is pinned; the other layouts hold.
func TestAutoFollowsWhatIsShared(t *testing.T) {
	now := time.Now()
	c := NewCanvas(1280, 720)
	defer c.Close()
	people := []Tile{{ID: "a"}, {ID: "b", Talking: true}}
	shared := append(slices.Clone(people), Tile{ID: "s", Screen: true, Source: flat(1600, 1000, av.Colour{Y: 90, U: 128, V: 128})})
	for _, step := range []struct {
		name   string
		do     func()
		active string
		want   []image.Rectangle
	}{
		{"people", func() { c.SetLayout(Auto); c.SetTiles(people) }, "", []image.Rectangle{image.Rect(0, 180, 640, 540), image.Rect(640, 180, 1280, 540)}},
		{"a screen", func() { c.SetTiles(shared) }, "s", []image.Rectangle{image.Rect(1068, 240, 1280, 360), image.Rect(1068, 360, 1280, 480), image.Rect(0, 26, 1068, 692)}},
		{"a person pinned", func() { c.SetActive("a") }, "a", []image.Rectangle{image.Rect(106, 120, 1172, 720), image.Rect(428, 0, 640, 120), image.Rect(650, 0, 842, 120)}},
		{"the screen pinned", func() { c.SetActive("s") }, "s", []image.Rectangle{image.Rect(1068, 240, 1280, 360), image.Rect(1068, 360, 1280, 480), image.Rect(0, 26, 1068, 692)}},
		{"a moderator's grid", func() { c.SetActive(""); c.SetLayout(Grid) }, "", []image.Rectangle{image.Rect(0, 0, 640, 360), image.Rect(640, 0, 1280, 360), image.Rect(352, 360, 928, 720)}},
		{"auto again", func() { c.SetLayout(Auto) }, "s", []image.Rectangle{image.Rect(1068, 240, 1280, 360), image.Rect(1068, 360, 1280, 480), image.Rect(0, 26, 1068, 692)}},
		{"no screen any more", func() { c.SetTiles(people) }, "", []image.Rectangle{image.Rect(0, 180, 640, 540), image.Rect(640, 180, 1280, 540)}},
	} {
		step.do()
		now = now.Add(time.Second)
		c.Compose(now)
		placed, _ := c.Geometry()
		active, rects := "", []image.Rectangle(nil)
		for _, p := range placed {
			rects = append(rects, p.Rect)
			if p.Active {
				active += p.ID
			}
		}
		if active != step.active || !slices.Equal(rects, step.want) {
			t.Errorf("%s: active %q, want %q; tiles at %v, want %v", step.name, active, step.active, rects, step.want)
		}
	}
	c.SetTiles(shared)
	save(t, composed(t, c, now), "auto-screen")
}

func TestRotation(t *testing.T) {
	for _, degrees := range []int{0, 90, 180, 270} {
		c := NewCanvas(1280, 720)
		p := av.NewPicture(640, 360)
		av.Fill(p, p.Bounds(), av.Colour{Y: 60, U: 128, V: 128})
		av.Fill(p, image.Rect(0, 0, 160, 90), av.Colour{Y: 220, U: 128, V: 128}) // left upper corner
		cam := &camera{}
		cam.show(p)
		c.SetTiles([]Tile{{ID: "a", Source: cam, Rotate: degrees}})
		out := composed(t, c, time.Now())
		placed, _ := c.Geometry()
		r := placed[0].Rect
		wantSize := image.Pt(1280, 720)
		if degrees%180 != 0 {
			wantSize = image.Pt(404, 720)
		}
		if r.Size() != wantSize {
			t.Errorf("turned by %d: %v", degrees, r)
		}
		in := 20
		corner := map[int]image.Point{0: {r.Min.X + in, r.Min.Y + in}, 90: {r.Max.X - in, r.Min.Y + in},
			180: {r.Max.X - in, r.Max.Y - in}, 270: {r.Min.X + in, r.Max.Y - in}}
		for d, at := range corner {
			if got := lumaAt(out, at.X, at.Y) > 200; got != (d == degrees) {
				t.Errorf("turned by %d: bright %v at the corner of %d", degrees, got, d)
			}
		}
		c.Close()
	}
}

func TestGeometryVersion(t *testing.T) {
	now := time.Now()
	c := NewCanvas(1280, 720)
	defer c.Close()
	cam := flat(640, 360, av.RGB(1, 2, 3))
	c.SetTiles(tiles(cam))
	c.Compose(now)
	_, v := c.Geometry()
	cam.show(flat(640, 360, av.RGB(9, 9, 9)).pic)
	c.Compose(now)
	if _, w := c.Geometry(); w != v {
		t.Error("a new picture changed the geometry")
	}
	cam.show(flat(480, 640, av.RGB(9, 9, 9)).pic) // the phone was turned
	c.Compose(now)
	placed, w := c.Geometry()
	if w == v || placed[0].Rect != image.Rect(370, 0, 910, 720) {
		t.Errorf("%v", placed)
	}
}

// TestConcurrentUse changes everything from several sides while pictures are composed; it is
// for the race detector, and for what must hold of every picture and geometry.
func TestConcurrentUse(t *testing.T) {
	c := NewCanvas(640, 360)
	defer c.Close()
	var done sync.WaitGroup
	stop := make(chan struct{})
	for g := range 3 {
		done.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 1))
			for {
				select {
				case <-stop:
					return
				default:
				}
				switch r.IntN(4) {
				case 0:
					list := sampleTiles(r)
					c.SetTiles(list)
				case 1:
					c.SetLayout(Layout(r.IntN(5)))
				case 2:
					c.SetActive(fmt.Sprint("p", r.IntN(8)))
				case 3:
					placed, _ := c.Geometry()
					for _, p := range placed {
						if !p.Rect.In(image.Rect(0, 0, 640, 360)) {
							t.Errorf("%+v", p)
						}
					}
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	now := time.Now()
	var held *av.Picture
	for range 200 {
		p, _ := c.Compose(now)
		if held != nil {
			held.Release()
		}
		held = p.Retain()
		now = now.Add(time.Second / 30)
	}
	close(stop)
	done.Wait()
	held.Release()
}

// sampleTiles are some tiles with pictures of all kinds of sizes.
func sampleTiles(r *rand.Rand) []Tile {
	var list []Tile
	for i := range r.IntN(12) {
		tile := Tile{ID: fmt.Sprint("p", i), Name: names[r.IntN(len(names))], Talking: r.IntN(3) == 0, Muted: r.IntN(2) == 0,
			Hand: r.IntN(4) == 0, Screen: r.IntN(6) == 0, Rotate: 90 * r.IntN(4)}
		if r.IntN(3) > 0 {
			tile.Source = flat(1+r.IntN(900), 1+r.IntN(700), av.RGB(uint8(r.IntN(256)), 90, 120))
		}
		list = append(list, tile)
	}
	return list
}

// settle waits until nothing is left to draw.
func (l *labels) settle() { l.done.Wait() }

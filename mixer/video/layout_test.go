package video

import (
	"image"
	"testing"
)

func firstN(candidates []int, n int) []int { return candidates[:min(n, len(candidates))] }

func TestCells(t *testing.T) {
	r := image.Rect
	for _, tc := range []struct {
		name string
		s    scene
		want []image.Rectangle
	}{
		{"nobody", scene{layout: Grid, count: 0, active: -1, screen: -1}, nil},
		{"one", scene{layout: Grid, count: 1, active: -1, screen: -1}, []image.Rectangle{r(0, 0, 1280, 720)}},
		{"two", scene{layout: Grid, count: 2, active: -1, screen: -1}, []image.Rectangle{r(0, 180, 640, 540), r(640, 180, 1280, 540)}},
		{"three: the last row is centred", scene{layout: Grid, count: 3, active: -1, screen: -1},
			[]image.Rectangle{r(0, 0, 640, 360), r(640, 0, 1280, 360), r(320, 360, 960, 720)}},
		{"four: half of 640x360 exactly", scene{layout: Grid, count: 4, active: 0, screen: -1},
			[]image.Rectangle{r(0, 0, 640, 360), r(640, 0, 1280, 360), r(0, 360, 640, 720), r(640, 360, 1280, 720)}},
		{"one big", scene{layout: OneBig, count: 3, active: 1, screen: -1}, []image.Rectangle{{}, r(0, 0, 1280, 720), {}}},
		{"one big, nobody active", scene{layout: OneBig, count: 2, active: -1, screen: -1}, []image.Rectangle{r(0, 0, 1280, 720), {}}},
		{"one big with small, alone", scene{layout: OneBigWithSmall, count: 1, active: 0, screen: -1}, []image.Rectangle{r(0, 0, 1280, 720)}},
		{"one big with small", scene{layout: OneBigWithSmall, count: 3, active: 1, screen: -1},
			[]image.Rectangle{r(428, 0, 640, 120), r(0, 120, 1280, 720), r(640, 0, 852, 120)}},
		{"screen beside", scene{layout: besideScreen, count: 3, active: 2, screen: 2},
			[]image.Rectangle{r(1068, 240, 1280, 360), r(1068, 360, 1280, 480), r(0, 0, 1068, 720)}},
		{"only a screen", scene{layout: besideScreen, count: 1, active: 0, screen: 0}, []image.Rectangle{r(0, 0, 1280, 720)}},
		{"side by side", scene{layout: SideBySide, count: 2, active: 0, screen: 1},
			[]image.Rectangle{r(896, 0, 1280, 720), r(0, 0, 896, 720)}},
		{"side by side, the screen is active", scene{layout: SideBySide, count: 3, active: 2, screen: 2},
			[]image.Rectangle{r(896, 120, 1280, 720), r(534, 0, 746, 120), r(0, 120, 896, 720)}},
		{"side by side, only a screen", scene{layout: SideBySide, count: 1, active: 0, screen: 0}, []image.Rectangle{r(0, 0, 1280, 720)}},
		{"side by side without a screen", scene{layout: SideBySide, count: 2, active: 1, screen: -1},
			[]image.Rectangle{r(534, 0, 746, 120), r(0, 120, 1280, 720)}},
	} {
		tc.s.size = image.Pt(1280, 720)
		got := tc.s.cells(firstN)
		if len(got) != len(tc.want) {
			t.Fatalf("%s: %d cells", tc.name, len(got))
		}
		for i := range got {
			if got[i] != tc.want[i] {
				t.Errorf("%s: cell %d is %v, want %v", tc.name, i, got[i], tc.want[i])
			}
		}
	}
}

// TestCellsAreSound: for any number of tiles, cells are even, on the canvas and apart.
func TestCellsAreSound(t *testing.T) {
	for _, size := range []image.Point{{1280, 720}, {640, 480}, {1920, 1080}, {722, 406}} {
		for layout := Grid; layout <= besideScreen; layout++ {
			for n := 1; n <= 60; n++ {
				s := scene{layout: layout, size: size, count: n, active: n / 2, screen: n/3 - 1}
				var area image.Rectangle
				cells := s.cells(firstN)
				shown := 0
				for i, c := range cells {
					if c.Empty() {
						continue
					}
					shown++
					area = area.Union(c)
					if c.Min.X%2 != 0 || c.Min.Y%2 != 0 || c.Dx()%2 != 0 || c.Dy()%2 != 0 || !c.In(image.Rectangle{Max: size}) {
						t.Fatalf("layout %d, %d tiles on %v: cell %v", layout, n, size, c)
					}
					for _, other := range cells[:i] {
						if c.Overlaps(other) {
							t.Fatalf("layout %d, %d tiles: %v and %v overlap", layout, n, c, other)
						}
					}
				}
				if layout == Grid && shown != min(n, maxTiles) {
					t.Errorf("%d of %d tiles in a grid", shown, n)
				}
			}
		}
	}
}

func TestFit(t *testing.T) {
	r := image.Rect
	for _, tc := range []struct {
		cell  image.Rectangle
		shape image.Point
		want  image.Rectangle
	}{
		{r(0, 0, 640, 360), image.Pt(1280, 720), r(0, 0, 640, 360)},
		{r(426, 0, 852, 240), image.Pt(640, 360), r(426, 0, 852, 240)},       // no seam of one line
		{r(0, 0, 640, 360), image.Pt(640, 480), r(80, 0, 560, 360)},          // 4:3 between two bars
		{r(640, 360, 1280, 720), image.Pt(360, 640), r(858, 360, 1060, 720)}, // portrait
		{r(0, 0, 640, 360), image.Pt(3000, 10), r(0, 178, 640, 180)},
		{r(0, 0, 640, 360), image.Pt(0, 0), image.Rectangle{}},
		{image.Rectangle{}, image.Pt(640, 360), image.Rectangle{}},
	} {
		if got := fit(tc.cell, tc.shape); got != tc.want {
			t.Errorf("%v into %v: %v, want %v", tc.shape, tc.cell, got, tc.want)
		}
	}
}

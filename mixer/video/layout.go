package video

import (
	"image"
	"slices"
)

// maxTiles is how many tiles are on the canvas at most.
const maxTiles = 49

// maxStrip is how many small tiles the layouts with a strip show at most.
const maxStrip = 8

// places is how many tiles a grid has room for, of which no more than most are wanted; 0: no matter.
func places(most int) int {
	if most == 0 {
		return maxTiles
	}
	return min(most, maxTiles)
}

// scene says which tiles a layout places: indices into the tiles it is made for.
type scene struct {
	layout Layout
	size   image.Point
	count  int // tiles
	most   int // of them that a grid shows; 0: maxTiles
	active int // index of the active tile, -1 for none
	screen int // index of the shared screen, -1 for none
}

// cells divides the canvas: one cell for each tile, empty for those not shown. All
// corners and sizes are even, as 4:2:0 chroma wants it. small picks which tiles get a
// place when not all can: it returns at most n of the indices it is given, in order.
func (s scene) cells(small func(candidates []int, n int) []int) []image.Rectangle {
	cells := make([]image.Rectangle, s.count)
	if s.count == 0 {
		return cells
	}
	layout := s.layout
	if layout == SideBySide && s.screen < 0 {
		layout = OneBigWithSmall
	}
	if s.active < 0 {
		s.active = 0
	}
	whole := image.Rectangle{Max: s.size}
	switch layout {
	case OneBig:
		cells[s.active] = whole
	case OneBigWithSmall:
		rest := s.strip(cells, small, s.active)
		cells[s.active] = rest
	case besideScreen:
		rest := s.column(cells, small, s.active)
		cells[s.active] = rest
	case SideBySide:
		if s.active == s.screen || s.count == 1 {
			s.active = s.other(small)
		}
		if s.active < 0 {
			cells[s.screen] = whole
			break
		}
		rest := s.strip(cells, small, s.active, s.screen)
		middle := even(s.size.X * 7 / 10)
		cells[s.screen] = image.Rect(0, rest.Min.Y, middle, rest.Max.Y)
		cells[s.active] = image.Rect(middle, rest.Min.Y, s.size.X, rest.Max.Y)
	default:
		s.grid(cells, small)
	}
	return cells
}

// grid gives everybody the same cell, in the canvas's own shape: rows of ceil(sqrt(n)),
// the last one centred, the whole centred.
func (s scene) grid(cells []image.Rectangle, small func([]int, int) []int) {
	shown := small(all(s.count), places(s.most))
	n := len(shown)
	columns := 1
	for columns*columns < n {
		columns++
	}
	rows := (n + columns - 1) / columns
	w, h := even(s.size.X/columns), even(s.size.Y/columns)
	top := even((s.size.Y - rows*h) / 2)
	for k, i := range shown {
		column, row := k%columns, k/columns
		inRow := columns
		if row == rows-1 {
			inRow = n - row*columns
		}
		left := even((s.size.X - inRow*w) / 2)
		cells[i] = image.Rect(0, 0, w, h).Add(image.Pt(left+column*w, top+row*h))
	}
}

// beside returns the small tiles that are shown beside the big ones, and their width and height.
func (s scene) beside(small func([]int, int) []int, big ...int) (others []int, w, h int) {
	for _, i := range all(s.count) {
		if !slices.Contains(big, i) {
			others = append(others, i)
		}
	}
	if len(others) == 0 {
		return nil, 0, 0
	}
	others = small(others, maxStrip)
	zoom := max(6, len(others))
	return others, even(s.size.X / zoom), even(s.size.Y / zoom)
}

// strip places all but the big tiles in a row along the top edge and returns what is
// left of the canvas. Without others all is left.
func (s scene) strip(cells []image.Rectangle, small func([]int, int) []int, big ...int) image.Rectangle {
	others, w, h := s.beside(small, big...)
	if len(others) == 0 {
		return image.Rectangle{Max: s.size}
	}
	left := even((s.size.X - len(others)*w) / 2)
	for k, i := range others {
		cells[i] = image.Rect(0, 0, w, h).Add(image.Pt(left+k*w, 0))
	}
	return image.Rect(0, h, s.size.X, s.size.Y)
}

// column places all but the big tile below each other along the right edge and returns what is left of the canvas.
// A screen of 16:10 or 4:3 has more room so than below a strip, and one of 16:9 as much.
func (s scene) column(cells []image.Rectangle, small func([]int, int) []int, big int) image.Rectangle {
	others, w, h := s.beside(small, big)
	if len(others) == 0 {
		return image.Rectangle{Max: s.size}
	}
	left, top := s.size.X-w, even((s.size.Y-len(others)*h)/2)
	for k, i := range others {
		cells[i] = image.Rect(0, 0, w, h).Add(image.Pt(left, top+k*h))
	}
	return image.Rect(0, 0, left, s.size.Y)
}

// other is a tile to stand beside the shared screen when that is the active one itself.
func (s scene) other(small func([]int, int) []int) int {
	var others []int
	for _, i := range all(s.count) {
		if i != s.screen {
			others = append(others, i)
		}
	}
	if others = small(others, 1); len(others) == 0 {
		return -1
	}
	return others[0]
}

// fit is the largest rectangle of the given shape in the centre of cell, on even samples.
func fit(cell image.Rectangle, shape image.Point) image.Rectangle {
	if shape.X <= 0 || shape.Y <= 0 || cell.Empty() {
		return image.Rectangle{}
	}
	w, h := cell.Dx(), cell.Dx()*shape.Y/shape.X
	if h > cell.Dy() {
		w, h = cell.Dy()*shape.X/shape.Y, cell.Dy()
	}
	// A line or two less than the cell would only be a dark seam.
	if cell.Dx()-w <= 4 && cell.Dy()-h <= 4 {
		return cell
	}
	w, h = max(2, even(w)), max(2, even(h))
	corner := cell.Min.Add(image.Pt(even((cell.Dx()-w)/2), even((cell.Dy()-h)/2)))
	return image.Rectangle{corner, corner.Add(image.Pt(w, h))}
}

func even(n int) int { return n &^ 1 }

func all(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

package e2e

import (
	"fmt"
	"image"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rendezvous/internal/lab/browser"
)

// written is the part of a tile's lower edge in which there is light text, as wide as the text, in
// pixels of the canvas; empty if there is none.
func written(img image.Image, tile image.Rectangle, width, height int) image.Rectangle {
	sx, sy := float64(img.Bounds().Dx())/float64(width), float64(img.Bounds().Dy())/float64(height)
	var text image.Rectangle
	// The frame of a talker, and the camera's bar, are no text: they are not near white.
	for y := tile.Max.Y - tile.Dy()/5; y < tile.Max.Y-3; y++ {
		for x := tile.Min.X + 3; x < tile.Max.X-3; x++ {
			r, g, b, _ := img.At(int(float64(x)*sx), int(float64(y)*sy)).RGBA()
			if min(r, g, b) > 0xa000 {
				text = text.Union(image.Rect(x, y, x+1, y+1))
			}
		}
	}
	return text
}

// label is where a browser sees a participant's name written on their tile.
func label(b *browser.Browser, name string) (text, tile image.Rectangle, err error) {
	if tile, err = b.Tile(name); err != nil {
		return text, tile, err
	}
	var canvas struct{ Width, Height int }
	if err := b.Eval(`({Width: call.room.width, Height: call.room.height})`, &canvas); err != nil {
		return text, tile, err
	}
	img, err := b.Picture(browser.Stage)
	if err != nil {
		return text, tile, err
	}
	return written(img, tile, canvas.Width, canvas.Height), tile, nil
}

// checkLabels sees whether names are written on tiles: at the lower left, and as wide as they are
// long, which is tried with a long one in place of a short one.
func checkLabels(t *testing.T, h *host, b *browser.Browser, names ...string) {
	t.Helper()
	wait := func(name string, ok func(text, tile image.Rectangle) bool) image.Rectangle {
		t.Helper()
		var text, tile image.Rectangle
		var err error
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
			if text, tile, err = label(b, name); err == nil && ok(text, tile) {
				t.Logf("%q is written at %v on the tile %v", name, text, tile)
				return text
			}
		}
		t.Errorf("%q is not written as it should be: at %v on the tile %v, %v", name, text, tile, err)
		_ = b.Screenshot(filepath.Join(artefacts(t), "label-"+name+".png"))
		return text
	}
	lowerLeft := func(text, tile image.Rectangle) bool {
		return !text.Empty() && text.Min.X < tile.Min.X+tile.Dx()/12 && text.Min.Y > tile.Min.Y+tile.Dy()*3/4
	}
	for _, name := range names {
		short := wait(name, func(text, tile image.Rectangle) bool { return lowerLeft(text, tile) && text.Dx() < tile.Dx()/4 })
		long := name + strings.Repeat(" of Example", 2)
		for _, step := range []struct{ from, to string }{{name, long}, {long, name}} {
			if _, err := h.ask("order", "main", "rename", fmt.Sprintf("%s = %s", step.from, step.to)); err != nil {
				t.Error(err)
			}
			wait(step.to, func(text, tile image.Rectangle) bool {
				if step.to == name {
					return lowerLeft(text, tile) && text.Dx() < 2*short.Dx()
				}
				return lowerLeft(text, tile) && text.Dx() > 3*short.Dx()
			})
		}
	}
}

// checkTileDelay looks how long it has taken from a camera's first decoded picture to one with its tile.
func checkTileDelay(t *testing.T, h *host, least int) {
	t.Helper()
	const name = "rendezvous_mixer_tile_seconds"
	all, quick := h.metric(t, name+"_count"), h.metric(t, name+`_bucket{le="0.2"}`)
	t.Logf("of %.0f tiles %.0f appeared within 200 ms of the first decoded picture; %.0f ms on average", all, quick, 1000*h.metric(t, name+"_sum")/max(1, all))
	if all < float64(least) || quick < all/2 {
		t.Errorf("of %.0f tiles, at least %d expected, %.0f appeared within 200 ms", all, least, quick)
	}
}

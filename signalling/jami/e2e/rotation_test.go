package e2e

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rendezvous/internal/lab/jamilab"
)

// fourColours is a film of a second, in H.264 as it is, with another colour in each corner.
func fourColours(t *testing.T) []byte {
	t.Helper()
	const quarter = "color=c=%s:s=320x180:r=30:d=1[%c];"
	graph := ""
	for i, c := range []string{"red", "lime", "blue", "yellow"} {
		graph += fmt.Sprintf(quarter, c, 'a'+i)
	}
	cmd := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", graph+"[a][b][c][d]xstack=inputs=4:layout=0_0|w0_0|0_h0|w0_h0",
		"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "1", "-x264-params", "aud=1", "-f", "h264", "-")
	film, err := cmd.Output()
	if err != nil {
		t.Fatalf("make a film: %v", err)
	}
	return film
}

// turned is the film as a camera takes it that stands otherwise than upright: each picture says
// by how many degrees it is to be turned (SEI "display orientation", ITU-T H.264 §D.1.27).
func turned(film []byte, degrees int) []byte {
	if degrees == 0 {
		return film
	}
	delimiter := []byte{0, 0, 0, 1, 0x09, 0x10}
	orientation := []byte{0, 0, 0, 1, 0x06, 47, 3, byte(degrees / 90 << 3), 0, 0x14, 0x80}
	return bytes.ReplaceAll(film, delimiter, slices.Concat(delimiter, orientation))
}

// corners names the colours of a picture's corners: top left, top right, bottom left, bottom
// right. Anything else than four colours is no answer.
func corners(img image.Image) string {
	b := img.Bounds()
	var out []string
	for _, y := range []int{b.Dy() / 4, b.Dy() * 3 / 4} {
		for _, x := range []int{b.Dx() / 4, b.Dx() * 3 / 4} {
			c := color.RGBAModel.Convert(img.At(b.Min.X+x, b.Min.Y+y)).(color.RGBA)
			name := "other"
			switch r, g, b := c.R > 128, c.G > 128, c.B > 128; {
			case r && g && !b:
				name = "yellow"
			case r && !g && !b:
				name = "red"
			case !r && g && !b:
				name = "green"
			case !r && !g && b:
				name = "blue"
			}
			out = append(out, name)
		}
	}
	return strings.Join(out, " ")
}

// sameShape reports whether a picture of b's size shows one of a's whole and undistorted.
func sameShape(a, b image.Point) bool {
	const rounding = 4 // pixels: canvases are of even sizes
	return math.Abs(float64(a.X*b.Y)/float64(a.Y)-float64(b.X)) <= rounding
}

// look waits until what a daemon shows its user is right.
func look(t *testing.T, ctx context.Context, p *jamilab.Peer, sink, what string, right func(image.Image) bool) image.Image {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	last := "nothing"
	for {
		img, err := p.Picture(ctx, sink)
		if err == nil {
			if right(img) {
				return img
			}
			last = fmt.Sprint(img.Bounds().Size(), " ", corners(img))
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("%s does not come to show %s; the last: %s (%v)", p.Name(), what, last, err)
		}
	}
}

// A daemon whose camera is turned is seen upright in the room. What is upright says the daemon
// itself, by the preview that it shows its own user; others see it as another daemon cuts the
// participant out of the room's picture by the conference information. (A camera is what the
// daemon of 2023 needs for VideoManager.setDeviceOrientation, and it then only remembers the
// angle; what its encoder is told of comes with the pictures.)
func turnsItsCamera(t *testing.T, ctx context.Context, l *jamilab.Lab) {
	h := openHost(t, ctx, t.TempDir())
	p1, p2 := l.Peer(1), l.Peer(2)
	dir := t.TempDir()
	camera, film := filepath.Join(dir, "camera.h264"), fourColours(t)
	turn := func(degrees int) { // the daemon opens the file again each time that it has ended
		next := filepath.Join(dir, "next")
		if err := os.WriteFile(next, turned(film, degrees), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, camera); err != nil {
			t.Fatal(err)
		}
	}
	turn(0)
	m := &meeting{t: t, ctx: ctx, lab: l, room: h.room}
	for i, source := range []string{"file://" + camera, "file://" + clipOf(t, "testsrc2=alpha=255")} {
		p := l.Peer(i + 1)
		if err := p.OpenVideo(ctx, source); err != nil {
			t.Fatal(err)
		}
		call, _ := dial(t, ctx, p, h.id, jamilab.Media(&source))
		m.calls = append(m.calls, call)
	}
	first := m.sees(2, 0, "p1's picture", func(s jamilab.Signal) bool {
		r := row(s, p1.URI)
		return r != nil && r["videoMuted"] == "false" && number(r["w"]) > 10
	})
	stream := row(first, p1.URI)["sinkId"]

	before := ""
	for _, degrees := range []int{0, 90, 180, 270, 0} {
		mark := p2.Mark()
		turn(degrees)
		preview := look(t, ctx, p1, "file://"+camera, fmt.Sprintf("itself turned by %d", degrees), func(img image.Image) bool {
			c := corners(img)
			return c != before && !strings.Contains(c, "other")
		})
		size, want := preview.Bounds().Size(), corners(preview)
		seen := look(t, ctx, p2, stream, fmt.Sprintf("p1 in the shape of %v as %s", size, want), func(img image.Image) bool {
			return corners(img) == want && sameShape(size, img.Bounds().Size())
		})
		t.Logf("turned by %3d: p1 shows itself as %v %s, p2 sees it as %v", degrees, size, want, seen.Bounds().Size())
		if degrees%180 != 0 {
			m.sees(2, mark, "p1's tile of another shape", func(s jamilab.Signal) bool {
				r := row(s, p1.URI)
				return r["sinkId"] == stream && sameShape(size, image.Pt(number(r["w"]), number(r["h"])))
			})
		}
		before = want
	}

	// What they are sent through a narrow path is a smaller picture, out of which p1 is cut as well.
	if err := l.Narrow(ctx, p2.Name(), 150); err != nil {
		t.Fatal(err)
	}
	whole := row(first, p1.URI)
	small := look(t, ctx, p2, stream, "p1 in a smaller picture", func(img image.Image) bool {
		size := img.Bounds().Size()
		return size.X <= number(whole["w"])/2 && sameShape(image.Pt(640, 360), size) && corners(img) == before
	})
	if err := l.Narrow(ctx, p2.Name(), 0); err != nil {
		t.Fatal(err)
	}
	t.Logf("through a narrow path p2 sees p1 as %v", small.Bounds().Size())
}

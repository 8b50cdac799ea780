package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"os"
	"path/filepath"
	"strings"
	"time"

	"rendezvous/internal/lab/browser"
	"rendezvous/internal/sound"
)

// page is a meeting page as eye and ear.
type page struct{ *browser.Browser }

func (p page) listen(_ context.Context, d time.Duration) (sound.Recording, error) {
	return p.Listen(browser.Stage, d)
}

func (p page) look(context.Context) (image.Image, error) { return p.Picture(browser.Stage) }

func (p page) place(name string) (out place, err error) {
	if out.tile, err = p.Tile(name); err != nil {
		return out, err
	}
	var canvas struct{ Width, Height int }
	err = p.Eval(`({Width: call.room.width, Height: call.room.height})`, &canvas)
	out.canvas = image.Pt(canvas.Width, canvas.Height)
	return out, err
}

// keep puts aside a screenshot and the console.
func (p page) keep(dir, name string) error {
	return errors.Join(
		p.Screenshot(filepath.Join(dir, name+".png")),
		os.WriteFile(filepath.Join(dir, name+"-console.txt"), []byte(strings.Join(p.Console(), "\n")), 0o644))
}

// resident is a browser that stays in the room.
type resident struct{ page }

func startResident(ctx context.Context, url string) (*resident, error) {
	r := &resident{}
	b, err := browser.Start(ctx, browser.Options{Color: r.face()[0], Tone: r.tone()})
	if err != nil {
		return nil, err
	}
	r.page = page{b}
	if err := b.Join(url, r.name(), ""); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return r, nil
}

func (*resident) name() string  { return "Resident" }
func (*resident) tone() float64 { return 440 }
func (*resident) face() face    { return plain(color.RGBA{40, 60, 200, 255}) }

// people is how many the page shows in the room.
func (r *resident) people() (n int, err error) {
	err = r.Eval(`call.people.size`, &n)
	return n, err
}

// stays returns an error if the resident is not in the room any more.
func (r *resident) stays() error {
	var phase string
	if err := r.Eval(`call.phase`, &phase); err != nil {
		return err
	}
	if phase != "in" {
		return fmt.Errorf("the resident's page is not in the room but %q", phase)
	}
	return nil
}

// web is a newcomer with a browser, its profile empty.
type web struct {
	page
	url, called string
}

func (m *meeting) browser(number int) newcomer {
	return &web{url: m.host.url(), called: fmt.Sprintf("Browser %d", number)}
}

func (*web) kind() string   { return "browser" }
func (w *web) name() string { return w.called }
func (*web) tone() float64  { return 1000 }
func (*web) face() face     { return plain(color.RGBA{200, 40, 40, 255}) }

// prepare opens the room's page, up to where they see themselves.
func (w *web) prepare(ctx context.Context) error {
	b, err := browser.Start(ctx, browser.Options{Color: w.face()[0], Tone: w.tone()})
	if err != nil {
		return err
	}
	w.page = page{b}
	if err := b.Open(w.url); err != nil {
		return err
	}
	return b.Ready()
}

// enter types a name and presses Join.
func (w *web) enter(context.Context) error {
	if err := w.Enter(w.called, ""); err != nil {
		return err
	}
	return w.WaitFor(`window.call?.phase === 'in'`, patience)
}

func (w *web) leave(context.Context) error { return w.Press("Leave") }

func (*web) fault() string { return "" }

func (w *web) keep(dir string) error {
	if w.Browser == nil {
		return nil
	}
	return w.page.keep(dir, "newcomer")
}

func (w *web) close() {
	if w.Browser != nil {
		_ = w.Close() // a folder that stays behind is no fault of the host's
	}
}

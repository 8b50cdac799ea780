package browser

import (
	"fmt"
	"image"
	"image/color"
	"strings"
	"time"

	"github.com/chromedp/chromedp"
)

// Stage is the selector of the meeting page's mixed picture, whose stream carries the
// mixed sound too.
const Stage = ".stage video"

// Join opens a room's link, enters name and PIN (if it is asked for), presses Join, and
// waits for the picture.
func (b *Browser) Join(url, name, pin string) error {
	if err := b.Knock(url, name, pin); err != nil {
		return err
	}
	return b.WaitFor(`window.call && call.phase === 'in' && document.querySelector('`+Stage+`')?.videoWidth > 0`, 45*time.Second)
}

// Knock does the same without waiting to be let in.
func (b *Browser) Knock(url, name, pin string) error {
	if err := b.Open(url); err != nil {
		return err
	}
	return b.Enter(name, pin)
}

// Ready waits until a room's page that is open can be joined from. The devices are asked for one after
// the other; a person joins when they see themselves.
func (b *Browser) Ready() error {
	return b.WaitFor(`document.querySelector('.preview video')?.videoWidth > 0 && !document.querySelector('.devices select').disabled`, 30*time.Second)
}

// Enter fills in the form of a room's page that is open, and presses Join.
func (b *Browser) Enter(name, pin string) error {
	if err := b.Ready(); err != nil {
		return err
	}
	// The page remembers the name from the last time.
	if err := b.Eval(`document.querySelectorAll('input[name=name], input[name=pin]').forEach((el) => { el.value = ''; })`, nil); err != nil {
		return err
	}
	actions := []chromedp.Action[chromedp.Void]{
		chromedp.SendKeys(chromedp.CSS(`input[name=name]`), name),
	}
	if pin != "" {
		if err := b.Eval(`document.querySelector('.have-pin')?.click()`, nil); err != nil {
			return err
		}
		actions = append(actions, chromedp.SendKeys(chromedp.CSS(`input[name=pin]`), pin))
	}
	actions = append(actions, chromedp.Click(chromedp.CSS(`form button[type=submit]`)))
	if err := b.Do(time.Minute, actions...); err != nil {
		return fmt.Errorf("joining as %q: %w", name, err)
	}
	return nil
}

// Press clicks the button with this text or accessible name.
func (b *Browser) Press(label string) error {
	var ok bool
	find := fmt.Sprintf(`(() => {
	  const all = [...document.querySelectorAll('dialog[open] button, .menu button, .toast button')].concat([...document.querySelectorAll('button, a.button, [role=switch]')]);
	  const el = all.find((b) => b.checkVisibility() && !b.disabled && (b.getAttribute('aria-label') || b.querySelector('.label')?.textContent || b.closest('label')?.firstChild.firstChild?.textContent || b.textContent).trim() === %q);
	  if (el) { el.scrollIntoView({block: 'nearest'}); el.focus(); el.click(); }
	  return Boolean(el);
	})()`, label)
	deadline := time.Now().Add(10 * time.Second)
	for {
		if err := b.Eval(find, &ok); err != nil {
			return err
		}
		if ok {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("there is no button %q", label)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// Keys types on the keyboard, as chromedp/kb spells keys.
func (b *Browser) Keys(keys string) error {
	return b.Do(30*time.Second, chromedp.KeyEvent(keys))
}

// WaitPeople waits until the page shows this many participants in the room.
func (b *Browser) WaitPeople(n int, timeout time.Duration) error {
	return b.WaitFor(fmt.Sprintf(`call.people.size === %d`, n), timeout)
}

// Tile returns where a participant's picture is on the canvas, by their name; empty if it is
// not shown.
func (b *Browser) Tile(name string) (image.Rectangle, error) {
	var r *image.Rectangle
	err := b.Eval(fmt.Sprintf(`[...call.people.values()].find((p) => p.name === %q)?.streams?.find((s) => s.label === 'main')?.rect ?? null`, name), &r)
	if err != nil || r == nil {
		return image.Rectangle{}, err
	}
	return *r, nil
}

// TileColor returns the median colour in the upper middle of a participant's tile in the
// mixed picture, away from the name label and the camera's moving bar.
func (b *Browser) TileColor(name string) (color.RGBA, error) {
	r, err := b.Tile(name)
	if err != nil {
		return color.RGBA{}, err
	}
	if r.Empty() {
		return color.RGBA{}, fmt.Errorf("%s is not on the canvas", name)
	}
	img, err := b.Picture(Stage)
	if err != nil {
		return color.RGBA{}, err
	}
	var canvas struct{ Width, Height int }
	if err := b.Eval(`({Width: call.room.width, Height: call.room.height})`, &canvas); err != nil {
		return color.RGBA{}, err
	}
	// The picture may be a smaller rung of the ladder.
	sx := float64(img.Bounds().Dx()) / float64(max(1, canvas.Width))
	sy := float64(img.Bounds().Dy()) / float64(max(1, canvas.Height))
	middle := image.Rect(
		int(sx*float64(r.Min.X+r.Dx()*3/8)), int(sy*float64(r.Min.Y+r.Dy()*3/8)),
		int(sx*float64(r.Min.X+r.Dx()*5/8)), int(sy*float64(r.Min.Y+r.Dy()*5/8)))
	return Median(img, middle), nil
}

// Median is the median colour of a part of a picture, each channel by itself.
func Median(img image.Image, r image.Rectangle) color.RGBA {
	var hist [3][256]int
	n := 0
	r = r.Intersect(img.Bounds())
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			cr, cg, cb, _ := img.At(x, y).RGBA()
			hist[0][cr>>8]++
			hist[1][cg>>8]++
			hist[2][cb>>8]++
			n++
		}
	}
	var out [3]uint8
	for c := range hist {
		sum := 0
		for v, k := range hist[c] {
			if sum += k; 2*sum >= n {
				out[c] = uint8(v)
				break
			}
		}
	}
	return color.RGBA{out[0], out[1], out[2], 255}
}

// Near reports whether two colours differ by at most tolerance in every channel.
func Near(a, b color.RGBA, tolerance int) bool {
	d := func(x, y uint8) int { return max(int(x)-int(y), int(y)-int(x)) }
	return d(a.R, b.R) <= tolerance && d(a.G, b.G) <= tolerance && d(a.B, b.B) <= tolerance
}

// Type puts the focus on an element and types on the keyboard; "\r" is Enter.
func (b *Browser) Type(selector, text string) error {
	if err := b.Do(30*time.Second, chromedp.Focus(chromedp.CSS(selector)), chromedp.KeyEvent(text)); err != nil {
		return fmt.Errorf("typing into %s: %w", selector, err)
	}
	return nil
}

// Failures returns an error if the page has thrown, or has tried what its content
// security policy forbids.
func (b *Browser) Failures() error {
	var bad []string
	for _, l := range b.Console() {
		if strings.HasPrefix(l, "exception:") || strings.Contains(l, "Content Security Policy") || strings.Contains(l, "TrustedScript") {
			bad = append(bad, l)
		}
	}
	if len(bad) > 0 {
		return fmt.Errorf("the page failed: %s", strings.Join(bad, "; "))
	}
	return nil
}

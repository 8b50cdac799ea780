package browser

import (
	"context"
	"image"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Two tones of known strength in one recording, and a third that is not there.
func TestLevel(t *testing.T) {
	const rate = 48000
	s := Sound{Rate: rate, PCM: make([]float32, 2*rate)}
	for i := range s.PCM {
		x := 2 * math.Pi * float64(i) / rate
		s.PCM[i] = float32(0.25*math.Sin(500*x) + 0.01*math.Sin(900*x))
	}
	for hz, want := range map[float64]float64{500: -12, 900: -40} {
		if got := s.Level(hz); math.Abs(got-want) > 0.5 {
			t.Errorf("%.0f Hz: %.1f dB, want %.0f", hz, got, want)
		}
	}
	if got := s.Level(1300); got > -90 {
		t.Errorf("1300 Hz: %.1f dB, and there is none", got)
	}
	if got := (Sound{}).Level(500); !math.IsInf(got, -1) {
		t.Errorf("nothing has a level of %.1f dB", got)
	}
}

func TestMedian(t *testing.T) {
	img := image.NewRGBA(image.Rect(0, 0, 10, 10))
	for y := range 10 {
		for x := range 10 {
			img.Set(x, y, color.RGBA{200, 40, 40, 255})
		}
	}
	for x := range 10 { // a third of the part that is looked at
		img.Set(x, 0, color.White)
	}
	if got := Median(img, image.Rect(0, 0, 10, 3)); got != (color.RGBA{200, 40, 40, 255}) {
		t.Errorf("median %v", got)
	}
}

// blank is an empty page, of an origin that may have a camera.
func blank(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "blank.html")
	if err := os.WriteFile(path, []byte("<!doctype html><title>blank</title><body>"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Chromium's camera and microphone show and sound as asked for.
func TestFakeDevices(t *testing.T) {
	want := color.RGBA{30, 140, 60, 255}
	b, err := Start(context.Background(), Options{Color: want, Tone: 700})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, step := range []error{
		b.Open("file://" + filepath.ToSlash(blank(t))),
		b.Eval(`navigator.mediaDevices.getUserMedia({audio: true, video: true}).then((s) => {
		  document.body.append(Object.assign(document.createElement('video'), {autoplay: true, muted: true, srcObject: s})); })`, nil),
		b.WaitFor(`document.querySelector('video').videoWidth === 640`, 20*time.Second),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	img, err := b.Picture("video")
	if err != nil {
		t.Fatal(err)
	}
	if got := Median(img, image.Rect(100, 50, 500, 200)); !Near(got, want, 12) {
		t.Errorf("the camera shows %v, want %v", got, want)
	}
	s, err := b.Listen("video", 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Level(700); got < -16 || got > -8 {
		t.Errorf("the microphone's tone is at %.1f dB, want -12", got)
	}
}

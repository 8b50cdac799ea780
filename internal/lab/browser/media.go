package browser

import (
	"bufio"
	"fmt"
	"image/color"
	"math"
	"math/rand/v2"
	"os"
	"time"

	"rendezvous/internal/sound"
)

// Camera pictures: one colour, with a grey bar that moves along the lower edge so that
// the picture is alive. The upper five sixths are the plain colour.
const (
	cameraFrames = 30
	cameraRate   = 30
)

// writeCamera writes a YUV4MPEG2 film for --use-file-for-fake-video-capture.
func writeCamera(path string, c color.RGBA, width, height int, noise bool) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	fmt.Fprintf(w, "YUV4MPEG2 W%d H%d F%d:1 Ip A1:1 C420mpeg2\n", width, height, cameraRate)
	y, cb, cr := color.RGBToYCbCr(c.R, c.G, c.B)
	// Studio range, as cameras have it.
	y = uint8(16 + int(y)*219/255)
	cb = uint8(128 + (int(cb)-128)*224/255)
	cr = uint8(128 + (int(cr)-128)*224/255)
	row := make([]byte, width)
	rng := rand.New(rand.NewPCG(uint64(c.R), uint64(c.B)))
	for n := range cameraFrames {
		fmt.Fprint(w, "FRAME\n")
		bar := n * width / cameraFrames
		for i := range height {
			for x := range row {
				if noise && i > height/2 && x%4 != 0 {
					continue
				}
				row[x] = y
				if i > height*5/6 && x >= bar && x < bar+width/8 {
					row[x] = 128
				}
				if noise && i > height/2 && x%4 == 0 {
					v := byte(96 + rng.IntN(64))
					row[x], row[x+1], row[x+2], row[x+3] = v, v, v, v
				}
			}
			w.Write(row) //nolint:errcheck // Flush tells
		}
		for _, v := range []byte{cb, cr} {
			for range height / 2 {
				for x := range width / 2 {
					row[x] = v
				}
				w.Write(row[:width/2]) //nolint:errcheck // Flush tells
			}
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}

// writeTone writes a WAV file for --use-file-for-fake-audio-capture: a sine of hz at -12 dBFS, 48 kHz mono, 10 s or
// longer, of whole periods so that its repeat has no click.
func writeTone(path string, hz float64, talks time.Duration) error {
	seconds := 10
	if talks > 0 {
		seconds = int(math.Ceil(talks.Seconds()))
	}
	hz = math.Round(hz*10) / 10
	return os.WriteFile(path, sound.WAV(sound.Sine(hz, 0.25, seconds*sound.Rate, 0)), 0o600)
}

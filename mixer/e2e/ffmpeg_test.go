package e2e

import (
	"bytes"
	"fmt"
	"log/slog"
	"os/exec"
	"slices"
	"sync"
	"testing"

	"rendezvous/internal/freeport"
	"rendezvous/internal/lab/ffmpeg"
	"rendezvous/internal/sound"
	"rendezvous/mixer"
	"rendezvous/mixer/leg"
	"rendezvous/mixer/mixertest"
)

// listen starts an ffmpeg that writes what the party is sent to a file, for 5 s.
func listen(t *testing.T, p *mixertest.Party, video string) *ffmpeg.Listener {
	t.Helper()
	ports, err := freeport.Take(2)
	if err != nil {
		t.Fatal(err)
	}
	p.Sound.SendTo(ports[0])
	p.Video.SendTo(ports[1])
	return ffmpeg.Listen(t, ports[0], ports[1], video, 5)
}

// pixel is the mean colour (red, green, blue) around a place in the last picture of a file.
func pixel(t *testing.T, file string, x, y int) [3]int {
	t.Helper()
	cmd := exec.Command("ffmpeg", "-loglevel", "error", "-i", file,
		"-vf", fmt.Sprintf("scale=1280:720,crop=16:16:%d:%d,scale=1:1", x-8, y-8), "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	raw, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, stderr.String())
	}
	if len(raw) < 3 {
		t.Fatalf("no picture in %s", file)
	}
	raw = raw[len(raw)-3:]
	return [3]int{int(raw[0]), int(raw[1]), int(raw[2])}
}

// tones is the amplitude of each frequency in the last two seconds of a file's sound, each 100 ms.
func tones(t *testing.T, file string, hertz ...float64) [][]float64 {
	t.Helper()
	pcm := sound.File(t, file)
	if len(pcm) < sound.Rate {
		t.Fatalf("%d samples of sound in %s", len(pcm), file)
	}
	pcm = pcm[max(0, len(pcm)-2*sound.Rate):]
	out := make([][]float64, len(hertz))
	const window = sound.Rate / 10
	for at := 0; at+window <= len(pcm); at += window {
		for i, f := range hertz {
			out[i] = append(out[i], sound.Amplitude(pcm[at:at+window], f, sound.Rate))
		}
	}
	return out
}

// Three parties that are ffmpeg: each sees the others' colours where the canvas says, and
// hears the others' tones and not its own.
func TestMixWithFFmpeg(t *testing.T) {
	for _, codec := range []leg.Codec{mixertest.H264, mixertest.VP8} {
		t.Run(codec.Name, func(t *testing.T) {
			m := mixer.New(mixer.Config{Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
			defer m.Close()
			colours := []string{"red", "lime", "blue"}
			rgb := [][3]int{{255, 0, 0}, {0, 255, 0}, {0, 0, 255}}
			hz := []float64{440, 1000, 1700}
			var parties []*mixertest.Party
			var listeners []*ffmpeg.Listener
			var silence []func()
			for i, c := range colours {
				p := mixertest.NewParty(t, codec)
				parties = append(parties, p)
				listeners = append(listeners, listen(t, p, codec.Name))
				m.Add(c, p.Leg, mixer.Attributes{Name: c})
				silence = append(silence, ffmpeg.Speak(t, c, int(hz[i]), p.Sound.Port(), p.Video.Port()))
			}
			// ffmpeg as a receiver asks for nothing. Once is enough: who asked again and again would be taken for one whose path is narrow.
			for i, l := range listeners {
				if err := l.Listens(t.Context()); err != nil {
					t.Fatal(err)
				}
				parties[i].Leg.RequestKeyFrame()
			}
			var waiting sync.WaitGroup
			for _, l := range listeners {
				waiting.Go(func() {
					if err := l.Wait(); err != nil {
						t.Error(err)
					}
				})
			}
			waiting.Wait()
			tiles, _ := m.Tiles()
			for i, stop := range silence {
				stop()
				m.Remove(colours[i])
				parties[i].Close(t)
			}
			if len(tiles) != 3 {
				t.Fatalf("%d tiles, want 3: %+v", len(tiles), tiles)
			}
			for i, l := range listeners {
				for _, tile := range tiles {
					k := slices.Index(colours, tile.ID)
					c := tile.Rect.Min.Add(tile.Rect.Size().Div(2))
					got := pixel(t, l.File, c.X, c.Y)
					for ch := range 3 {
						if d := got[ch] - rgb[k][ch]; d < -40 || d > 40 {
							t.Errorf("%s sees %v in the tile of %s at %v", colours[i], got, tile.ID, tile.Rect)
							break
						}
					}
				}
				for k, amplitudes := range tones(t, l.File, hz...) {
					slices.Sort(amplitudes)
					// The codec's noise is in a window of 100 ms, as in one of all frequencies.
					if k == i && (amplitudes[len(amplitudes)/2] > 0.001 || slices.Max(amplitudes) > 0.01) {
						t.Errorf("%s hears itself: %.4f", colours[i], amplitudes)
					}
					// A lost packet, or a stretched one, is a window that is fainter.
					if k != i && amplitudes[len(amplitudes)/10] < 0.05 {
						t.Errorf("%s hears %s at %.4f", colours[i], colours[k], amplitudes)
					}
				}
			}
		})
	}
}

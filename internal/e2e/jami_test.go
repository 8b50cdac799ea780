package e2e

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rendezvous/internal/eventually"
	"rendezvous/internal/lab/browser"
	"rendezvous/internal/lab/jamilab"
	"rendezvous/internal/lab/phone"
	"rendezvous/internal/sound"
	"rendezvous/internal/tracing/tracingtest"
)

// daemon is a Jami daemon as a caller with a face and a voice.
type daemon struct {
	*jamilab.Peer
	tone  float64
	talks time.Duration // since speak; 0: two and a half minutes
	color color.RGBA    // with alpha 0: no camera
	call  string
}

// clip makes a video of one colour for a daemon's camera and returns its source name.
func clip(t *testing.T, dir, name string, c color.RGBA, size string) string {
	t.Helper()
	file := filepath.Join(dir, name+".mp4")
	out, err := exec.Command("ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i",
		fmt.Sprintf("color=c=0x%02x%02x%02x:s=%s:r=30:d=60", c.R, c.G, c.B, size),
		"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "30", file).CombinedOutput()
	if err != nil {
		t.Fatalf("make a clip: %v\n%s", err, out)
	}
	return "file://" + file
}

// speak plays a tone into a daemon's microphone until the test ends.
func (d *daemon) speak(t *testing.T, ctx context.Context, l *jamilab.Lab, dir string) {
	t.Helper()
	wav := filepath.Join(dir, d.Name()+".wav")
	out, err := exec.Command("ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i",
		fmt.Sprintf("sine=frequency=%.0f:sample_rate=48000:duration=%.0f", d.tone, cmp.Or(d.talks, 150*time.Second).Seconds()), "-af", "volume=4dB", wav).CombinedOutput()
	if err != nil {
		t.Fatalf("make a tone: %v\n%s", err, out)
	}
	cmd := l.Sound(ctx, d.Peer, "paplay", "-d", "mic", wav)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
}

// hear records what a daemon plays.
func (d *daemon) hear(ctx context.Context, l *jamilab.Lab, dir string, seconds int) (sound.Recording, error) {
	wav := filepath.Join(dir, d.Name()+"-heard.wav")
	os.Remove(wav)
	cmd := l.Sound(ctx, d.Peer, "timeout", "-s", "INT", fmt.Sprint(seconds),
		"parecord", "--device=spk.monitor", "--file-format=wav", "--rate=48000", "--channels=1", "--format=s16le", wav)
	_ = cmd.Run() // timeout ends it, which is no success to it
	return decode(wav)
}

// Jami daemons, a browser and a telephone in one room of the program.
func TestJamiBrowserAndPhoneMeet(t *testing.T) {
	jamilab.Run(t, jamilab.Options{Peers: 4, Sound: true, Alone: true}, func(t *testing.T, l *jamilab.Lab) {
		ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
		defer cancel()
		dir := t.TempDir()
		traces := tracingtest.New(t)
		h := startHost(t, "RENDEZVOUS_JAMI_ENABLED=true", "RENDEZVOUS_JAMI_BOOTSTRAP="+jamilab.Bootstrap, "RENDEZVOUS_JAMI_STUN=",
			"RENDEZVOUS_TELEMETRY_ENDPOINT="+traces.URL)
		id := h.jamiID(t)

		daemons := []*daemon{
			{Peer: l.Peer(1), tone: 500, color: color.RGBA{30, 160, 40, 255}},
			{Peer: l.Peer(2), tone: 800, color: color.RGBA{200, 180, 30, 255}},
			{Peer: l.Peer(3), tone: 1250},
			{Peer: l.Peer(4), tone: 2100, color: color.RGBA{150, 40, 160, 255}},
		}
		if err := jamilab.Accounts(ctx, l.Peers()...); err != nil {
			t.Fatal(err)
		}
		for _, d := range daemons {
			d.speak(t, ctx, l, dir)
		}
		ann, err := browser.Start(ctx, browser.Options{Color: red, Tone: toneA})
		if err != nil {
			t.Fatal(err)
		}
		defer ann.Close()
		if err := ann.Join(h.url(), "Ann", ""); err != nil {
			t.Fatal(err)
		}
		carl, err := phone.Start(ctx, phone.Config{User: "carl", Name: "Carl", Tone: tonePhone, Codecs: []string{"opus/48000/2"}})
		if err != nil {
			t.Fatal(err)
		}
		defer carl.Close()
		if err := carl.Dial(ctx, h.sip()); err != nil {
			t.Fatal(err)
		}
		for _, d := range daemons {
			media := jamilab.Media(nil)
			if d.color.A > 0 {
				source := clip(t, dir, d.Name(), d.color, "640x360")
				if err := d.OpenVideo(ctx, source); err != nil {
					t.Fatal(err)
				}
				media = jamilab.Media(&source)
			}
			began := time.Now()
			if d.call, err = d.PlaceCall(ctx, id, media); err != nil {
				t.Fatal(err)
			}
			if err := d.WaitCall(ctx, d.call, "CURRENT"); err != nil {
				t.Fatalf("%s calls the room: %v", d.Name(), err)
			}
			t.Logf("%s CURRENT after %v", d.Name(), time.Since(began).Round(time.Millisecond))
		}

		if err := ann.WaitPeople(6, 30*time.Second); err != nil {
			t.Fatalf("Ann does not see six people: %v", err)
		}
		checkTraces(t, traces, len(daemons))
		for _, d := range daemons {
			wait, done := context.WithTimeout(ctx, 20*time.Second)
			_, err := d.Wait(wait, 0, "onConferenceInfosUpdated", func(s jamilab.Signal) bool {
				for _, name := range []string{"Ann@web", "Carl@sip", daemons[0].URI, daemons[1].URI, daemons[2].URI, daemons[3].URI} {
					if !strings.Contains(s.String(), name) {
						return false
					}
				}
				return true
			})
			done()
			if err != nil {
				all := d.Signals(0, "onConferenceInfosUpdated")
				t.Errorf("%s has no conference information that names all six (%v); of %d the last is %v", d.Name(), err, len(all), last(all))
			}
		}
		colors := []any{"Ann", red}
		for _, d := range daemons {
			if d.color.A > 0 {
				colors = append(colors, d.Name(), d.color)
				wait, done := context.WithTimeout(ctx, 20*time.Second)
				s, err := d.Wait(wait, 0, "decodingStarted", func(s jamilab.Signal) bool { return s.Text(0) == d.call })
				done()
				if err != nil {
					t.Errorf("%s decodes no picture: %v", d.Name(), err)
				} else {
					t.Logf("%s decodes %v", d.Name(), s)
				}
			}
		}
		waitColors(t, ann, colors...)
		shareScreen(t, ctx, daemons[3], dir, color.RGBA{20, 170, 180, 255}, ann)
		if err := ann.Screenshot(filepath.Join(artefacts(t), "jami-ann.png")); err != nil {
			t.Error(err)
		}
		all := []float64{toneA, tonePhone}
		for _, d := range daemons {
			all = append(all, d.tone)
		}
		checkHears(t, "Ann", ann, toneA, without(all, toneA)...)
		var listening sync.WaitGroup
		for _, d := range daemons {
			listening.Go(func() {
				checkSound(t, d.Name(), d.tone, without(all, d.tone), func() (sound.Recording, error) { return d.hear(ctx, l, dir, 4) })
			})
		}
		listening.Wait()
		for _, d := range daemons {
			if err := d.HangUp(ctx, d.call); err != nil {
				t.Error(err)
			}
		}
		if err := ann.WaitPeople(2, 20*time.Second); err != nil {
			t.Errorf("the daemons have hung up and are still shown: %v", err)
		}
		if err := carl.Hangup(); err != nil {
			t.Error(err)
		}
		checkPhoneHeard(t, carl, tonePhone, toneA)
	})
}

// checkTraces waits until a collector has been told of the set-ups of a page's call, a phone's and so many devices', each to the
// first packet.
func checkTraces(t *testing.T, c *tracingtest.Collector, devices int) {
	t.Helper()
	steps := map[string]string{"web": "join offer ice dtls first packet", "sip": "invite ack first packet", "jami": "invite ice first packet"}
	eventually.NoError(t, func() error {
		count := map[string]int{}
		for _, trace := range c.Traces() {
			if got := strings.Join(trace.Steps, " "); got != steps[trace.Door] || trace.Error != "" || trace.Of == "" || trace.Room != "main" {
				return fmt.Errorf("trace %+v", trace)
			}
			count[trace.Door]++
		}
		if count["web"] != 1 || count["sip"] != 1 || count["jami"] != devices {
			return fmt.Errorf("traces of %v", count)
		}
		return nil
	})
}

// shareScreen has a daemon send a second stream beside its camera, and waits until a browser
// sees it in a tile of its own.
func shareScreen(t *testing.T, ctx context.Context, d *daemon, dir string, c color.RGBA, b *browser.Browser) {
	t.Helper()
	camera := filepath.Join(dir, d.Name()+".mp4")
	screen := clip(t, dir, d.Name()+"-screen", c, "640x360")
	if err := d.OpenVideo(ctx, screen); err != nil {
		t.Fatal(err)
	}
	source := "file://" + camera
	media := append(jamilab.Media(&source), map[string]string{"MEDIA_TYPE": "MEDIA_TYPE_VIDEO", "ENABLED": "true",
		"MUTED": "false", "SOURCE": screen, "LABEL": "video_1"})
	if err := d.Call(ctx, "CallManager.requestMediaChange", []any{d.Account, d.call, media}); err != nil {
		t.Fatal(err)
	}
	find := fmt.Sprintf(`[...call.people.values()].find((p) => p.name === %q)?.streams?.find((s) => s.label === 'screen')?.rect ?? null`, d.Name())
	var got color.RGBA
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) {
		var tile *image.Rectangle
		var canvas struct{ Width, Height int }
		if err := errors.Join(b.Eval(find, &tile), b.Eval(`({Width: call.room.width, Height: call.room.height})`, &canvas)); err != nil {
			t.Fatal(err)
		}
		if tile != nil && !tile.Empty() {
			img, err := b.Picture(browser.Stage)
			if err != nil {
				t.Fatal(err)
			}
			// The picture may be smaller than the canvas.
			sx, sy := float64(img.Bounds().Dx())/float64(canvas.Width), float64(img.Bounds().Dy())/float64(canvas.Height)
			x, y := float64(tile.Min.X+tile.Max.X)/2, float64(tile.Min.Y+tile.Max.Y)/2
			got = browser.Median(img, image.Rect(int(sx*x)-8, int(sy*y)-8, int(sx*x)+8, int(sy*y)+8))
			if browser.Near(got, c, 45) {
				return
			}
		}
		time.Sleep(200 * time.Millisecond) // between two looks at a moving picture
	}
	t.Errorf("the second stream of %s is seen as %v, want %v", d.Name(), got, c)
}

func last(s []jamilab.Signal) string {
	if len(s) == 0 {
		return "none"
	}
	return s[len(s)-1].String()
}

func without(all []float64, one float64) (rest []float64) {
	for _, f := range all {
		if f != one {
			rest = append(rest, f)
		}
	}
	return rest
}

// jamiID is the room's Jami id, once the room can be found.
func (h *host) jamiID(t *testing.T) string {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for time.Now().Before(deadline) {
		rooms, err := h.rooms()
		if err == nil && len(rooms) > 0 && len(rooms[0].Addresses.Jami) == 40 {
			return rooms[0].Addresses.Jami
		}
		time.Sleep(200 * time.Millisecond) // between two questions
	}
	out, _ := h.ask("rooms", "--json")
	t.Fatalf("the room has no Jami id: %s", out)
	return ""
}

package e2e

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"image/color"
	"io/fs"
	"math"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rendezvous/internal/eventually"
	"rendezvous/internal/lab/browser"
	"rendezvous/internal/lab/phone"
	"rendezvous/internal/prompts"
	"rendezvous/internal/sound"
)

var (
	red  = color.RGBA{200, 40, 40, 255}
	blue = color.RGBA{40, 60, 200, 255}
)

const (
	toneA, toneB, tonePhone = 440.0, 1000.0, 1700.0

	heardAbove = -35.0 // dB relative to full scale: a tone that is there
	ownBelow   = 30.0  // dB that one's own tone must be below the others
)

// Two browsers and a telephone in one room: each hears the two others and not itself, each
// browser sees both colours where the tiles are, and the recording holds everything.
func TestBrowsersAndPhoneMeet(t *testing.T) {
	h := startHost(t, recordsByItself)
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()

	var ann, ben *browser.Browser
	var starting sync.WaitGroup
	start := func(to **browser.Browser, o browser.Options) {
		starting.Go(func() {
			b, err := browser.Start(ctx, o)
			if err != nil {
				t.Error(err)
				return
			}
			*to = b
		})
	}
	start(&ann, browser.Options{Color: red, Tone: toneA})
	start(&ben, browser.Options{Color: blue, Tone: toneB, Width: 1280, Height: 800})
	starting.Wait()
	defer func() {
		for _, b := range []*browser.Browser{ann, ben} {
			if b != nil {
				if t.Failed() {
					for _, l := range b.Console() {
						t.Log("console: ", l)
					}
				}
				b.Close()
			}
		}
	}()
	if t.Failed() {
		return
	}
	carl, err := phone.Start(ctx, phone.Config{User: "carl", Name: "Carl", Tone: tonePhone, Codecs: []string{"opus/48000/2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer carl.Close()

	// The phone comes first: nothing else is heard while it is told that the meeting is recorded, and then it is heard.
	if err := carl.Dial(ctx, h.sip()); err != nil {
		t.Fatal(err)
	}
	var alone time.Duration // that it was not heard
	eventually.NoError(t, func() error {
		rooms, err := h.rooms()
		if err != nil {
			return err
		}
		if len(rooms) == 0 || len(rooms[0].Participants) != 1 || !rooms[0].Participants[0].Talking {
			return fmt.Errorf("Carl is not heard: %+v", rooms)
		}
		alone = time.Since(rooms[0].Participants[0].Joined)
		return nil
	})
	for name, b := range map[string]*browser.Browser{"Ann": ann, "Ben": ben} {
		if err := b.Join(h.url(), name, ""); err != nil {
			t.Fatalf("%s joins: %v", name, err)
		}
	}
	for name, b := range map[string]*browser.Browser{"Ann": ann, "Ben": ben} {
		if err := b.WaitPeople(3, 30*time.Second); err != nil {
			t.Fatalf("%s does not see three people: %v", name, err)
		}
	}
	rooms, err := h.rooms()
	if err != nil {
		t.Fatal(err)
	}
	if len(rooms) == 0 || len(rooms[0].Participants) != 3 {
		t.Errorf("rooms --json lists %+v, want three participants in main", rooms)
	}

	waitColors(t, ann, "Ann", red, "Ben", blue)
	waitColors(t, ben, "Ann", red, "Ben", blue)
	checkLabels(t, h, ann, "Ben", "Carl")
	checkTileDelay(t, h, 2)
	checkHears(t, "Ann", ann, toneA, toneB, tonePhone)
	checkHears(t, "Ben", ben, toneB, toneA, tonePhone)
	for name, b := range map[string]*browser.Browser{"ann": ann, "ben": ben} {
		if err := b.Screenshot(filepath.Join(artefacts(t), "meeting-"+name+".png")); err != nil {
			t.Error(err)
		}
	}
	if err := carl.Hangup(); err != nil {
		t.Error(err)
	}
	if err := ann.WaitPeople(2, 20*time.Second); err != nil {
		t.Errorf("Carl has hung up and is still shown: %v", err)
	}
	checkPhoneHeard(t, carl, tonePhone, toneA, toneB)

	for _, b := range []*browser.Browser{ann, ben} {
		if err := b.Press("Leave"); err != nil {
			t.Error(err)
		}
	}
	r, file := h.finished(t)
	if r.Duration < 5 {
		t.Errorf("the recording lasts %.1f s", r.Duration)
	}
	checkRecording(t, file, []color.RGBA{red, blue}, toneA, toneB, tonePhone)
	checkToldFirst(t, file, alone, carl, tonePhone)
}

// waitColors waits until a browser sees each name's tile in the given colour.
func waitColors(t *testing.T, b *browser.Browser, nameColors ...any) {
	t.Helper()
	for i := 0; i < len(nameColors); i += 2 {
		name, want := nameColors[i].(string), nameColors[i+1].(color.RGBA)
		var got color.RGBA
		var err error
		deadline := time.Now().Add(30 * time.Second)
		for time.Now().Before(deadline) {
			got, err = b.TileColor(name)
			if err == nil && browser.Near(got, want, 45) {
				break
			}
			time.Sleep(200 * time.Millisecond) // between two looks at a moving picture
		}
		if err != nil || !browser.Near(got, want, 45) {
			t.Errorf("the tile of %s is %v, want %v (%v)", name, got, want, err)
		}
	}
}

// checkHears records what a browser plays: its own tone must be far below the others.
func checkHears(t *testing.T, name string, b *browser.Browser, own float64, others ...float64) {
	t.Helper()
	checkSound(t, name, own, others, func() (sound.Recording, error) { return b.Listen(browser.Stage, 3*time.Second) })
}

// checkSound looks at what somebody hears, up to four times until they have heard everybody: on a busy
// machine a sender or a listener may stop for a moment, and a tone be missing in one recording. Their own
// tone is compared with the loudest of the others: sound that breaks up leaves something at all frequencies.
func checkSound(t *testing.T, name string, own float64, others []float64, record func() (sound.Recording, error)) {
	t.Helper()
	var report []string
	heard := map[float64]bool{}
	without := false // their own tone, in one of them
	for range 4 {
		s, err := record()
		if err != nil {
			t.Errorf("%s listens: %v", name, err)
			return
		}
		mine := s.Level(own)
		line := fmt.Sprintf("own %.0f Hz %.1f dB", own, mine)
		for _, f := range others {
			l := s.Level(f)
			line += fmt.Sprintf(", %.0f Hz %.1f dB", f, l)
			if l >= heardAbove {
				heard[f] = true
				without = without || l-mine >= ownBelow
			}
		}
		if without && len(heard) == len(others) {
			t.Logf("%s hears %s", name, line)
			return
		}
		report = append(report, line)
	}
	t.Errorf("%s should hear the others, and not itself: %s", name, strings.Join(report, "; "))
}

// checkPhoneHeard looks at the phone's own recording of its call, the end of which has everybody in it.
func checkPhoneHeard(t *testing.T, p *phone.Phone, own float64, others ...float64) {
	t.Helper()
	file, err := p.Heard()
	if err != nil {
		t.Error(err)
		return
	}
	s, err := decode(file)
	if err != nil {
		t.Error(err)
		return
	}
	if n := 4 * s.Rate; len(s.PCM) > n {
		s.PCM = s.PCM[len(s.PCM)-n : len(s.PCM)-s.Rate/2]
	}
	mine := s.Level(own)
	line := fmt.Sprintf("own %.0f Hz %.1f dB", own, mine)
	for _, f := range others {
		l := s.Level(f)
		line += fmt.Sprintf(", %.0f Hz %.1f dB", f, l)
		if l < heardAbove || l-mine < ownBelow {
			t.Errorf("the phone should hear %.0f Hz well above its own tone", f)
		}
	}
	t.Logf("the phone hears %s", line)
}

// checkToldFirst looks at a film that began with a phone's coming, which was heard after that time: the phone was told of it, and is not in it
// before that was said. (The film's own time begins when its first sound is written, a moment after the phone has come.)
func checkToldFirst(t *testing.T, film string, unheard time.Duration, p *phone.Phone, tone float64) {
	t.Helper()
	words, err := prompts.English()
	if err != nil {
		t.Fatal(err)
	}
	sentence := words.Say(prompts.RecordingOn)
	file, err := p.Heard()
	if err != nil {
		t.Fatal(err)
	}
	heard, err := decode(file)
	if err != nil {
		t.Fatal(err)
	}
	if like := sound.Likeness(heard.PCM, sentence); like < 0.7 {
		t.Errorf("the phone was not told that the meeting is recorded: likeness %.2f", like)
	}
	s, err := decode(film)
	if err != nil {
		t.Fatal(err)
	}
	step := s.Rate / 10
	first := 0
	for first+2*step < len(s.PCM) && (sound.Recording{PCM: s.PCM[first : first+2*step], Rate: s.Rate}).Level(tone) < -60 {
		first += step
	}
	at, takes := time.Duration(first)*time.Second/time.Duration(s.Rate), time.Duration(len(sentence))*time.Second/prompts.SampleRate
	t.Logf("the phone is heard after %v, and in the recording after %v; the sentence takes %v", unheard, at, takes)
	if unheard < takes || at < takes/3 {
		t.Errorf("the phone is heard after %v, and in the recording after %v, before it can have heard the sentence", unheard, at)
	}
}

// decode reads a file's sound with ffmpeg.
func decode(file string) (sound.Recording, error) {
	const rate = 48000
	out, err := exec.Command("ffmpeg", "-v", "error", "-i", file, "-vn", "-ac", "1", "-ar", fmt.Sprint(rate), "-f", "f32le", "-").Output()
	if err != nil {
		return sound.Recording{}, fmt.Errorf("ffmpeg cannot decode %s: %w", filepath.Base(file), err)
	}
	pcm := make([]float32, len(out)/4)
	for i := range pcm {
		pcm[i] = math.Float32frombits(binary.LittleEndian.Uint32(out[4*i:]))
	}
	return sound.Recording{PCM: pcm, Rate: rate}, nil
}

// recording is what `recordings main --json` says of one.
type recording struct {
	ID       string    `json:"id"`
	State    string    `json:"state"`
	Started  time.Time `json:"started"`
	Duration float64   `json:"duration"`
	Files    []struct {
		Name string `json:"name"`
		SHA3 string `json:"sha3_512"`
	} `json:"files"`
}

func (h *host) recordings(t *testing.T) []recording {
	t.Helper()
	out, err := h.ask("recordings", "main", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var list []recording
	if err := json.Unmarshal(out, &list); err != nil {
		t.Fatalf("recordings --json: %v: %s", err, out)
	}
	return list
}

// finished waits until the room's only recording is done and returns the file with the meeting.
func (h *host) finished(t *testing.T) (recording, string) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		list := h.recordings(t)
		if len(list) == 1 && list[0].State == "complete" {
			return list[0], h.fileOf(t, list[0])
		}
		if time.Now().After(deadline) {
			t.Fatalf("no finished recording after 30 s: %+v", list)
		}
		time.Sleep(200 * time.Millisecond) // between two questions
	}
}

// fileOf finds the file with the meeting itself.
func (h *host) fileOf(t *testing.T, r recording) string {
	t.Helper()
	found := ""
	err := filepath.WalkDir(filepath.Join(h.dir, "data", "recordings"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.Contains(path, r.ID) && d.Name() == r.Files[0].Name {
			found = path
		}
		return err
	})
	if err != nil || found == "" {
		t.Fatalf("no file of recording %+v: %v", r, err)
	}
	return found
}

// checkRecording plays a recording with ffmpeg: every tone and every colour must be in it.
func checkRecording(t *testing.T, file string, colours []color.RGBA, tones ...float64) {
	t.Helper()
	probe, err := exec.Command("ffprobe", "-v", "error", "-show_entries", "stream=codec_name,width,height:format=duration",
		"-of", "default=nw=1", file).CombinedOutput()
	if err != nil {
		t.Fatalf("ffprobe: %v\n%s", err, probe)
	}
	t.Logf("recording: %s", strings.Join(strings.Fields(string(probe)), " "))
	for _, want := range []string{"codec_name=h264", "codec_name=opus", "width=1280", "height=720"} {
		if !strings.Contains(string(probe), want) {
			t.Errorf("the recording has no %s", want)
		}
	}
	s, err := decode(file)
	if err != nil {
		t.Fatal(err)
	}
	best := make([]float64, len(tones))
	for i, f := range tones {
		best[i] = math.Inf(-1)
		for at := 0; at+2*s.Rate <= len(s.PCM); at += s.Rate {
			part := sound.Recording{PCM: s.PCM[at : at+2*s.Rate], Rate: s.Rate}
			best[i] = max(best[i], part.Level(f))
		}
		if best[i] < heardAbove {
			t.Errorf("%.0f Hz is not in the recording: %.1f dB", f, best[i])
		}
	}
	t.Logf("tones in the recording: %.1f dB", best)
	// One picture a second, in small.
	const w, h = 64, 36
	raw, err := exec.Command("ffmpeg", "-v", "error", "-i", file, "-vf", fmt.Sprintf("fps=1,scale=%d:%d:flags=area", w, h),
		"-f", "rawvideo", "-pix_fmt", "rgb24", "-").Output()
	if err != nil {
		t.Fatalf("ffmpeg cannot decode the recording's picture: %v", err)
	}
	most := make([]int, len(colours))
	for at := 0; at+3*w*h <= len(raw); at += 3 * w * h {
		count := make([]int, len(colours))
		for p := at; p < at+3*w*h; p += 3 {
			for i, c := range colours {
				if browser.Near(color.RGBA{raw[p], raw[p+1], raw[p+2], 255}, c, 45) {
					count[i]++
				}
			}
		}
		for i := range count {
			most[i] = max(most[i], count[i])
		}
	}
	for i, n := range most {
		if n < w*h/10 {
			t.Errorf("colour %v fills at most %d of %d places of the recording", colours[i], n, w*h)
		}
	}
}

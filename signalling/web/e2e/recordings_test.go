package e2e

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"rendezvous/conference/settings"
	"rendezvous/internal/lab/browser"
	"rendezvous/moderation"
	"rendezvous/signalling/web"
	"rendezvous/signalling/web/control"
	"rendezvous/signalling/web/webtest"
)

// shelf is a catalogue of one film.
type shelf struct {
	path string
	name *atomic.Value // a string
}

func (s shelf) List(_ context.Context, room string) ([]control.Recording, error) {
	fi, err := os.Stat(s.path)
	if err != nil {
		return nil, err
	}
	name, _ := s.name.Load().(string)
	return []control.Recording{{ID: "2026-01-02-weekly", Room: room, Title: name, Started: time.Date(2026, 1, 2, 9, 30, 0, 0, time.UTC), Duration: 4, Size: fi.Size(), Type: "video/mp4"}}, nil
}

func (s shelf) Open(_ context.Context, _, id string) (*control.File, error) {
	if id != "2026-01-02-weekly" {
		return nil, fmt.Errorf("recording %s: %w", id, control.ErrNotFound)
	}
	f, err := os.Open(s.path)
	if err != nil {
		return nil, err
	}
	return &control.File{ReadSeekCloser: f, Name: "weekly.mp4", Type: "video/mp4", Changed: time.Unix(1767346200, 0)}, nil
}

func (shelf) Chapters(context.Context, string, string) ([]control.Chapter, error) { return nil, nil }
func (s shelf) Delete(context.Context, string, string) error                      { return control.ErrNotFound }

// chapters are as recordings writes them: names are text, whatever is in them.
const chapters = "WEBVTT\n\n1\n00:00:00.000 --> 00:00:02.000\nAnn &amp; Bob &lt;b&gt;\n\n2\n00:00:02.000 --> 00:00:04.000\nשרה\n"

func (s shelf) ChapterTrack(context.Context, string, string) (*control.File, error) {
	return &control.File{ReadSeekCloser: page{strings.NewReader(chapters)}, Name: "chapters.vtt", Type: "text/vtt"}, nil
}

// page is a text as a file.
type page struct{ io.ReadSeeker }

func (page) Close() error { return nil }

func (s shelf) Rename(_ context.Context, _, _, name string) error {
	s.name.Store(name)
	return nil
}

// Recordings are listed and played on the page, by whoever may, through links that nobody
// else can make.
func TestRecordingsOnThePage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "film.mp4")
	out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=640x360:r=25:d=4", "-f", "lavfi", "-i", "sine=440:d=4",
		"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", "-movflags", "frag_keyframe+empty_moov", path).CombinedOutput()
	if err != nil {
		t.Fatalf("this test needs Debian's ffmpeg package: %v: %s", err, out)
	}
	speaker := moderation.Speaker
	h := webtest.Open(t, []settings.Room{{ID: "lab", ModeratorPIN: "4711"}}, func(c *web.Config) {
		c.Recordings, c.RecordingsRole = shelf{path, new(atomic.Value)}, &speaker
	})
	link := h.Door.Addresses("lab")[0]
	ann := start(t, browser.Options{Color: red, Tone: 500})
	must(t, ann.Join(link, "Ann", "4711"))
	must(t, ann.Press("More"))
	must(t, ann.Press("Recordings"))
	must(t, ann.WaitFor(`document.querySelectorAll('.recording').length === 1`, 10*time.Second))
	// A moderator gives it a name.
	must(t, ann.Eval(`document.querySelector('.recording [aria-label^="Rename "]').click()`, nil))
	must(t, ann.WaitFor(`document.querySelector('dialog[open] input')`, 5*time.Second))
	accessible(t, ann, "rename a recording")
	must(t, ann.Eval(`document.querySelector('dialog[open] input').value = ''`, nil))
	must(t, ann.Type("dialog[open] input", "Weekly № 5\r"))
	must(t, ann.WaitFor(`document.querySelector('.recording .name')?.textContent === 'Weekly № 5'`, 10*time.Second))
	accessible(t, ann, "recordings")
	must(t, ann.Press("Play Weekly № 5"))
	must(t, ann.WaitFor(`document.querySelector('.player video').currentTime > 1 && document.querySelector('.player video').videoHeight === 360`, 30*time.Second))
	// Its chapters are a text track; each leads to its place, also by keyboard.
	must(t, ann.WaitFor(`[...document.querySelectorAll('.chapters button')].map((b) => b.textContent).join() === '0:00Ann & Bob <b>,0:02שרה'`, 10*time.Second))
	must(t, ann.Eval(`document.querySelector('.player video').pause()`, nil))
	must(t, ann.Screenshot(filepath.Join(artefacts(t), "recordings.png")))
	accessible(t, ann, "a recording is played")
	reflows(t, ann, "player")
	tabTo(t, ann, "0:02שרה")
	must(t, ann.Keys("\r"))
	must(t, ann.WaitFor(`document.querySelector('.player video').currentTime >= 2 && document.querySelector('.chapters li:last-child [aria-current=true]')`, 10*time.Second))
	must(t, ann.Keys(kb.Escape))
	must(t, ann.WaitFor(`!document.querySelector('dialog')`, 5*time.Second))
	var url string
	must(t, ann.Eval(`document.querySelector('.recording a').getAttribute('href')`, &url))
	clean(t, ann)

	must(t, ann.WaitFor(`fetch('`+url+`').then(async (r) => r.status === 200 && r.headers.get('content-disposition') === 'attachment; filename=weekly.mp4' &&
		(await r.text()).slice(4, 8) === 'ftyp')`, 10*time.Second))
	must(t, ann.WaitFor(`fetch('`+url+`', {headers: {Range: 'bytes=4-7'}}).then(async (r) => r.status === 206 && await r.text() === 'ftyp')`, 10*time.Second))
	if resp, _ := webtest.Do(t, "GET", h.Door.URL()+url, "", nil); resp.StatusCode != 403 {
		t.Errorf("another browser has it by the link: %d", resp.StatusCode)
	}
	if resp, _ := webtest.Do(t, "GET", h.Door.URL()+strings.Replace(url, "2026-01-02", "2026-01-03", 1), "", nil); resp.StatusCode != 403 {
		t.Errorf("another recording by the same link: %d", resp.StatusCode)
	}

	// A watcher is less than an ordinary participant.
	conn, m := h.Socket(t, `{"type":"join","room":"lab","name":"W","watch":true}`)
	if m["type"] != "welcome" {
		t.Fatal(m)
	}
	webtest.Receive(t, conn, "info")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	must(t, conn.Write(ctx, 1, []byte(`{"type":"recordings"}`)))
	if m := webtest.Receive(t, conn, "recordings"); len(m["list"].([]any)) != 0 || m["text"] == "" {
		t.Errorf("a watcher gets %v", m)
	}
}

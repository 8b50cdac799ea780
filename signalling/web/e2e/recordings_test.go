package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rendezvous/conference/settings"
	"rendezvous/internal/lab/browser"
	"rendezvous/moderation"
	"rendezvous/signalling/web"
	"rendezvous/signalling/web/control"
	"rendezvous/signalling/web/webtest"
)

// shelf is a catalogue of one film.
type shelf struct{ path string }

func (s shelf) List(_ context.Context, room string) ([]control.Recording, error) {
	fi, err := os.Stat(s.path)
	if err != nil {
		return nil, err
	}
	return []control.Recording{{ID: "2026-01-02-weekly", Room: room, Started: time.Date(2026, 1, 2, 9, 30, 0, 0, time.UTC), Duration: 4, Size: fi.Size(), Type: "video/mp4"}}, nil
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
	h := webtest.Open(t, []settings.Room{{ID: "lab"}}, func(c *web.Config) { c.Recordings = shelf{path}; c.RecordingsRole = &speaker })
	link := h.Door.Addresses("lab")[0]
	ann := start(t, browser.Options{Color: red, Tone: 500})
	must(t, ann.Join(link, "Ann", ""))
	must(t, ann.Press("More"))
	must(t, ann.Press("Recordings"))
	must(t, ann.WaitFor(`document.querySelectorAll('.recording').length === 1`, 10*time.Second))
	must(t, ann.Eval(`document.querySelector('.recording button').click()`, nil))
	must(t, ann.WaitFor(`document.querySelector('.player video').currentTime > 1 && document.querySelector('.player video').videoHeight === 360`, 30*time.Second))
	must(t, ann.Screenshot(filepath.Join(artefacts(t), "recordings.png")))
	var url string
	must(t, ann.Eval(`document.querySelector('.recording a').getAttribute('href')`, &url))
	clean(t, ann)

	if resp, body := webtest.Do(t, "GET", h.Door.URL()+url, "", nil); resp.StatusCode != 200 || !strings.Contains(body[:16], "ftyp") ||
		resp.Header.Get("Content-Disposition") != `attachment; filename=weekly.mp4` {
		t.Errorf("download: %d %v", resp.StatusCode, resp.Header)
	}
	if resp, body := webtest.Do(t, "GET", h.Door.URL()+url, "", map[string]string{"Range": "bytes=4-7"}); resp.StatusCode != 206 || body != "ftyp" {
		t.Errorf("a part: %d %q", resp.StatusCode, body)
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

package e2e

import (
	"context"
	"image/color"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rendezvous/internal/lab/browser"
)

// A host killed in the middle of a meeting: the recording plays up to the last two seconds, the
// next start finishes its catalogue entry, and the browser comes back by itself.
func TestKilledHostComesBack(t *testing.T) {
	h := startHost(t)
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	ann, err := browser.Start(ctx, browser.Options{Color: red, Tone: toneA})
	if err != nil {
		t.Fatal(err)
	}
	defer ann.Close()
	if err := ann.Join(h.url(), "Ann", ""); err != nil {
		t.Fatal(err)
	}
	waitColors(t, ann, "Ann", red)
	deadline := time.Now().Add(time.Minute)
	for {
		list := h.recordings(t)
		if len(list) == 1 && time.Since(list[0].Started) > 8*time.Second {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("no recording for 8 s after a minute: %+v", list)
		}
		time.Sleep(200 * time.Millisecond) // the recording grows meanwhile
	}
	before := h.recordings(t)[0]
	h.kill()
	lasted := time.Since(before.Started).Seconds()

	h.start(h.env)
	after := h.recordings(t)
	if len(after) == 0 {
		t.Fatal("the recording is gone")
	}
	r := after[len(after)-1]
	for _, x := range after {
		if x.ID == before.ID {
			r = x
		}
	}
	t.Logf("killed after %.1f s; the catalogue says %.1f s, %s", lasted, r.Duration, r.State)
	if r.ID != before.ID || r.State == "running" || r.State == "recording" || r.Duration < lasted-2.5 {
		t.Errorf("after %.1f s the recording is %+v", lasted, r)
	}
	checkRecording(t, h.fileOf(t, r), []color.RGBA{red}, toneA)
	if err := ann.WaitFor(`window.call && call.phase === 'in'`, 40*time.Second); err != nil {
		t.Errorf("the browser does not come back: %v", err)
		if err := ann.Screenshot(filepath.Join(artefacts(t), "killed.png")); err != nil {
			t.Error(err)
		}
	}
	if out, err := h.ask("participants", "main"); err != nil || !strings.Contains(string(out), "Ann") {
		t.Errorf("participants: %s %v", out, err)
	}
}

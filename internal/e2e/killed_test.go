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

// killWhileRecording lets Ann into the room, waits until there are so many seconds of a
// recording, and kills the host. It returns the recording and how long it lasted, seconds.
func killWhileRecording(t *testing.T, h *host, ann *browser.Browser, after time.Duration) (before recording, lasted float64) {
	t.Helper()
	if err := ann.Join(h.url(), "Ann", ""); err != nil {
		t.Fatal(err)
	}
	waitColors(t, ann, "Ann", red)
	deadline := time.Now().Add(time.Minute)
	for {
		list := h.recordings(t)
		if len(list) == 1 && time.Since(list[0].Started) > after {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("no recording for %s after a minute: %+v", after, list)
		}
		time.Sleep(200 * time.Millisecond) // the recording grows meanwhile
	}
	before = h.recordings(t)[0]
	h.kill()
	return before, time.Since(before.Started).Seconds()
}

// recovered starts the host again and returns what has become of a recording that was killed.
func recovered(t *testing.T, h *host, before recording, lasted float64) recording {
	t.Helper()
	h.start()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		r := find(t, h.recordings(t), before.ID)
		if r.State == "recovering" && time.Now().Before(deadline) {
			continue
		}
		t.Logf("killed after %.1f s; the catalogue says %.1f s, %s", lasted, r.Duration, r.State)
		if r.State != "recovered" || r.Duration < lasted-2.5 {
			t.Errorf("after %.1f s the recording is %+v", lasted, r)
		}
		return r
	}
}

func find(t *testing.T, list []recording, id string) recording {
	t.Helper()
	for _, r := range list {
		if r.ID == id {
			return r
		}
	}
	t.Fatal("the recording is gone")
	return recording{}
}

// A host killed in the middle of a meeting: the recording plays up to the last two seconds, the
// next start finishes its catalogue entry, and the browser comes back by itself.
func TestKilledHostComesBack(t *testing.T) {
	h := startHost(t, recordsByItself)
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	ann, err := browser.Start(ctx, browser.Options{Color: red, Tone: toneA})
	if err != nil {
		t.Fatal(err)
	}
	defer ann.Close()
	before, lasted := killWhileRecording(t, h, ann, 8*time.Second)
	r := recovered(t, h, before, lasted)
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

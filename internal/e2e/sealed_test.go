package e2e

import (
	"bytes"
	"context"
	"image/color"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rendezvous/internal/lab/browser"
)

// A host that encrypts recordings, killed in the middle of a meeting: nothing of the media
// is readable on the disk, the next start finishes the recording, the browser plays it from
// any place, and the export is the meeting. All that the host keeps is for its owner alone.
func TestSealedRecording(t *testing.T) {
	h := startHost(t, recordsByItself, "RENDEZVOUS_RECORDINGS_KEY_FILE="+keyFile(t), "RENDEZVOUS_WEB_RECORDINGS_ROLE=speaker")
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	ann, err := browser.Start(ctx, browser.Options{Color: red, Tone: toneA})
	if err != nil {
		t.Fatal(err)
	}
	defer ann.Close()
	before, lasted := killWhileRecording(t, h, ann, 10*time.Second)
	r := recovered(t, h, before, lasted)
	if err := ann.WaitFor(`window.call && call.phase === 'in'`, 40*time.Second); err != nil {
		t.Fatal(err)
	}
	checkDisk(t, filepath.Join(h.dir, "data"), h.fileOf(t, r))

	to := filepath.Join(t.TempDir(), "copy")
	if out, err := h.ask("recordings", "export", "main", r.ID, to); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	checkRecording(t, filepath.Join(to, "meeting.mp4"), []color.RGBA{red}, toneA)

	// The newest is the meeting that goes on; the one that was cut off comes after it.
	for _, do := range []func() error{
		func() error { return ann.Press("More") },
		func() error { return ann.Press("Recordings") },
		func() error {
			return ann.WaitFor(`document.querySelectorAll('.recording').length === 2`, 20*time.Second)
		},
		func() error { return ann.Eval(`document.querySelectorAll('.recording button')[1].click()`, nil) },
		func() error {
			return ann.WaitFor(`document.querySelector('.player video').currentTime > 1 && document.querySelector('.player video').videoHeight === 720`, 30*time.Second)
		},
		func() error { return ann.Eval(`document.querySelector('.player video').currentTime = 6`, nil) },
		func() error {
			return ann.WaitFor(`(v => v.currentTime > 6.5 && !v.seeking && !v.error)(document.querySelector('.player video'))`, 30*time.Second)
		},
	} {
		if err := do(); err != nil {
			if err := ann.Screenshot(filepath.Join(artefacts(t), "sealed.png")); err != nil {
				t.Error(err)
			}
			t.Fatal(err)
		}
	}
}

// checkDisk looks at what a thief of the disk would have: no box of an MP4, and no name
// of who was there, in the recording's folder; and nobody else on the machine can read
// anything.
func checkDisk(t *testing.T, data, meeting string) {
	t.Helper()
	err := filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is open to others: %s", path, info.Mode())
		}
		if filepath.Dir(path) != filepath.Dir(meeting) {
			return nil
		}
		raw, err := os.ReadFile(path)
		for _, clear := range []string{"ftypiso", "\x00\x00moof", "OpusHead", `"name": "Ann"`, "WEBVTT", "participants"} {
			if bytes.Contains(raw, []byte(clear)) {
				t.Errorf("%s tells %q", path, clear)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// keyFile makes a file for recordings.key_file.
func keyFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(strings.Repeat("0123456789abcdef", 4)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

package e2e

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"rendezvous/internal/lab/browser"
	"rendezvous/recordings"
	"rendezvous/recordings/recordingstest"
)

// record makes a recording of so many seconds, no more than a recording's queue holds, and returns it.
func record(t *testing.T, seconds int) []byte {
	t.Helper()
	clock := recordingstest.NewClock()
	lib := recordings.Open(recordings.Config{Log: slog.New(slog.DiscardHandler), Dir: t.TempDir(), Now: clock.Now})
	defer lib.Close()
	rec, err := lib.Start(recordings.Request{Room: "main", Title: "Main room", Width: recordingstest.Width, Height: recordingstest.Height})
	if err != nil {
		t.Fatal(err)
	}
	room, err := recordingstest.NewRoom()
	if err != nil {
		t.Fatal(err)
	}
	defer room.Close()
	for n := range seconds * 50 {
		room.Colour.Y = byte(n) // something to encode
		if err := room.Tick(rec, n); err != nil {
			t.Fatal(err)
		}
		clock.Advance(20 * time.Millisecond)
	}
	if err := rec.Stop(); err != nil {
		t.Fatal(err)
	}
	f, _, err := lib.OpenFile(rec.ID(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	film, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return film
}

// TestRecordingPlaysInBrowser plays finished and cut-off recordings in Chromium.
func TestRecordingPlaysInBrowser(t *testing.T) {
	film, dir := record(t, 6), t.TempDir()
	for name, part := range map[string][]byte{"whole.mp4": film, "cut.mp4": film[:len(film)*3/4]} {
		if err := os.WriteFile(filepath.Join(dir, name), part, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir(dir)))
	mux.HandleFunc("/play/{file}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<video id=v src="/%s" muted></video>`, r.PathValue("file"))
	})
	server := httptest.NewServer(mux)
	defer server.Close()

	b, err := browser.Start(t.Context(), browser.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, file := range []string{"whole.mp4", "cut.mp4"} {
		if err := b.Open(server.URL + "/play/" + file); err != nil {
			t.Fatal(err)
		}
		var got playback
		if err := b.Eval(`(async () => {
			const v = document.getElementById('v');
			v.muted = false;
			v.playbackRate = 2;
			await v.play().catch(e => {});
			const end = Date.now() + 20000;
			while (!v.error && v.currentTime < 3 && Date.now() < end)
				await new Promise(r => setTimeout(r, 100));
			return {Time: v.currentTime, Duration: isFinite(v.duration) ? v.duration : -1, Width: v.videoWidth,
				Pictures: v.webkitDecodedFrameCount, SoundBytes: v.webkitAudioDecodedByteCount,
				Error: v.error ? v.error.message : ''};
		})()`, &got); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %+v", file, got)
		if got.Error != "" || got.Time < 3 || got.Width != recordingstest.Width || got.Pictures < 60 || got.SoundBytes == 0 {
			t.Errorf("%s: %+v", file, got)
		}
	}
}

// playback is what the browser says of a video it plays.
type playback struct {
	Time, Duration float64 // seconds
	Width          int
	Pictures       int
	SoundBytes     int
	Error          string
}

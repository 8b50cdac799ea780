package av

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestRecordingPlaysInBrowser plays finished and cut-off recordings in Chromium.
func TestRecordingPlaysInBrowser(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "whole.mp4")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cfg := MuxerConfig{Format: "mp4", Tracks: []Track{{Codec: "H264", Width: 320, Height: 180}, {Codec: "opus", Channels: 1, Title: "mix"}}}
	m, err := NewMuxer(f, cfg)
	if err != nil {
		t.Fatal(err)
	}
	clip(t, m, cfg.Tracks, 6, nil)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "cut.mp4"), whole[:len(whole)*3/4], 0o600); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir(dir)))
	mux.HandleFunc("/play/{file}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<video id=v src="/%s" muted></video>`, r.PathValue("file"))
	})
	server := httptest.NewServer(mux)
	defer server.Close()

	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	for _, file := range []string{"whole.mp4", "cut.mp4"} {
		if err := chromedp.Do(ctx, chromedp.Navigate(server.URL+"/play/"+file)); err != nil {
			t.Fatal(err)
		}
		got, err := chromedp.Run(ctx, chromedp.Evaluate[playback](`(async () => {
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
		})()`, chromedp.EvalAwaitPromise))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %+v", file, got)
		if got.Error != "" || got.Time < 3 || got.Width != 320 || got.Pictures < 60 || got.SoundBytes == 0 {
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

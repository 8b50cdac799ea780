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

	"rendezvous/internal/lab/browser"
)

// busyFilm makes a film that costs a lot of bits, for a browser's camera.
func busyFilm(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "busy.mjpeg")
	out, err := exec.Command("ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=s=1280x720:r=30:d=6",
		"-vf", "noise=alls=25:allf=t", "-c:v", "mjpeg", "-q:v", "5", "-pix_fmt", "yuvj420p", file).CombinedOutput()
	if err != nil {
		t.Fatalf("make a film: %v\n%s", err, out)
	}
	return file
}

// sh runs commands as root, for network namespaces.
func sh(t *testing.T, script string) {
	t.Helper()
	if out, err := exec.Command("sh", "-ec", script).CombinedOutput(); err != nil {
		t.Fatalf("this test needs root and iproute2: %v\n%s\n%s", err, script, out)
	}
}

// slowLink is where the browser behind the slow link runs: this same test, in a namespace.
const slowLink = "RENDEZVOUS_E2E_SLOW_URL"

// A browser behind 300 kbit/s in a meeting of megabits: its picture keeps moving in a
// smaller size, its sound stays whole, and the others keep their quality.
func TestSlowReceiverKeepsMoving(t *testing.T) {
	if url := os.Getenv(slowLink); url != "" {
		watchSlowly(t, url)
		return
	}
	ns := fmt.Sprintf("rvslow%d", os.Getpid())
	sh(t, fmt.Sprintf(`ip netns add %[1]s
		ip link add %[2]s type veth peer name %[2]sb
		ip link set %[2]sb netns %[1]s
		ip addr add 10.88.14.1/24 dev %[2]s; ip link set %[2]s up
		ip netns exec %[1]s ip addr add 10.88.14.2/24 dev %[2]sb
		ip netns exec %[1]s ip link set %[2]sb up; ip netns exec %[1]s ip link set lo up
		ip netns exec %[1]s ip route add default via 10.88.14.1`, ns, ns[len(ns)-8:]))
	dev := ns[len(ns)-8:]
	t.Cleanup(func() {
		exec.Command("ip", "link", "del", dev).Run()
		exec.Command("ip", "netns", "del", ns).Run()
	})

	h := startHost(t, "RENDEZVOUS_WEB_PLAIN_HTTP=true", "RENDEZVOUS_LOG_LEVEL=debug")
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	film := busyFilm(t)
	var senders []*browser.Browser
	for i, name := range []string{"Ann", "Ben"} {
		b, err := browser.Start(ctx, browser.Options{Color: red, Tone: []float64{toneA, toneB}[i], Flags: []string{"use-file-for-fake-video-capture=" + film}})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		if err := b.Join(h.url(), name, ""); err != nil {
			t.Fatal(err)
		}
		senders = append(senders, b)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	url := fmt.Sprintf("http://10.88.14.1:%d/r/main", h.webPort)
	child := exec.CommandContext(ctx, "ip", "netns", "exec", ns, self, "-test.run=^TestSlowReceiverKeepsMoving$", "-test.v", "-test.count=1")
	child.Env = append(os.Environ(), slowLink+"="+url)
	// The page itself comes fast; the meeting through the narrow link.
	narrowed := make(chan error, 1)
	child.Stdout = &watcher{t: t, at: "JOINED", then: func() {
		narrowed <- exec.Command("tc", "qdisc", "add", "dev", dev, "root", "tbf", "rate", "300kbit", "burst", "6kb", "latency", "250ms").Run()
	}}
	child.Stderr = child.Stdout
	if err := child.Run(); err != nil {
		t.Errorf("behind the slow link: %v", err)
	}
	select {
	case err := <-narrowed:
		if err != nil {
			t.Fatalf("tc cannot narrow the link: %v", err)
		}
	default:
		t.Fatal("the browser behind the slow link never joined")
	}
	for i, b := range senders {
		var width int
		if err := b.Eval(`document.querySelector('`+browser.Stage+`').videoWidth`, &width); err != nil {
			t.Error(err)
		}
		t.Logf("sender %d sees %d pixels in width", i, width)
		if width < 640 {
			t.Errorf("sender %d, on a good link, sees a picture of only %d pixels in width", i, width)
		}
	}
}

// watcher logs a child's output, and acts when a word comes up.
type watcher struct {
	t    *testing.T
	at   string
	then func()
	done bool
}

func (w *watcher) Write(p []byte) (int, error) {
	w.t.Logf("slow: %s", strings.TrimRight(string(p), "\n"))
	if !w.done && strings.Contains(string(p), w.at) {
		w.done = true
		w.then()
	}
	return len(p), nil
}

// watchSlowly is the part of the test that runs behind the slow link.
func watchSlowly(t *testing.T, url string) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	origin := url[:strings.Index(url, "/r/")]
	b, err := browser.Start(ctx, browser.Options{Color: blue, Tone: 0,
		Flags: []string{"unsafely-treat-insecure-origin-as-secure=" + origin}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Join(url, "Slow", ""); err != nil {
		t.Fatal(err)
	}
	fmt.Println("JOINED")
	time.Sleep(8 * time.Second) // the estimate of the path settles meanwhile
	type state struct{ Frames, Width, Frozen float64 }
	look := func() (s state) {
		err := b.Eval(`(() => { const v = document.querySelector('`+browser.Stage+`');
			return {Frames: v.getVideoPlaybackQuality().totalVideoFrames, Width: v.videoWidth}; })()`, &s)
		if err != nil {
			t.Error(err)
		}
		return s
	}
	stalled, total := 0, 0
	before := look()
	first := before
	for range 12 {
		time.Sleep(time.Second) // the measurement itself
		now := look()
		total++
		if now.Frames == before.Frames {
			stalled++
		}
		before = now
	}
	fps := (before.Frames - first.Frames) / 12
	fmt.Printf("behind 300 kbit/s: %.0f pixels in width, %.1f pictures a second, %d of %d seconds without one\n",
		before.Width, fps, stalled, total)
	// On a machine that does much else; how many there are on a quiet one is a figure for a benchmark.
	if fps < 3 || stalled > 2 {
		t.Errorf("the picture does not keep moving: %.1f a second, %d of %d seconds without one", fps, stalled, total)
	}
	if before.Width >= 1280 {
		t.Errorf("a path of 300 kbit/s is sent the full picture")
	}
	checkHears(t, "Slow", b, 3000, toneA, toneB)
}

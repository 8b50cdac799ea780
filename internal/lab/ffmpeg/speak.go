package ffmpeg

import (
	"bytes"
	"fmt"
	"os/exec"
	"syscall"
	"testing"
)

// Payload types of what is sent, and of what is written down but for VP8.
const (
	opus = 111
	h264 = 96
)

// Speak sends a colour, by a name that ffmpeg knows, in H.264 of 640x360 at 30 Hz, and a tone in Opus, each
// to a port on loopback, until the test ends or stop is called.
func Speak(t testing.TB, colour string, hertz, soundPort, videoPort int) (stop func()) {
	t.Helper()
	cmd := exec.Command("ffmpeg", "-hide_banner", "-loglevel", "error", "-re",
		"-f", "lavfi", "-i", "color=c="+colour+":s=640x360:r=30", "-re",
		"-f", "lavfi", "-i", fmt.Sprintf("sine=frequency=%d:sample_rate=48000", hertz),
		"-map", "0:v", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-profile:v", "baseline",
		"-g", "30", "-pix_fmt", "yuv420p", "-payload_type", fmt.Sprint(h264), "-f", "rtp", fmt.Sprintf("rtp://127.0.0.1:%d?pkt_size=1200", videoPort),
		"-map", "1:a", "-c:a", "libopus", "-b:a", "48k", "-payload_type", fmt.Sprint(opus), "-f", "rtp", fmt.Sprintf("rtp://127.0.0.1:%d?pkt_size=1200", soundPort))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatalf("ffmpeg (Debian package ffmpeg): %v", err)
	}
	stop = func() { // twice is the same as once
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	}
	t.Cleanup(func() {
		stop()
		if t.Failed() && out.Len() > 0 {
			t.Logf("ffmpeg (%s): %.2000s", colour, out.String())
		}
	})
	return stop
}

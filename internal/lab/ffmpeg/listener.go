package ffmpeg

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Listener writes what it is sent to a file.
type Listener struct {
	File string // Matroska; whole once Wait has returned

	ports [2]int
	cmd   *exec.Cmd
	said  bytes.Buffer
}

// Listen takes Opus at one port on loopback and H264 or VP8 at another, both even, RTCP at the next ports, and
// ends by itself after so many seconds of media.
func Listen(t testing.TB, soundPort, videoPort int, video string, seconds int) *Listener {
	t.Helper()
	dir := t.TempDir()
	pt := h264
	if video == "VP8" {
		pt = 97
	}
	sdp := filepath.Join(dir, "in.sdp")
	text := fmt.Sprintf("v=0\no=- 0 0 IN IP4 127.0.0.1\ns=t\nc=IN IP4 127.0.0.1\nt=0 0\n"+
		"m=audio %d RTP/AVP %d\na=rtpmap:%d opus/48000/2\nm=video %d RTP/AVP %d\na=rtpmap:%d %s/90000\n",
		soundPort, opus, opus, videoPort, pt, pt, video)
	if err := os.WriteFile(sdp, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l := &Listener{File: filepath.Join(dir, "out.mkv"), ports: [2]int{soundPort, videoPort}}
	l.cmd = exec.Command("ffmpeg", "-hide_banner", "-loglevel", "error", "-y", "-protocol_whitelist", "file,udp,rtp",
		"-analyzeduration", "3M", "-probesize", "2M", "-i", sdp, "-t", fmt.Sprint(seconds), "-c", "copy", l.File)
	l.cmd.Stderr = &l.said
	l.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := l.cmd.Start(); err != nil {
		t.Fatalf("ffmpeg (Debian package ffmpeg): %v", err)
	}
	t.Cleanup(func() { // of a test that has not waited
		_ = l.cmd.Process.Kill()
		_ = l.cmd.Wait()
	})
	return l
}

// Listens waits until it does: who sends before is not heard, and pictures begin with a key frame.
func (l *Listener) Listens(ctx context.Context) error {
	for _, port := range l.ports {
		address := fmt.Sprintf(":%04X ", port)
		for {
			sockets, err := os.ReadFile("/proc/net/udp")
			if err != nil {
				return err
			}
			if bytes.Contains(sockets, []byte(address)) {
				break
			}
			select {
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
				return fmt.Errorf("ffmpeg does not listen at port %d: %w", port, ctx.Err())
			}
		}
	}
	return nil
}

// Wait waits for the end. The error tells what ffmpeg said.
func (l *Listener) Wait() error {
	if err := l.cmd.Wait(); err != nil {
		return fmt.Errorf("ffmpeg could not record what was sent: %w\n%s", err, l.said.String())
	}
	return nil
}

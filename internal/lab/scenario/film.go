package scenario

import (
	"context"
	"fmt"
	"os/exec"
)

// film makes a lively picture for a camera: one that scrolls, with some noise, and so takes all the bits that it is given. With
// much stronger noise (20), Chromium's H.264 encoder sends key frames by itself.
func film(ctx context.Context, path string, noise int) error {
	out, err := exec.CommandContext(ctx, "ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=s=640x360:r=30:d=3",
		"-vf", fmt.Sprintf("scroll=h=0.0125,noise=alls=%d:allf=t", noise), "-pix_fmt", "yuv420p", "-f", "yuv4mpegpipe", path).CombinedOutput()
	if err != nil {
		return fmt.Errorf("make a film for the camera: %w: %s", err, out)
	}
	return nil
}

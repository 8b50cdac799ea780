package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// The senders' pictures: things that move in different ways.
var subjects = []string{
	"testsrc2=s=640x360:r=30",
	"mandelbrot=s=640x360:r=30",
	"testsrc2=s=640x360:r=30,hue=h=120,hflip,noise=alls=6:allf=t",
	"smptehdbars=s=640x360:r=30,rotate=t/2",
}

const clipFPS = 30

// clip makes ten seconds of H.264 as a browser would send it, cut into access units.
func clip(subject string) ([][]byte, error) {
	cmd := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", subject, "-t", "10",
		"-c:v", "libx264", "-preset", "superfast", "-tune", "zerolatency", "-profile:v", "baseline", "-pix_fmt", "yuv420p",
		"-b:v", "700k", "-maxrate", "700k", "-bufsize", "350k", "-g", "60", "-x264-params", "aud=1:scenecut=0", "-f", "h264", "-")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("ffmpeg: %w", err)
	}
	units := accessUnits(out)
	if len(units) != 10*clipFPS {
		return nil, fmt.Errorf("%s: %d pictures in ten seconds", subject, len(units))
	}
	return units, nil
}

// accessUnits cuts an Annex B stream at its delimiters.
func accessUnits(stream []byte) (units [][]byte) {
	delimiter := []byte{0, 0, 0, 1, 9}
	for _, u := range bytes.Split(stream, delimiter)[1:] {
		// Behind the delimiter's one byte; the delimiter itself says nothing.
		units = append(units, u[1:])
	}
	return units
}

// clips are the senders' pictures, which sender after sender gets by turns: those of the files that the pattern matches, or
// else the subjects above.
func clips(pattern string) ([][][]byte, error) {
	var all [][][]byte
	files, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	if pattern != "" && len(files) == 0 {
		return nil, fmt.Errorf("there is no %s", pattern)
	}
	for _, f := range files {
		stream, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		units := accessUnits(stream)
		if len(units) == 0 {
			return nil, fmt.Errorf("%s has no delimiters between its pictures", f)
		}
		all = append(all, units)
	}
	if pattern != "" {
		return all, nil
	}
	for _, s := range subjects {
		c, err := clip(s)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// every calls f at a steady rate until stop is closed; what is late is made up for.
func every(d time.Duration, stop <-chan struct{}, f func(n int)) {
	begin := time.Now()
	for n := 0; ; n++ {
		wait := time.NewTimer(time.Until(begin.Add(time.Duration(n) * d)))
		select {
		case <-stop:
			wait.Stop()
			return
		case <-wait.C:
			f(n)
		}
	}
}

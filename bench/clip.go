package main

import (
	"bytes"
	"fmt"
	"os/exec"
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
	var units [][]byte
	delimiter := []byte{0, 0, 0, 1, 9}
	for _, u := range bytes.Split(out, delimiter)[1:] {
		// Behind the delimiter's one byte; the delimiter itself says nothing.
		units = append(units, u[1:])
	}
	if len(units) != 10*clipFPS {
		return nil, fmt.Errorf("%s: %d pictures in ten seconds", subject, len(units))
	}
	return units, nil
}

func clips() ([][][]byte, error) {
	var all [][][]byte
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

package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"rendezvous/internal/lab/jamilab"
	"rendezvous/internal/sound"
)

// daemon is a newcomer with a Jami daemon: the account is the same each time, the call is not.
type daemon struct {
	*jamilab.Peer
	lab      *jamilab.Lab
	room     string
	resident *resident // knows where everybody is

	camera     string // source of the camera's picture
	microphone string // WAV
	speaker    string // where what it plays is written

	calls    int   // of the process that runs
	fresh    bool  // the next join has a fresh one
	mark     int64 // of its log: where this join begins
	call     string
	speaking []*exec.Cmd // play and record
}

// newDaemon makes the daemon's account, its camera and its voice.
func newDaemon(ctx context.Context, lab *jamilab.Lab, dir string) (*daemon, error) {
	d := &daemon{Peer: lab.Peer(1), lab: lab, microphone: filepath.Join(dir, "daemon.wav"), speaker: filepath.Join(dir, "daemon.pcm")}
	making, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	if err := jamilab.Accounts(making, d.Peer); err != nil {
		return nil, err
	}
	film, c := filepath.Join(dir, "daemon.mp4"), d.face()[0]
	out, err := exec.CommandContext(ctx, "ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i",
		fmt.Sprintf("color=c=0x%02x%02x%02x:s=640x360:r=30:d=60", c.R, c.G, c.B),
		"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "30", film).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("make a film: %w\n%s", err, out)
	}
	d.camera = "file://" + film
	// Longer than a join lasts with all its patience.
	return d, os.WriteFile(d.microphone, sound.WAV(sound.Sine(d.tone(), 0.2, 150*sound.Rate, 0)), 0o600)
}

func (m *meeting) daemon(int) newcomer {
	d := m.callee
	d.room, d.resident, d.call = m.host.jami, m.resident, ""
	return d
}

func (*daemon) kind() string   { return "daemon" }
func (d *daemon) name() string { return d.Name() }
func (*daemon) tone() float64  { return 800 }
func (*daemon) face() face     { return plain(color.RGBA{30, 160, 40, 255}) }

// starting is how long a daemon may take until it can call, on a busy machine.
const starting = 90 * time.Second

// prepare makes sure that a process runs, fresh if it is time for that, and has a camera, a microphone and a loudspeaker.
func (d *daemon) prepare(ctx context.Context) error {
	ready, cancel := context.WithTimeout(ctx, starting)
	defer cancel()
	info, err := os.Stat(d.LogFile())
	if err != nil {
		return err
	}
	d.mark = info.Size()
	if d.fresh || d.calls == freshDaemon {
		if err := errors.Join(d.Stop(), d.Start(), d.WaitRegistered(ready)); err != nil {
			return err
		}
		d.calls, d.fresh = 0, false
	}
	d.calls++
	if err := os.WriteFile(d.speaker, nil, 0o600); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"paplay", "-d", "mic", d.microphone},
		{"parecord", "--device=spk.monitor", "--raw", "--rate=48000", "--channels=1", "--format=s16le", "--latency-msec=20", d.speaker},
	} {
		cmd := d.lab.Sound(ctx, d.Peer, args...)
		if err := cmd.Start(); err != nil {
			return err
		}
		d.speaking = append(d.speaking, cmd)
	}
	return d.OpenVideo(ready, d.camera)
}

func (d *daemon) enter(ctx context.Context) (err error) {
	if d.call, err = d.PlaceCall(ctx, d.room, jamilab.Media(&d.camera)); err != nil {
		return err
	}
	return d.WaitCall(ctx, d.call, "CURRENT")
}

func (d *daemon) listen(ctx context.Context, length time.Duration) (sound.Recording, error) {
	return tail{d.speaker, sound.Rate, 1}.listen(ctx, length)
}

// look takes what the daemon gives its client to show of the call.
func (d *daemon) look(ctx context.Context) (image.Image, error) { return d.Picture(ctx, d.call) }

func (d *daemon) place(name string) (place, error) { return d.resident.place(name) }

func (d *daemon) leave(ctx context.Context) error {
	if d.call == "" {
		return nil
	}
	return d.HangUp(ctx, d.call)
}

func (d *daemon) fault() string { return d.Defect() }

// keep puts aside what the daemon has logged in this join. The next one has a fresh process.
func (d *daemon) keep(dir string) error {
	d.fresh = true
	log, err := os.ReadFile(d.LogFile())
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "daemon.log"), log[min(d.mark, int64(len(log))):], 0o644)
}

func (d *daemon) close() {
	for _, cmd := range d.speaking {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	}
	d.speaking = nil
}

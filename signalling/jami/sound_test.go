package jami_test

import (
	"context"
	"encoding/binary"
	"io"
	"math"
	"testing"
	"time"

	"rendezvous/internal/lab/browser"
	"rendezvous/internal/lab/jamilab"
)

const rate = 48000 // samples a second of what daemons are given and play

// speak plays a tone into a daemon's microphone until the test ends.
func speak(t *testing.T, ctx context.Context, l *jamilab.Lab, p *jamilab.Peer, hz float64) {
	t.Helper()
	cmd := l.Command(ctx, p.Name(), "env", append(p.PulseEnv(), "pacat", "--playback", "--device=mic", "--raw",
		"--format=s16le", "--rate=48000", "--channels=1", "--latency-msec=50")...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		second := make([]byte, 0, 2*rate)
		for i := range rate {
			second = binary.LittleEndian.AppendUint16(second, uint16(int16(12000*math.Sin(2*math.Pi*hz*float64(i)/rate))))
		}
		for {
			if _, err := in.Write(second); err != nil {
				return // it was killed
			}
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-done
		_ = cmd.Wait() // it was killed
	})
}

// ear is what a daemon plays to its user, as it plays it.
type ear struct {
	t   *testing.T
	who string
	out io.Reader
}

// listen opens a daemon's loudspeaker until the test ends.
func listen(t *testing.T, ctx context.Context, l *jamilab.Lab, p *jamilab.Peer) *ear {
	t.Helper()
	cmd := l.Command(ctx, p.Name(), "env", append(p.PulseEnv(), "pacat", "--record", "--device=spk.monitor", "--raw",
		"--format=s16le", "--rate=48000", "--channels=1", "--latency-msec=50")...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	return &ear{t: t, who: p.Name(), out: out}
}

// next is the next fifth of a second.
func (e *ear) next() browser.Sound {
	e.t.Helper()
	b := make([]byte, 2*rate/5)
	if _, err := io.ReadFull(e.out, b); err != nil {
		e.t.Fatalf("listen to %s: %v", e.who, err)
	}
	s := browser.Sound{Rate: rate, PCM: make([]float32, len(b)/2)}
	for i := range s.PCM {
		s.PCM[i] = float32(int16(binary.LittleEndian.Uint16(b[2*i:]))) / 32768
	}
	return s
}

// until waits for sound that is as is wanted.
func (e *ear) until(what string, right func(browser.Sound) bool) {
	e.t.Helper()
	loudest := math.Inf(-1)
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		s := e.next()
		if right(s) {
			return
		}
		loudest = max(loudest, s.Loudness())
	}
	e.t.Fatalf("%s does not hear %s; the loudest was %.0f dB", e.who, what, loudest)
}

// tone reports whether sound holds a tone that somebody speaks, and not another.
func tone(hz, not float64) func(browser.Sound) bool {
	return func(s browser.Sound) bool { return s.Level(hz) > -30 && s.Level(not) < -50 }
}

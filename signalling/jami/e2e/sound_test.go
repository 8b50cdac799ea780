package e2e

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rendezvous/internal/lab/jamilab"
	"rendezvous/internal/sound"
)

const (
	rate   = 48000 // samples a second of what daemons are given and play
	silent = -60   // dB, below which there is nothing to hear
)

// speak plays a tone into a daemon's microphone until the test ends.
func speak(t *testing.T, ctx context.Context, l *jamilab.Lab, p *jamilab.Peer, hz float64) {
	t.Helper()
	cmd := l.Sound(ctx, p, "pacat", "--playback", "--device=mic", "--raw",
		"--format=s16le", "--rate=48000", "--channels=1", "--latency-msec=50")
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
		for _, v := range sound.Sine(hz, 0.37, rate, 0) {
			second = binary.LittleEndian.AppendUint16(second, uint16(v))
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
	t    *testing.T
	who  string
	more chan struct{} // one token: there is more

	mu  sync.Mutex // guards what follows
	pcm []float32
	end error
}

// listen opens a daemon's loudspeaker until the test ends.
func listen(t *testing.T, ctx context.Context, l *jamilab.Lab, p *jamilab.Peer) *ear {
	t.Helper()
	cmd := l.Sound(ctx, p, "pacat", "--record", "--device=spk.monitor", "--raw",
		"--format=s16le", "--rate=48000", "--channels=1", "--latency-msec=50")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	e := &ear{t: t, who: p.Name(), more: make(chan struct{}, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.hear(out)
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-done
		_ = cmd.Wait() // it was killed
	})
	return e
}

func (e *ear) hear(r io.Reader) {
	b := make([]byte, 2*rate/10)
	for {
		_, err := io.ReadFull(r, b)
		e.mu.Lock()
		if e.end = err; err == nil {
			for i := 0; i < len(b); i += 2 {
				e.pcm = append(e.pcm, float32(int16(binary.LittleEndian.Uint16(b[i:])))/32768)
			}
		}
		e.mu.Unlock()
		select {
		case e.more <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// mark is how much has been heard so far, in samples.
func (e *ear) mark() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.pcm)
}

// since is what has been heard from a mark on.
func (e *ear) since(mark int) sound.Recording {
	e.mu.Lock()
	defer e.mu.Unlock()
	return sound.Recording{Rate: rate, PCM: slices.Clone(e.pcm[min(mark, len(e.pcm)):])}
}

// until waits until what has been heard from a mark on is as is wanted.
func (e *ear) until(mark int, what string, right func(sound.Recording) bool) {
	e.t.Helper()
	limit := time.After(20 * time.Second)
	for !right(e.since(mark)) {
		select {
		case <-e.more:
		case <-limit:
			e.mu.Lock()
			defer e.mu.Unlock()
			heard := sound.Recording{Rate: rate, PCM: e.pcm[min(mark, len(e.pcm)):]}
			e.t.Fatalf("%s does not hear %s in %.1f s of sound (%v), whose loudness in each half second is %s dB", e.who, what,
				float64(len(heard.PCM))/rate, e.end, loudnesses(heard, rate/2))
		}
	}
}

// loudnesses are those of each part of a sound, in whole dB.
func loudnesses(s sound.Recording, part int) string {
	var b strings.Builder
	for i := 0; i+part <= len(s.PCM); i += part {
		fmt.Fprintf(&b, " %.0f", sound.Recording{Rate: s.Rate, PCM: s.PCM[i : i+part]}.Loudness())
	}
	return b.String()
}

// tone waits for a tone that somebody speaks, without another.
func (e *ear) tone(hz, not float64) {
	e.t.Helper()
	const moment = rate / 5
	e.until(e.mark(), fmt.Sprintf("%.0f Hz", hz), func(s sound.Recording) bool {
		s.PCM = s.PCM[max(0, len(s.PCM)-moment):]
		return len(s.PCM) == moment && s.Level(hz) > -30 && s.Level(not) < -50
	})
}

// silence waits until nothing has been heard for a second.
func (e *ear) silence() {
	e.t.Helper()
	e.until(e.mark(), "silence", func(s sound.Recording) bool {
		s.PCM = s.PCM[max(0, len(s.PCM)-rate):]
		return len(s.PCM) == rate && s.Loudness() < silent
	})
}

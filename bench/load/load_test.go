package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"rendezvous/internal/eventually"
	"rendezvous/internal/sound"
	"rendezvous/mixer/audio/codec"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ear says a tone of its own and keeps what it has heard last.
type ear struct {
	frames  [][]byte
	next    int
	decoder codec.Decoder
	heard   []int16
}

func newEar(t *testing.T, hertz float64) *ear {
	frames, err := encode(sound.Sine(hertz, 0.3, sampleRate, 0)) // whole periods: it goes on where it begins
	require.NoError(t, err)
	d, err := newDecoder()
	require.NoError(t, err)
	t.Cleanup(d.Close)
	return &ear{frames: frames, decoder: d}
}

func (e *ear) say(time.Time) ([]byte, uint8) {
	e.next++
	return e.frames[e.next%len(e.frames)], toneLoud
}

func (e *ear) hear(_ time.Time, packet []byte) {
	var h rtp.Header
	header, err := h.Unmarshal(packet)
	if err != nil {
		return
	}
	pcm := make([]int16, codec.MaxSamples)
	if n, err := e.decoder.Decode(pcm, packet[header:]); err == nil {
		e.heard = append(e.heard, pcm[:n]...)
		e.heard = e.heard[max(0, len(e.heard)-sampleRate/5):]
	}
}

// Two callers hear each other through the program, and nobody themselves; it is seen what they cost.
func TestCallersHearEachOther(t *testing.T) {
	program := filepath.Join(t.TempDir(), "rendezvous")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "rendezvous/cmd/rendezvous").CombinedOutput()
	require.NoError(t, err, "%s", out)
	h, err := startHost(t.TempDir(), program, 1)
	require.NoError(t, err)
	defer func() {
		h.close()
		if t.Failed() {
			t.Log("the host's last words:\n" + h.process.Output())
		}
	}()
	id, err := newIdentity()
	require.NoError(t, err)
	v, err := newVoices()
	require.NoError(t, err)
	l := newLoop(v)
	defer func() { require.NoError(t, l.close(t.Context())) }()
	hertz := []float64{440, 1000}
	var ears []*ear
	for i, f := range hertz {
		c, err := dial(t.Context(), h, id, call{room: roomName(0), name: fmt.Sprint("Caller ", i), number: i * ofOneAddress, media: "audio", levels: true})
		require.NoError(t, err)
		require.NoError(t, c.stamp())
		e := newEar(t, f)
		ears = append(ears, e)
		c.manner, c.script, c.heard = scripted, e.say, e.hear
		require.NotZero(t, c.stream.level, "levels are agreed on")
		l.add(c)
	}
	eventually.True(t, "they hear each other, and not themselves", func() (ok bool) {
		l.do(func([]*caller) {
			ok = true
			for i, e := range ears {
				ok = ok && sound.Amplitude(e.heard, hertz[1-i], sampleRate) > 0.1 && sound.Amplitude(e.heard, hertz[i], sampleRate) < 0.01
			}
		})
		return ok
	})

	w, err := watch(t.Context(), h, l, 500*time.Millisecond)
	require.NoError(t, err)
	require.Len(t, w.packets, 2)
	require.Greater(t, percentile(w.packets, 0), 20.0, "packets a second")
	require.NotEmpty(t, w.gaps)
	require.Positive(t, w.bytes)
	require.Positive(t, w.after.cpu)
	_, ticks := w.metrics.above("rendezvous_audio_tick_lateness_seconds", 0.005)
	require.Positive(t, ticks)
	m, err := h.metrics(t.Context())
	require.NoError(t, err)
	require.Positive(t, m["go_goroutines"])
	require.Positive(t, m["go_memstats_heap_alloc_bytes"])
	l.do(func(callers []*caller) { quiet(callers) }) // before the decoders go
}

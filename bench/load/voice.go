package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"rendezvous/mixer/audio/codec"
)

// voices are ten seconds each of what callers say, in frames of Opus.
type voices struct{ speech, quiet [][]byte }

const (
	sampleRate = 48000
	frameTime  = 20 * time.Millisecond
	opusRate   = 32000 // bit/s, as the host's own
)

// newVoices makes them: a voice by its harmonics, loud and soft in syllables, with pauses; and the noise of a quiet room.
func newVoices() (v voices, err error) {
	noise := rand.New(rand.NewPCG(1, 2))
	pcm := make([]int16, 10*sampleRate)
	for i := range pcm {
		pcm[i] = int16(20 * noise.NormFloat64()) // -64 dBov
	}
	if v.quiet, err = encode(pcm); err != nil {
		return v, err
	}
	speech(pcm, noise)
	v.speech, err = encode(pcm)
	return v, err
}

// speech fills pcm with something that is loud and soft like a voice: two and a half seconds, a breath of 300 ms.
func speech(pcm []int16, noise *rand.Rand) {
	for i := range pcm {
		t := float64(i) / sampleRate
		if math.Mod(t, 2.8) > 2.5 {
			pcm[i] = int16(20 * noise.NormFloat64())
			continue
		}
		pitch, sum := 140+30*math.Sin(2*math.Pi*0.7*t), 0.0
		for k := 1.0; k < 12; k++ {
			sum += math.Sin(2*math.Pi*pitch*k*t) / k
		}
		pcm[i] = int16(5000*sum*(0.55+0.45*math.Sin(2*math.Pi*4*t)) + 300*noise.NormFloat64())
	}
}

func newEncoder() (codec.Encoder, error) {
	e, err := codec.NewEncoder(codec.Params{Name: "opus", Channels: 1, Bitrate: opusRate})
	if err != nil {
		return nil, fmt.Errorf("open an Opus encoder: %w", err)
	}
	return e, nil
}

func encode(pcm []int16) (frames [][]byte, err error) {
	e, err := newEncoder()
	if err != nil {
		return nil, err
	}
	defer e.Close()
	for len(pcm) >= frameSamples {
		f, err := e.Encode(nil, pcm[:frameSamples])
		if err != nil {
			return nil, fmt.Errorf("encode: %w", err)
		}
		frames, pcm = append(frames, f), pcm[frameSamples:]
	}
	return frames, nil
}

// bareEncoder is the CPU time, in seconds per second of sound, of one Opus encoder of the host's settings that does
// nothing else, as fast as it goes: what encoding a mix for one more talker must cost.
func bareEncoder() (float64, error) {
	const length = 10 * time.Second
	pcm := make([]int16, int(length.Seconds())*sampleRate)
	speech(pcm, rand.New(rand.NewPCG(3, 4)))
	return threadTime(func() error {
		_, err := encode(pcm)
		return err
	}, length)
}

// threadTime is the CPU time of what f does in one thread, in seconds per second of per.
func threadTime(f func() error, per time.Duration) (float64, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	clock := func() (time.Duration, error) {
		var t unix.Timespec
		err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t)
		return time.Duration(t.Nano()), err
	}
	from, err := clock()
	if err != nil {
		return 0, fmt.Errorf("the thread's clock: %w", err)
	}
	if err := f(); err != nil {
		return 0, err
	}
	to, err := clock()
	if err != nil {
		return 0, fmt.Errorf("the thread's clock: %w", err)
	}
	return (to - from).Seconds() / per.Seconds(), nil
}

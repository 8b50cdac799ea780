package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pion/rtp"

	"rendezvous/internal/sound"
	"rendezvous/mixer/audio/codec"
)

// Sound's delay is measured in rooms of two, each meeting at a phase of its own to the host's clocks: a tone begins twice
// a second, for 100 ms.
const (
	quietFrames  = 100 // before the first tone
	toneEvery    = 25  // frames
	toneFrames   = 5
	tones        = 9 // of one meeting
	meetings     = 8 // at once
	toneLoud     = 13
	audible      = 2000 // of toneAmplitude
	toneHertz    = 500
	toneStrength = 10000.0 / 32767
)

// delay measures how much later a caller hears what another one says than if there were nothing but their codec between them.
func (b *bench) delay(ctx context.Context, n int) ([]figure, error) {
	h, err := startHost(b.dir, b.program, meetings)
	if err != nil {
		return nil, err
	}
	defer h.close()
	frames, err := toneSpeech()
	if err != nil {
		return nil, err
	}
	codec, err := codecDelay(frames)
	if err != nil {
		return nil, err
	}
	b.say("of which the codec has %.1f ms of its own", codec.Seconds()*1000)
	var added []float64
	said := 0
	for len(added) < n {
		delays, err := b.meet(ctx, h, frames)
		if err != nil {
			return nil, err
		}
		said += meetings * tones
		if len(delays) == 0 {
			return nil, errors.New("nobody hears anything")
		}
		for _, d := range delays {
			added = append(added, (d-codec).Seconds()*1000)
		}
		b.say("%d of %d", min(len(added), n), n)
	}
	unheard := float64(said-len(added)) / float64(said) * 100
	added = added[:n]
	result := fmt.Sprintf("Load/delay/samples=%d", n)
	return []figure{
		{result, "sound, p50", "ms-p50", []float64{percentile(added, 50)}},
		{result, "sound, p99", "ms-p99", []float64{percentile(added, 99)}},
		{result, "sound, most", "ms-most", []float64{percentile(added, 100)}},
		{result, "tones that were not heard", "%-unheard", []float64{unheard}},
	}, nil
}

// meet has some meetings at once, and returns how long each tone took.
func (b *bench) meet(ctx context.Context, h *host, frames [][]byte) (delays []time.Duration, err error) {
	l := newLoop(b.voices)
	defer func() { err = errors.Join(err, l.close(context.WithoutCancel(ctx))) }()
	pairs := make([]*pair, meetings)
	err = inParallel(meetings, func(i int) error {
		p, err := newPair(frames)
		if err != nil {
			return err
		}
		pairs[i] = p
		for _, who := range []string{"Listener", "Speaker"} {
			c, err := dial(ctx, h, b.id, call{room: roomName(i), name: who, number: i, media: "audio", levels: true})
			if err != nil {
				return fmt.Errorf("%s: %w", who, err)
			}
			if who == "Speaker" {
				c.manner, c.script = scripted, p.say
			} else if err := c.stamp(); err != nil {
				return errors.Join(err, c.close(ctx))
			} else {
				c.heard = p.hear
			}
			l.add(c)
		}
		return nil
	})
	defer func() {
		for _, p := range pairs {
			if p != nil {
				p.decoder.Close()
			}
		}
	}()
	defer func() { l.do(func(callers []*caller) { quiet(callers) }) }() // before the decoders go
	if err == nil {
		err = pause(ctx, time.Duration(len(frames))*frameTime+500*time.Millisecond)
	}
	l.count(func(*caller) {})
	l.do(func([]*caller) {
		for _, p := range pairs {
			if p != nil {
				delays = append(delays, p.delays...)
			}
		}
	})
	return delays, err
}

// quiet has nobody say or hear anything any more.
func quiet(callers []*caller) {
	for _, c := range callers {
		c.manner, c.heard = dtx, nil
	}
}

// pair is somebody who speaks and somebody who hears them. It belongs to the loop.
type pair struct {
	frames  [][]byte
	next    int
	sent    time.Time // when the tone that is awaited began; zero: none is
	delays  []time.Duration
	decoder codec.Decoder
	pcm     []int16
}

func newPair(frames [][]byte) (*pair, error) {
	d, err := newDecoder()
	return &pair{frames: frames, decoder: d, pcm: make([]int16, codec.MaxSamples)}, err
}

func newDecoder() (codec.Decoder, error) {
	d, err := codec.NewDecoder(codec.Params{Name: "opus", Channels: 1})
	if err != nil {
		return nil, fmt.Errorf("open an Opus decoder: %w", err)
	}
	return d, nil
}

// say is the speaker's script.
func (p *pair) say(now time.Time) (payload []byte, loud uint8) {
	if p.next == len(p.frames) {
		return nil, 127
	}
	n := p.next
	p.next++
	switch at := toneFrame(n); {
	case at < 0:
		return p.frames[n], 127
	case at == 0:
		p.sent = now.Round(0) // what the kernel tells has no monotonic clock
	}
	return p.frames[n], toneLoud
}

// hear looks for the tone in what the listener is sent.
func (p *pair) hear(at time.Time, packet []byte) {
	var h rtp.Header
	n, err := h.Unmarshal(packet)
	if err != nil {
		return
	}
	samples, err := p.decoder.Decode(p.pcm, packet[n:])
	if err != nil || p.sent.IsZero() {
		return
	}
	if k := onset(p.pcm[:samples]); k >= 0 {
		p.delays = append(p.delays, at.Sub(p.sent)+samplesTime(k))
		p.sent = time.Time{}
	}
}

// toneFrame is which frame of a tone the nth is, -1 if it is silent.
func toneFrame(n int) int {
	if n < quietFrames || (n-quietFrames)%toneEvery >= toneFrames {
		return -1
	}
	return (n - quietFrames) % toneEvery
}

// onset is the first sample that is heard, -1 if none is.
func onset(pcm []int16) int {
	for i, v := range pcm {
		if v > audible || v < -audible {
			return i
		}
	}
	return -1
}

func samplesTime(n int) time.Duration { return time.Duration(n) * time.Second / sampleRate }

// toneSpeech is what a speaker says in one meeting.
func toneSpeech() ([][]byte, error) {
	pcm := make([]int16, (quietFrames+tones*toneEvery)*frameSamples)
	for n := range len(pcm) / frameSamples {
		if at := toneFrame(n); at >= 0 {
			copy(pcm[n*frameSamples:], sound.Sine(toneHertz, toneStrength, frameSamples, at*frameSamples))
		}
	}
	return encode(pcm)
}

// codecDelay is how long after a tone has begun it is heard with nothing between encoder and decoder, on average.
func codecDelay(frames [][]byte) (time.Duration, error) {
	d, err := newDecoder()
	if err != nil {
		return 0, err
	}
	defer d.Close()
	pcm := make([]int16, codec.MaxSamples)
	var sum time.Duration
	found, awaited := 0, false
	for n, f := range frames {
		samples, err := d.Decode(pcm, f)
		if err != nil {
			return 0, fmt.Errorf("decode: %w", err)
		}
		at := toneFrame(n)
		awaited = awaited || at == 0
		if k := onset(pcm[:samples]); awaited && k >= 0 {
			awaited = false
			sum += time.Duration(at)*frameTime + samplesTime(k)
			found++
		}
	}
	if found == 0 {
		return 0, errors.New("the codec lets no tone through")
	}
	return sum / time.Duration(found), nil
}

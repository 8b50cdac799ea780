package codec

import (
	"fmt"

	"rendezvous/mixer/audio/stretch"
	"rendezvous/mixer/av"
)

type g722Encoder struct {
	enc    *av.G722Encoder
	down   *av.Resampler
	narrow []int16
}

func newG722Encoder() (*g722Encoder, error) {
	down, err := av.NewResampler(48000, av.G722SampleRate)
	if err != nil {
		return nil, fmt.Errorf("opening a G.722 encoder: %w", err)
	}
	enc, err := av.NewG722Encoder()
	if err != nil {
		down.Close()
		return nil, err
	}
	return &g722Encoder{enc: enc, down: down, narrow: make([]int16, 0, 1024)}, nil
}

func (e *g722Encoder) Encode(dst []byte, pcm []int16) ([]byte, error) {
	var err error
	if e.narrow, err = e.down.Resample(e.narrow[:0], pcm); err != nil {
		return dst, fmt.Errorf("encoding G.722: %w", err)
	}
	return e.enc.Encode(dst, e.narrow)
}

// Follow cannot look into FFmpeg's state.
func (e *g722Encoder) Follow(Encoder) bool { return false }

// Reset lets the predictors be; they adapt within milliseconds to whatever comes.
func (e *g722Encoder) Reset() {}

func (e *g722Encoder) Close() {
	e.enc.Close()
	e.down.Close()
}

type g722Decoder struct {
	dec          *av.G722Decoder
	up           *av.Resampler
	narrow, wide []int16
	gap          stretch.Continuer
}

func newG722Decoder() (*g722Decoder, error) {
	up, err := av.NewResampler(av.G722SampleRate, 48000)
	if err != nil {
		return nil, fmt.Errorf("opening a G.722 decoder: %w", err)
	}
	dec, err := av.NewG722Decoder()
	if err != nil {
		up.Close()
		return nil, err
	}
	return &g722Decoder{
		dec: dec, up: up,
		narrow: make([]int16, 0, MaxSamples/3), wide: make([]int16, 0, MaxSamples+256),
	}, nil
}

func (d *g722Decoder) Decode(pcm []int16, payload []byte) (int, error) {
	var err error
	if d.narrow, err = d.dec.Decode(d.narrow[:0], payload); err != nil {
		return 0, err
	}
	if d.wide, err = d.up.Resample(d.wide[:0], d.narrow); err != nil {
		return 0, fmt.Errorf("decoding G.722: %w", err)
	}
	n := copy(pcm, d.wide)
	d.gap.Heard(pcm[:n])
	return n, nil
}

func (d *g722Decoder) Conceal(pcm []int16)           { d.gap.Continue(pcm) }
func (d *g722Decoder) Recover(pcm []int16, _ []byte) { d.gap.Continue(pcm) }
func (d *g722Decoder) Reset()                        { d.gap.Reset() }

func (d *g722Decoder) Close() {
	d.dec.Close()
	d.up.Close()
}

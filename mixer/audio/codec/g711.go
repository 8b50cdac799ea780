package codec

import (
	"fmt"

	"rendezvous/mixer/audio/stretch"
	"rendezvous/mixer/av"
)

type g711Encoder struct {
	compress func(int16) byte
	down     *av.Resampler
	narrow   []int16
}

func newG711Encoder(k kind) (*g711Encoder, error) {
	down, err := av.NewResampler(48000, 8000)
	if err != nil {
		return nil, fmt.Errorf("opening a G.711 encoder: %w", err)
	}
	e := &g711Encoder{compress: MuLaw, down: down, narrow: make([]int16, 0, 512)}
	if k == kindPCMA {
		e.compress = ALaw
	}
	return e, nil
}

func (e *g711Encoder) Encode(dst []byte, pcm []int16) ([]byte, error) {
	var err error
	if e.narrow, err = e.down.Resample(e.narrow[:0], pcm); err != nil {
		return dst, fmt.Errorf("encoding G.711: %w", err)
	}
	for _, v := range e.narrow {
		dst = append(dst, e.compress(v))
	}
	return dst, nil
}

// Follow cannot look into FFmpeg's state.
func (e *g711Encoder) Follow(Encoder) bool { return false }

// Reset lets the resampler's 1 ms of past be; it is heard by nobody.
func (e *g711Encoder) Reset() {}

func (e *g711Encoder) Close() { e.down.Close() }

type g711Decoder struct {
	table  *[256]int16
	up     *av.Resampler
	narrow [MaxSamples / 6]int16
	wide   []int16
	gap    stretch.Continuer
}

func newG711Decoder(k kind) (*g711Decoder, error) {
	up, err := av.NewResampler(8000, 48000)
	if err != nil {
		return nil, fmt.Errorf("opening a G.711 decoder: %w", err)
	}
	d := &g711Decoder{table: &muLawTable, up: up, wide: make([]int16, 0, MaxSamples+256)}
	if k == kindPCMA {
		d.table = &aLawTable
	}
	return d, nil
}

func (d *g711Decoder) Decode(pcm []int16, payload []byte) (int, error) {
	if len(payload) == 0 || len(payload) > len(d.narrow) {
		return 0, fmt.Errorf("decoding G.711: a packet of %d bytes", len(payload))
	}
	for i, c := range payload {
		d.narrow[i] = d.table[c]
	}
	var err error
	if d.wide, err = d.up.Resample(d.wide[:0], d.narrow[:len(payload)]); err != nil {
		return 0, fmt.Errorf("decoding G.711: %w", err)
	}
	n := copy(pcm, d.wide)
	d.gap.Heard(pcm[:n])
	return n, nil
}

func (d *g711Decoder) Conceal(pcm []int16)           { d.gap.Continue(pcm) }
func (d *g711Decoder) Recover(pcm []int16, _ []byte) { d.gap.Continue(pcm) }
func (d *g711Decoder) Reset()                        { d.gap.Reset() }
func (d *g711Decoder) Close()                        { d.up.Close() }

// The decoding tables, after ITU-T G.711 tables 1 and 2.
var muLawTable, aLawTable = func() (mu, a [256]int16) {
	for i := range 256 {
		u := ^byte(i)
		v := (int(u&0x0f)<<3 + 0x84) << (u >> 4 & 7)
		v -= 0x84
		if u&0x80 != 0 {
			v = -v
		}
		mu[i] = int16(v)

		x := byte(i) ^ 0x55
		v = int(x&0x0f)<<4 + 8
		if e := x >> 4 & 7; e > 0 {
			v = (v + 0x100) << (e - 1)
		}
		if x&0x80 == 0 {
			v = -v
		}
		a[i] = int16(v)
	}
	return mu, a
}()

// MuLaw compresses one sample (ITU-T G.711, µ-law).
func MuLaw(v int16) byte {
	const bias, clip = 0x84, 32635
	x, sign := int(v), byte(0)
	if x < 0 {
		x, sign = -x, 0x80
	}
	x = min(x, clip) + bias
	e := 7
	for m := 0x4000; e > 0 && x&m == 0; m >>= 1 {
		e--
	}
	return ^(sign | byte(e)<<4 | byte(x>>(e+3)&0x0f))
}

// ALaw compresses one sample (ITU-T G.711, A-law).
func ALaw(v int16) byte {
	x, sign := int(v), byte(0x80)
	if x < 0 {
		x, sign = -x-1, 0
	}
	x = min(x, 32767)
	e := 7
	for m := 0x4000; e > 0 && x&m == 0; m >>= 1 {
		e--
	}
	c := byte(e) << 4
	if e == 0 {
		c |= byte(x >> 4 & 0x0f)
	} else {
		c |= byte(x >> (e + 3) & 0x0f)
	}
	return (c | sign) ^ 0x55
}

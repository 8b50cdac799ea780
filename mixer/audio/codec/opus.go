package codec

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/hraban/opus"
)

type opusEncoder struct {
	enc     *opus.Encoder
	dtx     bool // wanted
	dtxOn   bool // libopus was told so
	scratch [MaxPayload]byte
	n       int // bytes of scratch that are the last packet
	zeros   int // frames of nothing but zeros since there was sound
}

// settled is after how many frames of zeros libopus makes the same few packets over and over: half a second,
// several times what it takes. From then on the last one is given again without encoding, in which a room
// where nobody talks would spend most of its CPU time. The encoder goes on from where it was: at silence.
const settled = 25

func newOpusEncoder(p Params) (*opusEncoder, error) {
	enc, err := opus.NewEncoder(48000, 1, opus.AppVoIP)
	if err != nil {
		return nil, fmt.Errorf("opening an Opus encoder: %w", err)
	}
	complexity := p.Complexity
	if complexity == 0 {
		complexity = DefaultComplexity
	}
	set := func(what string, err2 error) {
		if err2 != nil && err == nil {
			err = fmt.Errorf("setting an Opus encoder's %s: %w", what, err2)
		}
	}
	set("complexity", enc.SetComplexity(complexity))
	if p.Bitrate > 0 {
		set("bitrate", enc.SetBitrate(p.Bitrate))
	}
	set("in-band FEC", enc.SetInBandFEC(p.Loss > 0))
	set("expected loss", enc.SetPacketLossPerc(p.Loss))
	if err != nil {
		return nil, err
	}
	return &opusEncoder{enc: enc, dtx: p.DTX}, nil
}

func (e *opusEncoder) Encode(dst []byte, pcm []int16) ([]byte, error) {
	quiet := allZero(pcm)
	if e.dtx {
		// libopus would take steady tones for noise and leave them out. Whether there is sound has been decided
		// before us: there is none where all samples are zero.
		if quiet != e.dtxOn {
			if err := e.enc.SetDTX(quiet); err != nil {
				return dst, fmt.Errorf("switching an Opus encoder's DTX: %w", err)
			}
			e.dtxOn = quiet
		}
	}
	if !quiet {
		e.zeros = 0
	} else if e.zeros++; e.zeros > settled && !e.dtx {
		return append(dst, e.scratch[:e.n]...), nil
	}
	n, err := e.enc.Encode(pcm, e.scratch[:])
	if err != nil {
		e.zeros = 0
		return dst, fmt.Errorf("encoding Opus: %w", err)
	}
	e.n = n
	return append(dst, e.scratch[:n]...), nil
}

func allZero(pcm []int16) bool {
	for _, v := range pcm {
		if v != 0 {
			return false
		}
	}
	return true
}

// Follow copies the state: libopus's manual says that it is one block of memory of which a shallow
// copy suffices. The binding keeps it unexported, hence the look inside.
func (e *opusEncoder) Follow(other Encoder) bool {
	o, ok := other.(*opusEncoder)
	if !ok {
		return false
	}
	dst, src := stateOf(e.enc), stateOf(o.enc)
	if len(dst) == 0 || len(dst) != len(src) {
		return false
	}
	copy(dst, src)
	e.dtxOn, e.zeros = o.dtxOn, o.zeros
	e.n = copy(e.scratch[:], o.scratch[:o.n])
	return true
}

// stateOf is the memory in which libopus keeps an encoder's state, nil if the binding has changed.
func stateOf(e *opus.Encoder) []byte {
	mem := reflect.ValueOf(e).Elem().FieldByName("mem")
	if !mem.IsValid() || mem.Type() != reflect.TypeFor[[]byte]() {
		return nil
	}
	return mem.Bytes()
}

// Reset cannot fail on an encoder that was opened.
func (e *opusEncoder) Reset() {
	_ = e.enc.Reset()
	e.zeros = 0
}

func (e *opusEncoder) Close() {}

// opusDecoder decodes to one channel; libopus mixes stereo streams down.
type opusDecoder struct {
	dec *opus.Decoder
}

func newOpusDecoder() (*opusDecoder, error) {
	dec, err := opus.NewDecoder(48000, 1)
	if err != nil {
		return nil, fmt.Errorf("opening an Opus decoder: %w", err)
	}
	return &opusDecoder{dec: dec}, nil
}

func (d *opusDecoder) Decode(pcm []int16, payload []byte) (int, error) {
	n, err := d.dec.Decode(payload, pcm)
	if err != nil {
		return 0, fmt.Errorf("decoding Opus: %w", err)
	}
	return n, nil
}

func (d *opusDecoder) Conceal(pcm []int16) {
	// The binding fills the capacity, not the length.
	if err := d.dec.DecodePLC(slices.Clip(pcm)); err != nil {
		clear(pcm)
	}
}

func (d *opusDecoder) Recover(pcm []int16, next []byte) {
	if err := d.dec.DecodeFEC(next, slices.Clip(pcm)); err != nil {
		d.Conceal(pcm)
	}
}

func (d *opusDecoder) Reset() {
	if fresh, err := opus.NewDecoder(48000, 1); err == nil {
		d.dec = fresh
	}
}

func (d *opusDecoder) Close() {}

// opusSamples is the duration of a packet in samples of 48 kHz by its TOC (RFC 6716 §3.1, §3.2), 0 if malformed.
func opusSamples(p []byte) int {
	if len(p) == 0 {
		return 0
	}
	n := opusFrameSamples(p[0])
	switch p[0] & 3 {
	case 1, 2:
		n *= 2
	case 3:
		if len(p) < 2 {
			return 0
		}
		n *= int(p[1] & 0x3f)
	}
	if n > MaxSamples {
		return 0
	}
	return n
}

// opusFrameSamples is the frame size by the configuration in a TOC byte (RFC 6716 table 2).
func opusFrameSamples(toc byte) int {
	switch config := toc >> 3; {
	case config < 12: // SILK: 10, 20, 40, 60 ms
		return [4]int{480, 960, 1920, 2880}[config&3]
	case config < 16: // hybrid: 10, 20 ms
		return [2]int{480, 960}[config&1]
	default: // CELT: 2.5, 5, 10, 20 ms
		return 120 << (config & 3)
	}
}

// opusHasFEC reads the LBRR flag, which follows the VAD flags at the head of the first SILK frame
// (RFC 6716 §4.2.3, §4.2.4): one bit for each 20 ms, most significant first. Of stereo the mid channel is looked at.
func opusHasFEC(p []byte) bool {
	if len(p) < 2 || p[0]>>3 >= 16 { // CELT has none
		return false
	}
	head := 1
	switch p[0] & 3 {
	case 2:
		head = 2
		if p[1] >= 252 {
			head = 3
		}
	case 3:
		if p[1]&0xc0 != 0 { // padding or several sizes: the frame's place would have to be parsed
			return false
		}
		head = 2
	}
	if len(p) <= head {
		return false
	}
	vad := max(1, opusFrameSamples(p[0])/960)
	return p[head]&(0x80>>vad) != 0
}

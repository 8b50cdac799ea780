package audio_test

import (
	"encoding/binary"
	"sync"
	"testing"

	"rendezvous/internal/sound"
	"rendezvous/mixer/audio"
	"rendezvous/mixer/audio/codec"
)

// member is a scripted participant: they say what source gives and keep what they are sent, decoded.
type member struct {
	t       testing.TB
	source  func(f *audio.Frame) bool // nil is silent
	whisper func(f *audio.Frame) bool // private sound

	mu      sync.Mutex
	format  audio.Format
	dec     codec.Decoder
	heard   []int16
	packets []audio.Packet
}

func newMember(t testing.TB, codecName string, source func(*audio.Frame) bool) *member {
	m := &member{t: t, source: source, format: audio.Format{Codec: codecName, Channels: 1, Bitrate: 48000}}
	if codecName != "" && codecName != "L16" {
		dec, err := codec.NewDecoder(codec.Params{Name: codecName})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(dec.Close)
		m.dec = dec
	}
	return m
}

func (m *member) ReadFrame(f *audio.Frame) bool { return m.source != nil && m.source(f) }

func (m *member) ReadPrivate(f *audio.Frame) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.whisper != nil && m.whisper(f)
}

func (m *member) Format() audio.Format {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.format
}

func (m *member) WritePacket(p audio.Packet, _ audio.Format) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.packets = append(m.packets, p)
	if m.dec == nil {
		for i := 0; i+1 < len(p.Payload); i += 2 {
			m.heard = append(m.heard, int16(binary.BigEndian.Uint16(p.Payload[i:])))
		}
		return
	}
	var pcm [codec.MaxSamples]int16
	n, err := m.dec.Decode(pcm[:], p.Payload)
	if err != nil || n != audio.FrameSamples {
		m.t.Errorf("packet of %d bytes decodes to %d samples, %v", len(p.Payload), n, err)
		return
	}
	m.heard = append(m.heard, pcm[:n]...)
}

// sound returns what was heard and the packets, and forgets them.
func (m *member) sound() ([]int16, []audio.Packet) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, p := m.heard, m.packets
	m.heard, m.packets = nil, nil
	return s, p
}

// tone is an endless sine of a whole frequency, so that each second is as the first, and of the given
// amplitude, 0 to 1.
func tone(hertz, amplitude float64) func(*audio.Frame) bool {
	return clip(sound.Sine(hertz, amplitude, audio.SampleRate, 0))
}

// clip plays x over and over.
func clip(x []int16) func(*audio.Frame) bool {
	at := 0
	return func(f *audio.Frame) bool {
		for n := 0; n < len(f); {
			k := copy(f[n:], x[at:])
			n, at = n+k, (at+k)%len(x)
		}
		return true
	}
}

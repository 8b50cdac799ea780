//go:build !race

// A bus's goroutine and a test that sleeps meanwhile: nothing for the race detector that TestCloseWhileRead does not show it.

package receive_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"

	"rendezvous/internal/sound"
	"rendezvous/mixer/audio"
	"rendezvous/mixer/audio/codec"
	"rendezvous/mixer/audio/receive"
)

// caller is a member of a bus whose sound comes through a receiver and goes to another one, as over a network.
type caller struct {
	format audio.Format
	in     *receive.Receiver
	pt     uint8

	far *receive.Receiver // their earpiece
	seq uint16
}

func (c *caller) ReadFrame(f *audio.Frame) bool { return c.in.ReadFrame(f) }
func (c *caller) ReadPrivate(*audio.Frame) bool { return false }
func (c *caller) Format() audio.Format          { return c.format }

func (c *caller) WritePacket(p audio.Packet, _ audio.Format) {
	c.seq++
	h := rtp.Header{Version: 2, PayloadType: c.pt, SSRC: 1, SequenceNumber: c.seq,
		Timestamp: uint32(int(c.seq) * codec.ClockRate(c.format.Codec) / 50)}
	c.far.Push(&h, p.Payload, int(p.Level), time.Now())
}

// TestRoomOfAllCodecs has one caller for each codec in a room for 20 s. Each hears the three
// others' tones and not their own.
func TestRoomOfAllCodecs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := audio.NewBus(audio.Config{})
		pts := []uint8{0, 8, 9, 96}
		hertz := []float64{400, 700, 1100, 1700}
		var callers []*caller
		var sent [][]packet
		for i, pt := range pts {
			c := &caller{format: audio.Format{Codec: codecs[pt].Name, Bitrate: 48000}, pt: pt,
				in: receive.New(receive.Config{Codecs: codecs}), far: receive.New(receive.Config{Codecs: codecs})}
			defer c.in.Close()
			defer c.far.Close()
			callers = append(callers, c)
			b.Add(c)
			sent = append(sent, sender{t: t, pt: pt, params: codec.Params{Bitrate: 48000}, levels: i%2 == 0}.send(sound.Sine(hertz[i], 0.1, 20*48000, 0)))
		}
		heard := make([][]int16, len(callers))
		var f audio.Frame
		for i := range sent[0] {
			for j, c := range callers {
				p := &sent[j][i]
				c.in.Push(&p.header, p.payload, p.level, time.Now())
				if c.far.ReadFrame(&f) {
					heard[j] = append(heard[j], f[:]...)
				} else {
					heard[j] = append(heard[j], make([]int16, len(f))...)
				}
			}
			time.Sleep(audio.FrameDuration)
		}
		b.Close()
		for i, c := range callers {
			x := heard[i][2*48000 : 19*48000]
			for j, h := range hertz {
				a := sound.Amplitude(x, h, sound.Rate)
				if i == j && a > 0.001 || i != j && (a < 0.085 || a > 0.115) {
					t.Errorf("%s hears %.0f Hz, of %s, with %.4f", c.format.Codec, h, callers[j].format.Codec, a)
				}
			}
			s := c.in.Stats()
			if s.Concealed+s.DecodeErrors+s.Jitter.Lost+s.Jitter.Stalls != 0 || s.Jitter.Delay > 40*time.Millisecond {
				t.Errorf("%s: %+v", c.format.Codec, s)
			}
		}
	})
}

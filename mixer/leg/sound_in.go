package leg

import (
	"time"

	"github.com/pion/rtp"

	"rendezvous/mixer/audio/codec"
	"rendezvous/mixer/audio/receive"
)

// soundIn turns one audio stream's packets into frames of sound.
type soundIn struct {
	stream   *Stream
	receiver *receive.Receiver
	formats  *formats // that the receiver was told of; the RTP reader's
}

func newSoundIn(s *Stream) *soundIn {
	in := &soundIn{stream: s, formats: s.formats.Load()}
	in.receiver = receive.New(receive.Config{Log: s.log, Codecs: in.formats.params()})
	return in
}

// params are the codecs by payload type as the receiver wants them.
func (f *formats) params() map[uint8]codec.Params {
	m := make(map[uint8]codec.Params)
	for pt, c := range f.receive {
		if c != nil && c.Name != "telephone-event" {
			m[uint8(pt)] = codec.Params{Name: c.Name, Channels: max(1, c.Channels)}
		}
	}
	return m
}

func (in *soundIn) push(c *Codec, p *rtp.Packet, now time.Time) {
	if f := in.stream.formats.Load(); f != in.formats {
		in.formats = f
		in.receiver.SetCodecs(f.params())
	}
	level := receive.NoLevel
	if id := in.stream.media.LevelExt; id != 0 {
		// RFC 6464 §3: one byte, the top bit is the sender's own voice activity.
		if ext := p.GetExtension(id); len(ext) > 0 {
			level = int(ext[0] & 0x7f)
		}
	}
	in.receiver.Push(&p.Header, p.Payload, level, now)
}

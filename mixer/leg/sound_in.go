package leg

import (
	"math"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"rendezvous/mixer/audio/codec"
	"rendezvous/mixer/audio/receive"
	"rendezvous/mixer/audio/red"
	"rendezvous/mixer/audio/talk"
)

// soundIn turns one audio stream's packets into frames of sound.
type soundIn struct {
	stream   *Stream
	receiver *receive.Receiver

	// What follows is the RTP reader's.
	formats  *formats // that the receiver was told of
	ssrc     uint32
	sequence uint16  // of the newest packet
	transit  uint32  // of that, in units of its clock
	jitter   float64 // seconds
	lost     uint64  // already counted
	reported time.Time
	missing  missingSound
}

func newSoundIn(s *Stream) *soundIn {
	in := &soundIn{stream: s, formats: s.formats.Load()}
	in.receiver = receive.New(receive.Config{Log: s.log, Codecs: in.formats.params(), Now: s.leg.cfg.Now})
	return in
}

// Holed reports whether some of the sound read last was made up for lost packets (audio.Holed).
func (l *Port) Holed() bool {
	in := l.sound.Load()
	return in != nil && in.receiver.Holed()
}

// UndecodedLevel is how loud the background is that was left undecoded last (audio.Undecoded).
func (l *Port) UndecodedLevel() float64 {
	in := l.sound.Load()
	if in == nil {
		return talk.Silence
	}
	return in.receiver.UndecodedLevel()
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
	in.count(c, p, now)
	if !in.stream.media.NoRepair {
		in.ask(c, p, now)
	}
}

// ask asks the sender for what is missing now that p has come (RFC 4585 §6.2.1).
func (in *soundIn) ask(c *Codec, p *rtp.Packet, now time.Time) {
	repeated := 0
	if c.Name == "red" {
		repeated = red.Redundant(p.Payload)
	}
	if seqs := in.missing.arrived(p.SSRC, p.SequenceNumber, repeated, now); len(seqs) > 0 {
		in.stream.sendRTCP(&rtcp.TransportLayerNack{
			SenderSSRC: in.stream.media.SSRC, MediaSSRC: p.SSRC, Nacks: rtcp.NackPairsFromSequenceNumbers(seqs)})
	}
}

// count follows the interarrival jitter (RFC 3550 §6.4.1) and the loss, and reports both
// each second.
func (in *soundIn) count(c *Codec, p *rtp.Packet, now time.Time) {
	if p.SSRC != in.ssrc || c.ClockRate == 0 {
		in.ssrc, in.sequence, in.transit, in.jitter = p.SSRC, p.SequenceNumber-1, 0, 0
	}
	// What is sent again says nothing of the jitter.
	inOrder := int16(p.SequenceNumber-in.sequence) > 0
	if inOrder {
		in.sequence = p.SequenceNumber
	}
	if inOrder && c.ClockRate > 0 && c.Name != "telephone-event" {
		// The differences of 32 bit timestamps wrap around with them.
		transit := uint32(now.Sub(in.stream.leg.made).Microseconds()*int64(c.ClockRate)/1e6) - p.Timestamp
		if in.transit != 0 {
			d := float64(int32(transit-in.transit)) / float64(c.ClockRate)
			in.jitter += (math.Abs(d) - in.jitter) / 16
		}
		in.transit = transit
	}
	if now.Sub(in.reported) < time.Second {
		return
	}
	in.reported = now
	s := in.stream
	s.leg.metrics.jitter.Observe(in.jitter)
	if lost := in.receiver.Stats().Jitter.Lost; lost > in.lost {
		s.metrics.lost.Add(float64(lost - in.lost))
		s.seen.lost.Add(lost - in.lost)
		in.lost = lost
	}
}

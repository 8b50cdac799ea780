package receive

import (
	"time"

	"rendezvous/mixer/audio"
	"rendezvous/mixer/audio/codec"
	"rendezvous/mixer/audio/jitter"
	"rendezvous/mixer/audio/stretch"
	"rendezvous/mixer/audio/talk"
)

const (
	fadeOut = 240 // samples of fade where sound ends without one, or is joined to other sound: 5 ms
	fadeIn  = 120 // samples of fade where sound begins: 2.5 ms

	// After so many packets passed over for their level one is decoded, to see whether the level is
	// true, and then after twice as many each time; one louder by doubt dB is not.
	firstCheck, lastInterval = 50, 3200
	doubt                    = 15

	// The decoder is given so many packets before the one in which sound begins, to have it in step: Opus tells how loud the
	// bands are by the change, of which a decoder that is out of step takes half each time.
	runUp = 2
)

// player is the reading side of a Receiver; it belongs to the goroutine that reads.
type player struct {
	pcm   [audio.FrameSamples + codec.MaxSamples + stretch.MaxLag + codec.ConcealQuantum]int16
	n     int  // samples at hand
	sound int  // the samples before this one hold sound, those behind are zero
	tries int  // attempts at a correction
	holed bool // sound was made up since a frame was asked for

	pkt     jitter.Packet
	current codec.Decoder // of the packet played last; nil while nothing sounds
	heard   Heard

	talk     *talk.Detector
	open     bool          // it lets the sender through
	look     look          // at packets without a level
	kept     [runUp][]byte // the packets passed over last, the newest last
	keptN    int           // of them
	keptFor  codec.Decoder // their decoder, nil if there are none or it has decoded them
	passed   int           // packets passed over since the last check
	interval int           // packets from check to check
	untrue   bool          // the sender's levels proved wrong
	joinWith [fadeOut]int16
}

// take moves 20 ms to f, which may be nil, and reports whether there is sound in them.
func (p *player) take(f *audio.Frame) bool {
	if p.n == 0 {
		return false
	}
	n := min(p.n, audio.FrameSamples)
	sounds := p.sound > 0
	if f != nil && sounds {
		clear(f[copy(f[:], p.pcm[:n]):])
	}
	p.n = copy(p.pcm[:], p.pcm[n:p.n])
	p.sound = max(0, p.sound-n)
	return sounds
}

func (p *player) addSilence(n int) {
	clear(p.pcm[p.n : p.n+n])
	p.n += n
}

func (p *player) addSound(n int) {
	p.n += n
	p.sound = p.n
}

// fill has a frame at hand, unless nothing comes at all. Without decode the sound is passed over.
func (r *Receiver) fill(now time.Time, decode bool) {
	p := &r.play
	for p.n < audio.FrameSamples {
		action, n := r.buffer.Pull(now, audio.FrameSamples-p.n, &p.pkt)
		switch action {
		case jitter.Idle:
			p.look.passed = talk.Silence
			if p.n > 0 {
				r.end(audio.FrameSamples - p.n)
			}
			return
		case jitter.Silence:
			r.end(n)
		case jitter.Play:
			p.heard = Heard{
				SSRC: p.pkt.SSRC, Timestamp: p.pkt.Timestamp, Clock: p.pkt.Clock,
				At: now.Add(time.Duration(p.n) * time.Second / audio.SampleRate), Delay: p.pkt.Waited,
			}
			in := r.types.Load()[p.pkt.PayloadType]
			switch {
			case in == nil || in.dec == nil: // renegotiated away, or comfort noise
				r.end(n)
			case !decode:
				p.keep(in)
				p.look.since = quietMost // and the first is decoded that is to be
				p.addSilence(n)
			default:
				r.playPacket(in, n)
			}
		case jitter.Lost, jitter.Stall:
			r.concealGap(n, action == jitter.Lost && len(p.pkt.Payload) > 0)
		}
	}
}

// end makes n samples of silence, after a fade where sound ends.
func (r *Receiver) end(n int) {
	p := &r.play
	p.look.passed = talk.Silence
	from := p.n
	p.addSilence(n)
	if p.current == nil {
		return
	}
	p.current.Conceal(p.pcm[from : from+fadeOut])
	ramp := p.pcm[from : from+min(fadeOut, n)]
	for i := range ramp {
		ramp[i] = int16(int32(ramp[i]) * int32(len(ramp)-i) / int32(len(ramp)))
	}
	clear(p.pcm[from+len(ramp) : from+max(n, fadeOut)])
	p.sound = from + len(ramp)
	p.current = nil
}

// keep remembers a packet passed over, to have the decoder in step when sound begins.
func (p *player) keep(in *input) {
	if p.keptFor != in.dec {
		p.keptN, p.keptFor = 0, in.dec
	}
	oldest := p.kept[0]
	copy(p.kept[:], p.kept[1:])
	p.kept[runUp-1] = append(oldest[:0], p.pkt.Payload...)
	p.keptN = min(p.keptN+1, runUp)
	p.current = nil
}

func (r *Receiver) playPacket(in *input, samples int) {
	p := &r.play
	if p.pkt.Restart {
		in.dec.Reset()
		p.keptFor, p.untrue, p.passed, p.interval = nil, false, 0, firstCheck
	}
	whole, levelled := r.whole.Load(), p.pkt.Level >= 0 && !p.untrue
	if whole || levelled {
		p.look.passed = talk.Silence
	}
	switch {
	case whole:
	case levelled:
		if p.open = p.talk.Update(-float64(p.pkt.Level)); !p.open {
			r.passOver(in, samples)
			return
		}
	default:
		if sign := codec.Look(in.name, p.pkt.Payload); sign != codec.Mute {
			r.playUnlevelled(in, samples, sign)
			return
		}
		p.look.passed = talk.Silence
	}
	r.decode(in, samples)
}

// passOver leaves a packet undecoded whose level calls it background.
func (r *Receiver) passOver(in *input, samples int) {
	p := &r.play
	if p.current != nil && p.current == in.dec {
		// The last one is played, as the end of what was heard.
		r.decode(in, samples)
		p.fade(samples)
		p.keep(in)
		return
	}
	r.undecoded.Add(1)
	if p.passed++; p.passed >= p.interval {
		p.passed, p.interval = 0, min(2*p.interval, lastInterval)
		if p.untrue = r.louderThanSaid(in); p.untrue {
			r.cfg.Log.Debug("sender's audio levels are wrong; the sound itself is looked at", "said", p.pkt.Level)
			p.talk = talk.New(talk.Decoding)
		}
	}
	p.keep(in)
	p.addSilence(samples)
}

// fade lets the last n samples die away.
func (p *player) fade(n int) {
	x := p.pcm[p.n-n : p.n]
	for i := range x {
		x[i] = int16(int32(x[i]) * int32(n-i) / int32(n))
	}
}

func (r *Receiver) decode(in *input, samples int) {
	p := &r.play
	begins := p.current != in.dec
	if begins && p.keptFor == in.dec {
		for _, payload := range p.kept[runUp-p.keptN:] {
			_, _ = in.dec.Decode(p.pcm[p.n:], payload) // only its traces in the decoder are wanted
		}
	}
	p.keptFor = nil
	join := p.pkt.Jump && !begins
	if join {
		in.dec.Conceal(p.joinWith[:])
	}
	n, err := in.dec.Decode(p.pcm[p.n:], p.pkt.Payload)
	if err != nil || n != samples {
		r.decodeErrors.Add(1)
		p.current = in.dec
		r.concealGap(samples, false)
		return
	}
	x := p.pcm[p.n : p.n+n]
	switch {
	case join:
		for i := range min(fadeOut, n) {
			x[i] = int16((int32(p.joinWith[i])*int32(fadeOut-i) + int32(x[i])*int32(i)) / fadeOut)
		}
	case begins:
		for i := range min(fadeIn, n) {
			x[i] = int16(int32(x[i]) * int32(i) / fadeIn)
		}
	}
	p.current = in.dec
	p.addSound(n)
}

// louderThanSaid decodes the packet, and the one before it as a run-up, to compare it with its level.
func (r *Receiver) louderThanSaid(in *input) bool {
	p := &r.play
	if p.keptFor != in.dec {
		return false
	}
	scratch := p.pcm[p.n:]
	_, _ = in.dec.Decode(scratch, p.kept[runUp-1])
	n, err := in.dec.Decode(scratch, p.pkt.Payload)
	return err == nil && talk.Level(scratch[:n]) > -float64(p.pkt.Level)+doubt
}

// concealGap makes up n samples, from the FEC in the packet at hand if it has any. What decoders
// can make is counted in quanta; it rounds up, for to leave some out would click.
func (r *Receiver) concealGap(n int, fec bool) {
	p := &r.play
	p.holed = true
	if p.current == nil {
		p.addSilence(n)
		return
	}
	n = (n + codec.ConcealQuantum - 1) / codec.ConcealQuantum * codec.ConcealQuantum
	x := p.pcm[p.n : p.n+n]
	if in := r.types.Load()[p.pkt.PayloadType]; fec && in != nil && in.dec == p.current {
		p.current.Recover(x, p.pkt.Payload)
		r.fecUsed.Add(1)
	} else {
		p.current.Conceal(x)
	}
	r.concealed.Add(uint64(n))
	p.addSound(n)
}

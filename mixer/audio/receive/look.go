package receive

import (
	"rendezvous/mixer/audio"
	"rendezvous/mixer/audio/codec"
	"rendezvous/mixer/audio/gate"
	"rendezvous/mixer/audio/talk"
)

// Of sound without levels that looks like background so much is passed over, in samples of 48 kHz, before a packet is decoded to
// see. Who begins to speak and shows it by nothing loses as much at most: by the sign of an encoder that looks for voices nobody has
// been seen to, and its word is taken for longer each time that it proves true; by one that does not, some do who speak softly.
const (
	calmFor             = 2 * audio.FrameSamples
	quietFor, quietMost = 9 * audio.FrameSamples, 24 * audio.FrameSamples

	rise = 2 // dB by which a packet that is looked into is louder than the one before if something begins
)

// look decides what is decoded of packets without a level (RFC 6464): all while somebody talks; else those that show activity
// (codec.Look), and one now and then.
type look struct {
	ssrc   uint32
	level  float64 // of what was decoded last, in dBov
	passed float64 // of what was passed over last, talk.Silence if that was silence
	since  int     // samples passed over since some were decoded
	quiet  int     // how long a sign of quiet is believed
	spread int     // by which the second look comes earlier

	loudest float64 // dBov, of what the detector of talk has not been told
	untold  int     // samples of that
}

// newLook begins with a stream, whose first packet is decoded. When the next is depends on its SSRC, so that callers who came at once are not
// looked into at once.
func newLook(ssrc uint32) look {
	return look{
		ssrc: ssrc, level: talk.Silence, passed: talk.Silence, loudest: talk.Silence,
		since: quietMost, quiet: quietFor, spread: int(ssrc % (quietFor/audio.FrameSamples + 1) * audio.FrameSamples),
	}
}

// due reports whether to look into a packet of so many samples that is no sign of a voice.
func (l *look) due(sign codec.Sign, samples int) bool {
	most := calmFor
	if sign == codec.Quiet {
		most = l.quiet
	}
	return l.since+samples > most
}

// learn takes what a look has shown.
func (l *look) learn(sign codec.Sign, voice bool) {
	switch {
	case sign != codec.Quiet:
	case voice:
		l.quiet = calmFor
	default:
		l.quiet = min(l.quiet+audio.FrameSamples, quietMost)
	}
}

// judge has the detector of talk take the level of so many samples, in its frames of 20 ms.
func (p *player) judge(level float64, samples int) {
	l := &p.look
	l.loudest = max(l.loudest, level)
	for l.untold += samples; l.untold >= audio.FrameSamples; l.untold -= audio.FrameSamples {
		p.open = p.talk.Update(l.loudest)
		if l.untold < 2*audio.FrameSamples {
			l.loudest = talk.Silence
		}
	}
}

// playUnlevelled plays a packet without a level, or passes it over.
func (r *Receiver) playUnlevelled(in *input, samples int, sign codec.Sign) {
	p := &r.play
	l := &p.look
	if l.ssrc != p.pkt.SSRC {
		*l = newLook(p.pkt.SSRC)
	}
	looks := false
	switch {
	case p.open, sign == codec.Active, p.current == in.dec: // the last is to fade
	case !p.pkt.Discontinuous && l.due(sign, samples):
		looks = p.keptFor == in.dec
	default:
		r.undecoded.Add(1)
		p.judge(l.level, samples)
		l.passed = l.level
		l.since += samples
		p.keep(in)
		p.addSilence(samples)
		return
	}
	from, sounded, sounding := p.n, p.sound, p.current != nil
	if looks {
		p.keptFor = nil // a run-up would double the price
	}
	r.decode(in, samples)
	rises := looks && talk.Level(p.pcm[from:p.n]) > l.level+rise
	if rises {
		// Something begins. The decoder goes by what it decoded last, which was not the packet before: it has made half of it at most.
		p.n, p.sound, p.current, p.keptFor = from, sounded, nil, in.dec
		r.decode(in, samples)
	}
	x := p.pcm[from:p.n]
	l.level, l.since, l.spread = talk.Level(x), l.spread, 0
	level := l.level
	if !sounding {
		level = gate.Onset(x) // as the bus will judge it
	}
	p.judge(level, samples)
	if looks {
		l.learn(sign, p.open)
	}
	if rises && !p.open {
		l.since = quietMost // the next is looked into, too
	}
	switch {
	case p.open && sounding:
		l.passed = talk.Silence
	case p.open: // a frame may begin with what was passed over before
	case sounding:
		p.fade(len(x))
		p.current, l.passed = nil, l.level
	default:
		clear(x)
		p.sound, p.current, l.passed = sounded, nil, l.level
	}
}

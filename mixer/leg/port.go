package leg

import (
	"sync/atomic"
	"time"

	"rendezvous/mixer/audio"
	"rendezvous/mixer/ladder"
	"rendezvous/mixer/leg/congestion"
)

// Port is the mixer's side of a leg, as Leg is the door's: an audio.Member of its bus and a ladder.Viewer of its
// pictures. The mixer that Enter has told of calls it until Leave.
type Port Leg

// Port is the leg as a mixer sees it.
func (l *Leg) Port() *Port { return (*Port)(l) }

// Enter tells the leg that it is in a mix, which rungs that one's ladder has, and what a caller must carry to watch one of them as things are
// (ladder.Ladder.Required; nil: its Min); the view begins anew. Before it, and after Leave, the caller's pictures are not decoded.
func (l *Port) Enter(rungs []ladder.Rung, required func(codec ladder.Codec, rung int) int) {
	l.view.setRungs(rungs, required)
	l.mixes.Add(1)
	l.mixed.Store(true)
}

// Meter says where the time that decoding the caller's pictures takes is added, nanoseconds, until they are in another mix.
func (l *Port) Meter(spent *atomic.Int64) { l.meter.Store(spent) }

// Leave tells the leg that it is in no mix any more: what is queued is not sent, and the caller
// is asked for no pictures.
func (l *Port) Leave() {
	l.mixed.Store(false)
	l.mixes.Add(1) // what is still queued is not sent
	for _, s := range l.Streams(nil) {
		s.SetShown(unknownTile.X, unknownTile.Y)
		if s.picture != nil {
			s.picture.newest.clear()
		}
	}
}

// Generation grows whenever streams come, go or change direction, so that the
// mixer need not look at them each time.
func (l *Port) Generation() uint64 { return l.generation.Load() }

// Streams is Leg.Streams.
func (l *Port) Streams(dst []*Stream) []*Stream { return (*Leg)(l).Streams(dst) }

// ReadFrame gives the bus the caller's next 20 ms of sound (audio.Member).
func (l *Port) ReadFrame(f *audio.Frame) bool {
	in := l.sound.Load()
	return in != nil && in.receiver.ReadFrame(f)
}

// SkipFrame passes over 20 ms of a caller whom nobody hears (audio.Skipper).
func (l *Port) SkipFrame() {
	if in := l.sound.Load(); in != nil {
		in.receiver.SkipFrame()
	}
}

// SetSparing says whether sound stays undecoded that its sender calls background, or that looks like it (audio.Sparer).
func (l *Port) SetSparing(on bool) {
	l.whole.Store(!on)
	if in := l.sound.Load(); in != nil {
		in.receiver.SetSparing(on)
	}
}

// ReadPrivate gives the bus what only this caller hears (audio.Member).
func (l *Port) ReadPrivate(f *audio.Frame) bool { return l.player.read(f) }

// Format is the sound the caller wants to be sent (audio.Member).
func (l *Port) Format() audio.Format {
	s := l.audio.Load()
	if s == nil {
		return audio.Format{}
	}
	f := audio.Format{Codec: s.formats.Load().send.Name, Channels: 1}
	if f.Codec == "opus" {
		now := l.cfg.Now()
		available, measured := (*Leg)(l).carries()
		f.Bitrate = s.rate.choose(available, measured, now)
		var told bool
		if f.Loss, told = (*Leg)(l).pathLoss(); !told {
			f.Loss = s.network.expectedLoss(now)
		}
		l.soundBitrate.Store(int32(f.Bitrate))
	}
	return f
}

// WritePacket takes one encoded frame of the mix. One in a codec that the caller is no longer sent is dropped (audio.Member).
func (l *Port) WritePacket(p audio.Packet, in audio.Format) {
	l.sender.writeSound(p, in.Codec, l.cfg.Now())
}

// SetBest says which rung is the best that the caller is sent, whatever they and their path take: 0, unless the host has too much to do. It is called
// by the goroutine that calls Adapt.
func (l *Port) SetBest(rung int) { l.follower.best = rung }

// Adapt moves the caller between rungs, as their path allows. It is called once a picture, by the goroutine that calls Watching.
func (l *Port) Adapt(now time.Time) {
	s, codec := l.sees()
	if s == nil {
		return
	}
	rungs := l.view.ladder()
	if len(rungs) == 0 {
		return
	}
	best := min(max(allowed(rungs, codec, s.media.MaxSendBitrate), l.follower.best), len(rungs)-1)
	c := s.path()
	state := c.State()
	c.Want(most(rungs[best]) + overhead)
	budget := pictureBudget(int(float64(state.Target)*(1-state.Lossy)), int(l.soundBitrate.Load()*(1+l.soundCopies.Load())))
	for _, limit := range []int{s.media.MaxSendBitrate, codec.most()} {
		if limit > 0 {
			budget = min(budget, limit)
		}
	}
	f := &l.follower
	first, before := !f.begun, f.rung
	rung, still := f.decide(rungs, l.view.takes(ladder.Codec(codec.Name)), budget, best, now)
	if s.feedback() == nil && !state.Known { // nobody has said anything: what the rung is made for
		budget = min(budget, rungs[rung].Bitrate)
	}
	// What is left out of an encode that others watch costs all of them a key frame: for a moment pictures wait in the queue instead.
	hold := state.Hold.Sub(now) > shortHold
	l.view.follow(aim{rung: rung, spared: l.follower.best > 0 && rung == best, budget: max(1, budget), hold: hold, still: still, drop: true})
	if !first && rung > before {
		l.sender.cut.Add(1) // what is queued of the better rung would only stand in the way
	}
	if !first {
		l.changed(rung, before, state.Target, int(100*state.Loss+0.5))
	}
}

// pictureBudget is what remains for an encoder of what the path carries, in bit/s: sound, what of it is repeated, and its headers come first, then
// reports, and each packet of pictures has a header, of which the smallest pictures have the most.
func pictureBudget(target, sound int) int {
	const perPacket = 8 * (headerBytes + congestion.Overhead)
	rest := target - sound - 50*perPacket - 3_000 - 15*perPacket
	return max(0, rest*ladder.MaxPayload/(ladder.MaxPayload+headerBytes+congestion.Overhead))
}

func (l *Port) changed(rung, before, available, loss int) {
	if rung == before {
		return
	}
	direction := "down"
	if rung < before {
		direction = "up"
	}
	l.metrics.rungChanges.WithLabelValues(direction).Inc()
	l.log.Info("quality changes", "rung", rung, "from", before, "available_bps", available, "loss_percent", loss)
}

// sees is the stream that the room's picture goes to, and in which codec; nil if the caller is sent none that the ladder encodes.
func (l *Port) sees() (*Stream, Codec) {
	s := l.video.Load()
	if s == nil {
		return nil, Codec{}
	}
	codec := s.formats.Load().send
	if name := ladder.Codec(codec.Name); name != ladder.H264 && name != ladder.VP8 {
		return nil, Codec{}
	}
	return s, codec
}

// Watching says which encodes this caller needs (ladder.Viewer).
func (l *Port) Watching(dst []ladder.Want) []ladder.Want {
	s, codec := l.sees()
	if s == nil {
		return dst
	}
	return l.view.wants(ladder.Codec(codec.Name), l.cfg.Now(), dst)
}

// WriteUnit takes one encoded picture (ladder.Viewer).
func (l *Port) WriteUnit(u *ladder.Unit) {
	s, now := l.video.Load(), l.cfg.Now()
	if s == nil || string(u.Codec) != s.formats.Load().send.Name || !l.view.accept(u, now) {
		return
	}
	l.sender.writePicture(u, now)
	if size, changed := l.view.resized(u); changed && l.cfg.OnSize != nil {
		l.cfg.OnSize(size.X, size.Y)
	}
}

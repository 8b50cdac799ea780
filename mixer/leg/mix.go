package leg

import (
	"time"

	"rendezvous/mixer/audio"
	"rendezvous/mixer/ladder"
)

// The methods of this file are the mixer's side of a leg.

// Enter tells the leg that it is in a mix, and which rungs that one's ladder has; the view
// begins anew. Before it, and after Leave, the caller's pictures are not decoded.
func (l *Leg) Enter(rungs []ladder.Rung) {
	l.view.setRungs(rungs)
	l.mixes.Add(1)
	l.mixed.Store(true)
}

// Leave tells the leg that it is in no mix any more: what is queued is not sent, and the caller
// is asked for no pictures.
func (l *Leg) Leave() {
	l.mixed.Store(false)
	l.mixes.Add(1) // what is still queued is not sent
	for _, s := range l.Streams(nil) {
		s.SetShown(unknownTile.X, unknownTile.Y)
		if s.picture != nil {
			s.picture.newest.clear()
		}
	}
}

// ReadFrame gives the bus the caller's next 20 ms of sound (audio.Member).
func (l *Leg) ReadFrame(f *audio.Frame) bool {
	in := l.sound.Load()
	return in != nil && in.receiver.ReadFrame(f)
}

// SkipFrame passes over 20 ms of a caller whom nobody hears (audio.Skipper).
func (l *Leg) SkipFrame() {
	if in := l.sound.Load(); in != nil {
		in.receiver.SkipFrame()
	}
}

// SetSparing says whether sound stays undecoded that its sender calls background (audio.Sparer).
func (l *Leg) SetSparing(on bool) {
	l.whole.Store(!on)
	if in := l.sound.Load(); in != nil {
		in.receiver.SetSparing(on)
	}
}

// ReadPrivate gives the bus what only this caller hears (audio.Member).
func (l *Leg) ReadPrivate(f *audio.Frame) bool { return l.player.read(f) }

// Format is the sound the caller wants to be sent (audio.Member).
func (l *Leg) Format() audio.Format {
	to := present(l.audio.Load())
	l.sender.asked = to
	if to.stream == nil {
		return audio.Format{}
	}
	f := audio.Format{Codec: to.formats.send.Name, Channels: 1}
	if f.Codec == "opus" {
		f.Bitrate = opusBitrate
		f.Loss = to.stream.network.expectedLoss(l.cfg.Now())
	}
	return f
}

const opusBitrate = 32_000 // bit/s, mono; what a wideband conference needs

// WritePacket takes one encoded frame of the mix, in the Format last asked for (audio.Member).
func (l *Leg) WritePacket(p audio.Packet) { l.sender.writeSound(p, l.cfg.Now()) }

// Watching says which encodes this caller needs (ladder.Viewer).
func (l *Leg) Watching(dst []ladder.Want) []ladder.Want {
	s := l.video.Load()
	if s == nil {
		return dst
	}
	codec := s.formats.Load().send
	if name := ladder.Codec(codec.Name); name != ladder.H264 && name != ladder.VP8 {
		return dst
	}
	l.adapt(s, codec, l.cfg.Now())
	return l.view.wants(ladder.Codec(codec.Name), dst)
}

// adapt moves the caller between rungs; called from the picture goroutine.
func (l *Leg) adapt(s *Stream, codec Codec, now time.Time) {
	a := &l.adapter
	if now.Sub(a.at) < adaptInterval {
		return
	}
	a.at = now
	rungs := l.view.ladder()
	var p path
	p.available, p.measured = s.network.available(now)
	p.loss, p.lossAt = s.network.lossPercent(now)
	p.best = allowed(rungs, codec, s.media.MaxSendBitrate)
	first, before := !a.begun, a.rung
	rung := a.decide(rungs, p, now)
	if len(rungs) > 0 {
		s.network.send(need(rungs[rung]))
	}
	l.view.setTarget(rung)
	if first || rung == before {
		return
	}
	direction := "down"
	if rung < before {
		direction = "up"
	}
	l.metrics.rungChanges.WithLabelValues(direction).Inc()
	l.log.Info("quality changes", "rung", rung, "from", before, "available_bps", p.available, "loss_percent", p.loss)
}

// WriteUnit takes one encoded picture (ladder.Viewer).
func (l *Leg) WriteUnit(u *ladder.Unit) {
	s := l.video.Load()
	if s == nil || string(u.Codec) != s.formats.Load().send.Name || !l.view.accept(u) {
		return
	}
	l.sender.writePicture(u, l.cfg.Now())
}

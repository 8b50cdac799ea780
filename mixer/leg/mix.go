package leg

import (
	"time"

	"rendezvous/mixer/audio"
	"rendezvous/mixer/ladder"
)

// The methods of this file are the mixer's side of a leg.

// SetRungs tells which rungs the room's ladder has; the view begins anew.
func (l *Leg) SetRungs(rungs []ladder.Rung) {
	l.view.setRungs(rungs)
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

// ReadPrivate gives the bus what only this caller hears (audio.Member).
func (l *Leg) ReadPrivate(f *audio.Frame) bool { return l.player.read(f) }

// Format is the sound the caller wants to be sent (audio.Member).
func (l *Leg) Format() audio.Format {
	s := l.audio.Load()
	if s == nil {
		return audio.Format{}
	}
	c := s.formats.Load().send
	f := audio.Format{Codec: c.Name, Channels: 1}
	if c.Name == "opus" {
		f.Bitrate = opusBitrate
		f.Loss = quantiseLoss(s.network.lossPercent())
	}
	return f
}

const opusBitrate = 32_000 // bit/s, mono; what a wideband conference needs

// quantiseLoss keeps the number of different formats, and so of encodes, small.
func quantiseLoss(percent int) int {
	switch {
	case percent < 2:
		return 0
	case percent < 8:
		return 5
	case percent < 15:
		return 10
	}
	return 20
}

// WritePacket takes one encoded frame of the mix (audio.Member).
func (l *Leg) WritePacket(p audio.Packet) {
	if l.audio.Load() != nil {
		l.sender.writeSound(p, time.Now())
	}
}

// Watching says which encodes this caller needs (ladder.Viewer).
func (l *Leg) Watching(dst []ladder.Want) []ladder.Want {
	s := l.video.Load()
	if s == nil {
		return dst
	}
	codec := ladder.Codec(s.formats.Load().send.Name)
	if codec != ladder.H264 && codec != ladder.VP8 {
		return dst
	}
	l.adapt(s, time.Now())
	return l.view.wants(codec, dst)
}

// adapt moves the caller between rungs; called from the picture goroutine.
func (l *Leg) adapt(s *Stream, now time.Time) {
	a := &l.adapter
	if now.Sub(a.at) < adaptInterval {
		return
	}
	a.at = now
	available, _ := s.network.available(now)
	before := a.rung
	first := a.probeDelay == 0
	rung := a.decide(l.view.ladder(), available, s.network.lossPercent(), now)
	l.view.setTarget(rung)
	if first || rung == before {
		return
	}
	direction := "down"
	if rung < before {
		direction = "up"
	}
	l.metrics.rungChanges.WithLabelValues(direction).Inc()
	l.log.Info("quality changes", "rung", rung, "from", before, "available_bps", available,
		"loss_percent", s.network.lossPercent())
}

// WriteUnit takes one encoded picture (ladder.Viewer).
func (l *Leg) WriteUnit(u *ladder.Unit) {
	s := l.video.Load()
	if s == nil || string(u.Codec) != s.formats.Load().send.Name || !l.view.accept(u) {
		return
	}
	l.sender.writePicture(u, time.Now())
}

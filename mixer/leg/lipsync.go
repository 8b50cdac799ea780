package leg

import (
	"sync"
	"time"

	"github.com/pion/rtcp"
)

const (
	syncInterval = 500 * time.Millisecond // between two corrections
	syncSamples  = 5                      // least pictures that one is made from
	inSync       = 25 * time.Millisecond  // nobody sees less (ITU-R BT.1359-1: 45 ms early, 125 ms late)
	canvasWait   = 17 * time.Millisecond  // of a picture that is due for the canvas, which looks each 33 ms, until it is known
	maxSyncDelay = 400 * time.Millisecond
	maxApart     = 2 * time.Second // reports that say more do not tell of one clock
	soundIsOld   = time.Second
	noPictures   = 5 * time.Second // after which the sound waits for none
)

// senderClock is where a sender's reports put their RTP timestamps on the clock that all their streams share (RFC 3550
// section 6.4.1).
type senderClock struct {
	mu    sync.Mutex // guards all below
	known bool
	ssrc  uint32
	rtp   uint32
	ntp   time.Duration // since 1900, by their clock
}

func (c *senderClock) report(r *rtcp.SenderReport) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known, c.ssrc, c.rtp = true, r.SSRC, r.RTPTime
	c.ntp = time.Duration(r.NTPTime>>32)*time.Second + time.Duration((r.NTPTime&0xffffffff)*uint64(time.Second)>>32)
}

// captured is when what has that timestamp was captured, by the sender's clock.
func (c *senderClock) captured(ssrc, timestamp uint32, rate int) (ntp time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.known || c.ssrc != ssrc || rate <= 0 {
		return 0, false
	}
	return c.ntp + time.Duration(int32(timestamp-c.rtp))*time.Second/time.Duration(rate), true
}

// lipSync brings one caller's sound and picture together: it measures how far apart what is heard and what is shown
// were captured, and has the earlier one wait. Not safe for concurrent use.
type lipSync struct {
	soundHeld   time.Duration // least delay that the sound is asked for
	pictureHeld time.Duration // that the picture is to have; it moves there slowly

	// What has been seen since the last correction: sums of how much later the picture was, and of how long both waited.
	later, sound, picture time.Duration
	n                     int
	since                 time.Time
}

// compare notes how much later than the sound a picture is shown, and how long each has been made to wait. Now and then it
// changes how long both are to wait from now on, and says so; what holds the other one back is taken away first.
func (l *lipSync) compare(later, sound, picture time.Duration, now time.Time) (changed bool) {
	if later > maxApart || later < -maxApart {
		l.begin()
		return false
	}
	if l.n == 0 {
		l.since = now
	}
	l.later, l.sound, l.picture, l.n = l.later+later, l.sound+sound, l.picture+picture, l.n+1
	if l.n < syncSamples || now.Sub(l.since) < syncInterval {
		return false
	}
	n := time.Duration(l.n)
	later, sound, picture = l.later/n, l.sound/n, l.picture/n
	l.begin()
	switch {
	case later > inSync:
		if more := later - picture; more > 0 {
			l.soundHeld = min(sound+more, maxSyncDelay)
		}
		l.pictureHeld = max(0, picture-later)
	case later < -inSync && l.soundHeld > 0: // which takes a while
		l.soundHeld = max(0, min(l.soundHeld, sound+later))
	case later < -inSync:
		l.pictureHeld = min(picture-later, maxSyncDelay)
	default:
		return false
	}
	return true
}

func (l *lipSync) begin() { *l = lipSync{soundHeld: l.soundHeld, pictureHeld: l.pictureHeld} }

// synchronise compares a picture with the sound that the caller is heard with now; due is when the picture is shown.
func (p *pictureIn) synchronise(timestamp uint32, due, now time.Time) {
	sound := p.stream.leg.sound.Load()
	if sound == nil || p.stream.media.Label != "main" {
		return
	}
	heard, ok := sound.receiver.Heard()
	if !ok || now.Sub(heard.At) > soundIsOld {
		return
	}
	shown, ok1 := p.stream.clock.captured(p.ssrc, timestamp, videoClock)
	spoken, ok2 := sound.stream.clock.captured(heard.SSRC, heard.Timestamp, heard.Clock)
	if !ok1 || !ok2 {
		return
	}
	_, wait := p.newest.times()
	later := due.Sub(heard.At) + wait - (shown - spoken)
	if p.lips.compare(later, heard.Delay, p.playout.sync, now) {
		p.playout.wanted = p.lips.pictureHeld
		sound.receiver.SetMinimumDelay(p.lips.soundHeld)
	}
}

// release lets the sound play when the network allows, as nobody sees pictures that it would have to wait for. p.mu is held.
func (p *pictureIn) release() {
	if p.lips.soundHeld == 0 {
		return
	}
	p.lips.soundHeld = 0
	p.lips.begin()
	if sound := p.stream.leg.sound.Load(); sound != nil {
		sound.receiver.SetMinimumDelay(0)
	}
}

// releaseIdle is release for a caller whose pictures have stopped.
func (l *Leg) releaseIdle(now time.Time) {
	for _, s := range l.Streams(nil) {
		p := s.picture
		if p == nil || int64(now.Sub(l.made))-p.arrived.Load() < int64(noPictures) || !p.mu.TryLock() {
			continue // who decodes has pictures
		}
		p.release()
		p.mu.Unlock()
	}
}

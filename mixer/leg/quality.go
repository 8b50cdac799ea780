package leg

import (
	"sync"
	"sync/atomic"
	"time"

	"rendezvous/mixer/ladder"
	"rendezvous/mixer/leg/congestion"
)

// Reason is why a caller is sent less than the best picture of the room's.
type Reason string

// The reasons.
const (
	ReasonNone      Reason = ""           // they are sent the best
	ReasonBandwidth Reason = "bandwidth"  // their path carries no more
	ReasonLoss      Reason = "loss"       // their path loses too much of it
	ReasonPeer      Reason = "peer limit" // they have said that they take no more
	ReasonHost      Reason = "host"       // the host has too much to do
	ReasonSound     Reason = "sound only" // they take no picture, or none of ours
)

// Quality is what is known of the path between us and one caller, and what they are sent by it: for people to see, not
// to decide by. Down is towards the caller.
type Quality struct {
	EstimateBPS int // what the path down carries, bit/s; 0: nobody estimates it
	QueueMS     int // how long what is sent waits on the path down; -1: not known
	RoundTripMS int // -1: not known
	LossDown    int // percent of what is sent that does not arrive, as the caller reports; -1: not known
	LossUp      int // percent of what they send that never comes, repeats counted; -1: nothing is coming

	Rung                           int // of the room's ladder, the best is 0; -1: they are sent no picture
	Width, Height, FPS, BitrateBPS int // of that rung
	Reason                         Reason
}

// Class is a path's quality in a word.
type Class string

// The classes.
const (
	ClassUnknown Class = ""
	ClassGood    Class = "good"
	ClassFair    Class = "fair" // somebody who pays attention notices
	ClassPoor    Class = "poor" // everybody notices
)

// What is noticed: from about 2 % of loss on in-band FEC leaves gaps, and a round trip of 300 ms is what ITU-T G.114
// (150 ms each way) calls acceptable.
const (
	fairLoss, poorLoss           = 2, 8            // percent: more is worse
	fairRoundTrip, poorRoundTrip = 300, 600        // ms
	fairQueue, poorQueue         = 150, 400        // ms
	poorBitrate                  = 250_000         // bit/s that leave a picture which cannot be read
	tallyEvery                   = 2 * time.Second // over which LossUp is counted at least
)

// Class sums a quality up. A small picture is no sign of a poor path where the caller wants no larger one.
func (q Quality) Class() Class {
	loss := max(q.LossDown, q.LossUp)
	short := q.Reason == ReasonBandwidth || q.Reason == ReasonLoss
	switch {
	case loss > poorLoss, q.RoundTripMS > poorRoundTrip, q.QueueMS > poorQueue, short && q.BitrateBPS < poorBitrate:
		return ClassPoor
	case loss > fairLoss, q.RoundTripMS > fairRoundTrip, q.QueueMS > fairQueue, short:
		return ClassFair
	case loss < 0 && q.RoundTripMS < 0 && q.QueueMS < 0 && q.EstimateBPS == 0:
		return ClassUnknown
	}
	return ClassGood
}

// Quality is how it is at the moment. It may be called from any goroutine, and costs little.
func (l *Leg) Quality() Quality {
	now := l.cfg.Now()
	q := Quality{QueueMS: -1, RoundTripMS: -1, LossDown: -1, Rung: -1, Reason: ReasonSound}
	var got, lost uint64
	var path controller
	l.mu.Lock()
	for _, s := range l.streams {
		got, lost = got+s.seen.got.Load(), lost+s.seen.lost.Load()
		if percent, at := s.network.lossPercent(now); !at.IsZero() {
			q.LossDown = max(q.LossDown, percent)
		}
		if s.feedback() != nil || path == nil {
			path = s.path()
		}
	}
	l.mu.Unlock()
	if trip := l.roundTrip(); trip > 0 {
		q.RoundTripMS = int(trip.Milliseconds())
	}
	if path != nil {
		reported := q.LossDown
		q.measured(path.State())
		if path == l.reports { // each of which tells of one stream
			q.LossDown = reported
			if l.video.Load() == nil {
				q.EstimateBPS = 0 // sound fills no path
			}
		}
	}
	q.LossUp = l.tally.loss(got, lost, now)
	if s, codec := l.Port().sees(); s != nil {
		q.Reason = ReasonNone
		if v := l.view.sending(); v.rung >= 0 {
			r := v.rungs[v.rung]
			q.Rung, q.Width, q.Height, q.FPS, q.BitrateBPS = v.rung, r.Width, r.Height, r.FPS, r.Bitrate
			if v.budget > 0 {
				q.BitrateBPS = min(q.BitrateBPS, v.budget) // an encoder follows a lone watcher's path
			}
			q.Reason = reason(v, allowed(v.rungs, codec, s.media.MaxSendBitrate), q)
		}
	}
	return q
}

// measured takes what a congestion controller knows, which is newer than what reports say.
func (q *Quality) measured(s congestion.State) {
	if !s.Known {
		return
	}
	q.EstimateBPS, q.LossDown = s.Target, int(100*s.Loss+0.5)
	if s.RoundTrip > 0 {
		q.QueueMS, q.RoundTripMS = int(s.Queue.Milliseconds()), int((s.RoundTrip + s.Queue).Milliseconds())
	}
}

// reason is why it is that rung; best is what the receiver takes.
func reason(v sending, best int, q Quality) Reason {
	switch {
	case v.still:
	case v.rung == 0:
		return ReasonNone
	case v.spared:
		return ReasonHost
	case v.rung <= best:
		return ReasonPeer
	}
	if q.LossDown > heavyLoss {
		return ReasonLoss
	}
	return ReasonBandwidth
}

// ObserveQuality is Quality, counted in the metrics: to be called at even times, by one.
func (l *Leg) ObserveQuality() Quality {
	q := l.Quality()
	l.metrics.observe(q)
	return q
}

// sending is what goes to a viewer.
type sending struct {
	rung   int // -1 before the first picture
	rungs  []ladder.Rung
	budget int  // bit/s that the path carries of pictures; 0: not known
	still  bool // a picture now and then
	spared bool // the host spares itself better rungs
}

func (v *view) sending() sending {
	v.mu.Lock()
	defer v.mu.Unlock()
	return sending{min(v.current, len(v.rungs)-1), v.rungs, v.budget, v.still, v.spared}
}

// seen counts packets of the caller's: those that have come, and those that never did.
type seen struct{ got, lost atomic.Uint64 }

// tally is the loss of a while, out of counts that grow.
type tally struct {
	mu        sync.Mutex // guards all below
	at        time.Time
	got, lost uint64
	percent   int
}

func (t *tally) loss(got, lost uint64, now time.Time) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.at.IsZero() || got < t.got { // a stream has gone with its counts
		t.at, t.got, t.lost, t.percent = now, got, lost, -1
		return t.percent
	}
	if now.Sub(t.at) >= tallyEvery {
		came, gone := got-t.got, lost-min(t.lost, lost)
		t.percent = -1
		if all := came + gone; all > 0 {
			t.percent = int((100*gone + all/2) / all)
		}
		t.at, t.got, t.lost = now, got, lost
	}
	return t.percent
}

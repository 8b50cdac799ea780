package leg

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"

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
	fairLoss, poorLoss           = 2, 8             // percent: more is worse
	fairRoundTrip, poorRoundTrip = 300, 600         // ms
	fairQueue, poorQueue         = 150, 400         // ms
	poorBitrate                  = 250_000          // bit/s that leave a picture which cannot be read
	roundTripLifetime            = 16 * time.Second // as lossLifetime
	tallyEvery                   = 2 * time.Second  // over which LossUp is counted at least
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
	var congestion *congestion.Controller
	l.mu.Lock()
	for _, s := range l.streams {
		got, lost = got+s.seen.got.Load(), lost+s.seen.lost.Load()
		if percent, at := s.network.lossPercent(now); !at.IsZero() {
			q.LossDown = max(q.LossDown, percent)
		}
		if ms, ok := s.seen.roundTrip(now); ok {
			q.RoundTripMS = max(q.RoundTripMS, ms)
		}
		if bitrate, measured := s.network.available(now); measured {
			q.EstimateBPS = max(q.EstimateBPS, bitrate)
		}
		if s.media.Congestion != nil {
			congestion = s.media.Congestion
		}
	}
	l.mu.Unlock()
	if congestion != nil {
		q.measured(congestion.State())
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
	q.EstimateBPS, q.QueueMS, q.LossDown = s.Target, int(s.Queue.Milliseconds()), int(100*s.Loss+0.5)
	if s.RoundTrip > 0 {
		q.RoundTripMS = int((s.RoundTrip + s.Queue).Milliseconds())
	}
}

// reason is why it is that rung; best is what the receiver takes.
func reason(v sending, best int, q Quality) Reason {
	switch {
	case v.still:
	case v.rung == 0:
		return ReasonNone
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
}

func (v *view) sending() sending {
	v.mu.Lock()
	defer v.mu.Unlock()
	return sending{min(v.current, len(v.rungs)-1), v.rungs, v.budget, v.still}
}

// seen is what a stream tells of its path.
type seen struct {
	got, lost atomic.Uint64 // packets of the caller's that have come, and that never did

	mu  sync.Mutex // guards all below
	rtt time.Duration
	at  time.Time // when rtt was measured; zero: never
}

// reports takes the round trip of reports about what we send under ssrc (RFC 3550 §6.4.1); 0 is any.
func (s *seen) reports(reports []rtcp.ReceptionReport, ssrc uint32, now time.Time) {
	for _, r := range reports {
		if ssrc != 0 && r.SSRC != ssrc || r.LastSenderReport == 0 {
			continue
		}
		// The middle 32 bits of NTP's 64, in 1/65536 s. They wrap around after 18 hours, and a clock that is set
		// makes one of them wrong.
		if units := compactNTP(now) - r.LastSenderReport - r.Delay; units < maxRoundTrip {
			s.mu.Lock()
			s.rtt, s.at = time.Duration(units)*time.Second>>16, now
			s.mu.Unlock()
		}
	}
}

const maxRoundTrip = 30 << 16 // longer ones are of clocks that were set

func compactNTP(t time.Time) uint32 {
	// Only a difference modulo 2^16 s counts, so that the epoch does not matter, except that the reports' is 1900.
	const since1900 = 2_208_988_800
	return uint32((t.Unix()+since1900)<<16) + uint32(uint64(t.Nanosecond())<<16/1e9)
}

func (s *seen) roundTrip(now time.Time) (ms int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int(s.rtt.Milliseconds()), !s.at.IsZero() && now.Sub(s.at) < roundTripLifetime
}

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

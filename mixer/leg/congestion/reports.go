package congestion

import (
	"slices"
	"sync"
	"time"
)

const (
	boundLife      = 8 * time.Second
	echoesTrusted  = 8                      // of them, and their absence says something,
	firstEchoes    = 400 * time.Millisecond // if they came so often
	manyUnanswered = 3
	reportPace     = 2.0 // of the target, where nothing speaks against it
	nearCeiling    = 0.6 // from this part of what the path carries on a burst stands before the sound
	carefulPace    = 1.2
	silentHold     = 200 * time.Millisecond // at a time

	shortestAsk, longestAsk = 50 * time.Millisecond, 200 * time.Millisecond // between two questions

	// QuestionSize is about how many bytes of UDP's payload a question to be answered has (Echo).
	QuestionSize = 100

	// ReportEvery is how often sender reports of pictures are sent to a receiver that answers by them alone.
	ReportEvery = 250 * time.Millisecond
)

// Reports estimates the path to a receiver that tells little: receiver reports (RFC 3550) on each stream, round trips, and perhaps a bound
// (REMB). Its methods, and its flows', may be called from any goroutine.
type Reports struct {
	cfg Config

	mu         sync.Mutex // guards all below, and the flows
	start      time.Time
	flows      []*Flow
	meter      meter
	echoes     delays // answers to questions
	trips      delays // of sender reports and back
	unanswered int    // questions since the last answer
	losses     losses
	share      float64       // lost, by the newest report
	arrives    float64       // bit/s between two reports of which the second told of loss, 0: it did not
	whole      float64       // the most lost since a cut, with what is answered already
	hinted     time.Duration // when something was last seen that may be a sign
	deaf       time.Duration // until when such signs are none
	bound      float64       // 0: none
	boundAt    time.Duration

	target, wanted, ceiling float64
	carried                 float64       // the ceiling when pictures began to be held
	found                   time.Duration // the ceiling
	heard                   bool
	grown                   time.Duration
	calm                    time.Duration // since when all has been well
	tryWait                 time.Duration // before more than headroom is tried
	tried                   time.Duration // when that began; never: it has not

	phase  phase
	since  time.Duration
	cut    time.Duration // what has left before it is no new sign
	hold   time.Duration
	length time.Duration // of the queue then
	least  time.Duration // the shortest since
	before float64
	sent   float64 // bit/s then
	sound  float64 // that go on while pictures are held
	tries  int
}

// NewReports returns a controller that knows nothing of its path.
func NewReports(cfg Config) *Reports {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Reports{cfg: cfg, start: cfg.Now(), target: float64(cfg.Initial), tryWait: tryAfter, tried: never, hinted: -hintsWithin, sound: 60_000}
}

// Flow adds a stream.
func (c *Reports) Flow() *Flow {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := &Flow{c: c}
	c.flows = append(c.flows, f)
	return f
}

// Remove forgets a stream.
func (c *Reports) Remove(f *Flow) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flows = slices.DeleteFunc(c.flows, func(g *Flow) bool { return g == f })
}

// Guess says what to believe of the path, in bit/s, until its receiver has told of something.
func (c *Reports) Guess(bitrate int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.heard {
		c.target = float64(bitrate)
	}
}

func (c *Reports) now() time.Duration { return c.cfg.Now().Sub(c.start) }

// Again notes that something else leaves, of so many bytes as RTP or RTCP: a packet that is sent again, a report, a question.
func (c *Reports) Again(size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.meter.leave(size, c.now())
}

// Asked notes that a question leaves, which is answered at once when it arrives (Echo).
func (c *Reports) Asked() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.meter.leave(QuestionSize, c.now())
	c.unanswered++
}

// Want is Controller.Want.
func (c *Reports) Want(bitrate int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wanted = float64(bitrate)
}

// State is what is known now. Nothing is ever probed with padding, so that it is never Unheard or Stalled.
func (c *Reports) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	c.starve(now)
	d := c.delays(now)
	s := State{Target: int(c.allowed(now)), Known: c.heard, Loss: c.losses.lately, Lossy: c.losses.inherent}
	if d.n > 0 {
		s.RoundTrip = max(d.floor(), 1)
		if now-d.at < 3*max(d.every, time.Second) {
			s.Queue = max(0, d.length())
		}
	}
	pace := reportPace
	if c.ceiling > 0 && c.target > nearCeiling*c.ceiling {
		pace = carefulPace
	}
	s.Pace = int(pace * max(float64(s.Target), float64(c.cfg.Min)))
	switch {
	case c.silent(now):
		s.Hold = c.start.Add(now + silentHold)
	case c.hold > now:
		s.Hold = c.start.Add(c.hold)
	}
	return s
}

// allowed is the target within the receiver's bound.
func (c *Reports) allowed(now time.Duration) float64 {
	t := c.target
	if c.bound > 0 && now-c.boundAt < boundLife && !c.echoing(now) {
		t = min(t, c.bound)
	}
	return max(t, float64(c.cfg.Min))
}

// echoing tells that the path is measured by questions.
func (c *Reports) echoing(now time.Duration) bool {
	return c.echoes.n > 1 && now-c.echoes.at < max(time.Second, 4*c.echoes.every)
}

// silent tells that nothing is answered any more by somebody who has answered at once, and often.
func (c *Reports) silent(now time.Duration) bool {
	e := &c.echoes
	return e.n >= echoesTrusted && e.every < firstEchoes && c.unanswered >= manyUnanswered &&
		now-e.at > stallTime+2*e.floor()+max(0, e.length())+2*e.every && now-e.at < longStall
}

// delays are those that say most of the queue.
func (c *Reports) delays(now time.Duration) *delays {
	if c.echoing(now) || c.trips.n == 0 {
		return &c.echoes
	}
	return &c.trips
}

// Echo takes the answer to a question that was sent by the path of what is sent, and answered at once.
func (c *Reports) Echo(trip time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	quiet := c.silent(now)
	sent := now - trip
	c.echoes.add(echo{sent, trip, c.meter.by(sent)}, now)
	c.unanswered = 0
	c.begin(now)
	if quiet {
		c.losses.forget(now + trip)
		for _, f := range c.flows {
			f.answered()
		}
	}
	c.follow(&c.echoes, sent, now)
}

// Report is what a receiver's report says of one flow.
type Report struct {
	Highest uint32        // sequence number that has come
	Lost    uint8         // share since the report before, of 256
	Trip    time.Duration // of the newest sender report that they have, and back; 0: not known
	Sent    time.Duration // how long ago that sender report left
}

// Report takes a receiver's report.
func (f *Flow) Report(r Report) {
	c := f.c
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	n, ok := f.read(r.Highest, r.Lost, now)
	c.begin(now)
	if r.Trip > 0 {
		sent := now - r.Sent
		c.trips.add(echo{sent, r.Trip, c.meter.by(sent)}, now)
	}
	if ok {
		c.tally(n, now)
	}
	if c.echoing(now) {
		if c.phase == steady {
			c.judge(n, now)
		}
		return
	}
	if r.Trip > 0 {
		c.follow(&c.trips, now-r.Sent, now)
	}
	switch {
	case c.phase != steady && r.Trip == 0 && now >= c.hold: // nothing more will be said of the queue
		c.ease(c.delays(now), now)
	case c.phase == steady && ok && !c.judge(n, now) && r.Trip == 0:
		c.grow(now, now-c.grown)
	}
}

// begin notes that the receiver has told of something.
func (c *Reports) begin(now time.Duration) {
	if !c.heard {
		c.heard, c.grown, c.calm = true, now, now
	}
}

// Bound takes what the receiver says that it can take, in bit/s. Where its path is measured by questions that says nothing new.
func (c *Reports) Bound(bitrate float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	c.begin(now)
	before, known := c.bound, c.bound > 0 && now-c.boundAt < boundLife
	if known && bitrate < before && (c.phase != steady || now < c.hold+hintsSettle) {
		return // a cut has answered it already
	}
	c.bound, c.boundAt = bitrate, now
	if c.echoing(now) || !known || bitrate > before*margin || bitrate >= c.meter.sending(now) {
		return
	}
	c.suspect(now)
}

// Ask is how often a receiver who answers is asked: so often that it is a small part of what is sent.
func (s State) Ask() time.Duration {
	const share, size = 0.015, 8 * (QuestionSize + Overhead)
	every := time.Duration(size / (share * float64(max(s.Target, 1))) * float64(time.Second))
	return min(max(every, shortestAsk), longestAsk)
}

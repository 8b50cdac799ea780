// Package overload decides what a host gives up that has more to do than its processors can: first every second picture, then the best
// picture, then all tiles but a few, then newcomers, in this order, and in the other order takes it back. Sound is never given up.
//
// It is too much when the host uses nearly all of its processors, and when it uses half of them and ticks of its sound come late: others use
// the rest.
package overload

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Level is how much has been given up. Each has what those before it have.
type Level int32

// The levels.
const (
	None      Level = iota
	Pictures        // every second picture is left out
	Best            // nobody is sent the best rung
	Tiles           // FewTiles tiles are shown at most
	Newcomers       // nobody is let in but moderators
)

// FewTiles is how many tiles are shown at most from the level Tiles on.
const FewTiles = 9

// String is the level in a word, as the metrics and the log have it.
func (l Level) String() string {
	return [...]string{"none", "pictures", "best", "tiles", "newcomers"}[l]
}

// Text is the level in a line for people.
func (l Level) Text() string {
	return [...]string{
		"The host has enough power again.",
		"The host has too much to do: there are fewer pictures a second.",
		"The host has too much to do: pictures are smaller.",
		"The host has too much to do: fewer people are shown.",
		"The host has too much to do: nobody else can come in.",
	}[l]
}

const (
	// Interval is how often Observe is to be called.
	Interval = 500 * time.Millisecond

	lateTick    = 5 * time.Millisecond // a tick that is later is heard of
	lateShare   = 0.01                 // of the ticks are too many
	leastLate   = 3                    // that say something,
	ours        = 0.5                  // if we use so much: what others do to the host gets no better by giving something up
	most        = 0.93                 // of the processors is too much
	calmShare   = 0.85                 // of them may be used after something has been taken back
	worseAfter  = 2                    // times in a row that it is too much
	settleTime  = 2 * time.Second      // until what was given up shows
	betterAfter = 5 * time.Second      // of calm something is taken back
	longest     = time.Minute          // of calm that is waited for, where it was too soon the last times,
	anyway      = 5 * time.Minute      // and where it would be too much by what giving it up has saved
	mostSaved   = 6                    // by one level; what is more has other reasons: people have gone
	relapse     = 10 * time.Second     // it was too soon if it is too much again within it
)

// Config is what a Control needs.
type Config struct {
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: nothing is counted
	Changed    func(Level)           // is told of each new level, by Observe; nil: nobody is
}

// Control follows how busy the host is. Its methods may be called from any goroutine; Observe by one.
type Control struct {
	cfg   Config
	level atomic.Int32
	ticks atomic.Int64 // since Observe last looked
	late  atomic.Int64
	room  atomic.Bool // for one more

	// What follows belongs to who calls Observe.
	bad     int // looks in a row that were too much
	changed time.Time
	better  bool                   // the last change took something back
	calm    time.Time              // since when it has been; zero: it is not
	wait    time.Duration          // of calm before something is taken back
	before  float64                // used when the level was last raised
	saved   [Newcomers + 1]float64 // by giving up each level, the last time: used before, by used after
	settled bool                   // it has what the present level saves

	used prometheus.Gauge
	now  prometheus.Gauge
	lost prometheus.Counter
}

// New returns a control at the level None.
func New(cfg Config) *Control {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	c := &Control{cfg: cfg, wait: betterAfter, settled: true}
	c.used = prometheus.NewGauge(prometheus.GaugeOpts{Name: "rendezvous_processors_used_ratio", Help: "Part of the processors that the host may use which it uses."})
	c.now = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "rendezvous_overload_level",
		Help: "What is given up as there is too much to do: 1 every second picture, 2 the best rung, 3 most tiles, 4 newcomers."})
	c.lost = prometheus.NewCounter(prometheus.CounterOpts{Name: "rendezvous_late_ticks_total", Help: "Ticks of the sound that were more than 5 ms late."})
	if cfg.Registerer != nil {
		cfg.Registerer.MustRegister(c.used, c.now, c.lost)
	}
	return c
}

// Level is what is given up now. Of a nil Control it is None.
func (c *Control) Level() Level {
	if c == nil {
		return None
	}
	return Level(c.level.Load())
}

// Tick notes a tick of some room's sound, and how late it is. It costs next to nothing.
func (c *Control) Tick(late time.Duration) {
	if c == nil {
		return
	}
	c.ticks.Add(1)
	if late > lateTick {
		c.late.Add(1)
		c.lost.Inc()
	}
}

// Admits reports whether there is room for somebody else: until few tiles are shown there always is; then, for as many as the processors have
// room for, at the cost of those who are here.
func (c *Control) Admits() bool {
	level := c.Level()
	return level < Tiles || level == Tiles && c.room.Load()
}

// Observe takes how much of the processors has been used since it was last called, from 0 to 1, and how many people are in the rooms.
func (c *Control) Observe(used float64, people int, now time.Time) {
	ticks, late := c.ticks.Swap(0), c.late.Swap(0)
	c.used.Set(used)
	before := c.Level()
	level := c.next(used, ticks, late, now)
	c.room.Store(used+used/float64(max(1, people)) < most)
	c.level.Store(int32(level))
	if level == before {
		return
	}
	c.now.Set(float64(level))
	c.cfg.Log.Warn("what the host gives up for its load changes", "level", level.String(), "before", before.String(), "used", used, "ticks", ticks, "late", late, "people", people)
	if c.cfg.Changed != nil {
		c.cfg.Changed(level)
	}
}

// next is the level by one look.
func (c *Control) next(used float64, ticks, late int64, now time.Time) Level {
	level := c.Level()
	tooMuch := used > most || used > ours && late >= leastLate && float64(late) > lateShare*float64(ticks)
	if !tooMuch {
		c.bad = 0
	} else {
		c.bad++
		c.calm = time.Time{}
	}
	if now.Sub(c.changed) < settleTime {
		return level
	}
	if !c.settled { // what the level saves shows now
		c.settled = true
		c.saved[level] = min(max(1, c.before/max(used, .01)), mostSaved)
	}
	switch {
	case tooMuch && c.bad >= worseAfter && level < Newcomers:
		if c.better && now.Sub(c.changed) < relapse {
			c.wait = min(2*c.wait, longest)
		} else {
			c.wait = betterAfter
		}
		c.before, c.settled = used, false
		c.changed, c.better, c.bad = now, false, 0
		return level + 1
	case tooMuch || level == None:
		return level
	case c.calm.IsZero():
		c.calm = now
		return level
	}
	wait := c.wait
	if used*c.saved[level] > calmShare { // it would be too much at once, unless people have gone meanwhile
		wait = anyway
	}
	if now.Sub(c.calm) < wait {
		return level
	}
	c.changed, c.better, c.calm = now, true, time.Time{}
	return level - 1
}

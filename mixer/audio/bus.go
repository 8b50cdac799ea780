package audio

import (
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rendezvous/mixer/audio/talk"
)

// defaultMaxTalkers is far beyond what can be understood at once; it bounds the private encodes of a tick.
const defaultMaxTalkers = 16

// Config bounds what a Bus costs. Zero values mean the defaults.
type Config struct {
	Log     *slog.Logger // nil discards
	Metrics *Metrics     // nil counts for nobody

	// MaxTalkers is how many members are mixed at once, the loudest; 0 is 16.
	MaxTalkers int
	// Complexity of the Opus encoders, 1..10; 0 is codec.DefaultComplexity.
	Complexity int
	// Late is told of each tick how much later than due it began; nil: nobody is. It must not block.
	Late func(time.Duration)
	// Worked is told of each tick how long it took; nil: nobody is. It must not block.
	Worked func(time.Duration)
}

// Skipper is a Member that can pass over 20 ms without decoding them; the bus calls
// SkipFrame in place of ReadFrame while the member is muted.
type Skipper interface {
	// SkipFrame passes over the next 20 ms. It must not block.
	SkipFrame()
}

// Bus is the sound of one room. Its clock runs while it has members. All methods
// may be called from any goroutine, but none from within a Member's methods.
type Bus struct {
	cfg     Config
	changed chan struct{}

	life sync.Mutex // held while members come and go, and while the clock starts and stops
	stop chan struct{}
	done chan struct{}

	mu    sync.Mutex // guards what follows
	slots map[Member]*slot
	clips []*clip

	processing atomic.Pointer[Processing]

	order  atomic.Pointer[[]*slot] // the slots in order of arrival, for the tick; replaced, never written
	inTick sync.Mutex              // held during a tick

	mix mix // of the tick
}

// NewBus returns a bus without members, whose clock stands.
func NewBus(cfg Config) *Bus {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Metrics == nil {
		cfg.Metrics = NewMetrics(prometheus.NewRegistry())
	}
	if cfg.MaxTalkers <= 0 {
		cfg.MaxTalkers = defaultMaxTalkers
	}
	b := &Bus{cfg: cfg, changed: make(chan struct{}, 1), slots: make(map[Member]*slot)}
	b.order.Store(new([]*slot))
	b.processing.Store(new(Processing))
	b.mix.init(b)
	return b
}

// Add brings a member in. A member who is in already stays as they are.
func (b *Bus) Add(m Member) { b.add(newSlot(m), nil) }

// AddMuted brings a member in as one whom SetMuted has silenced: not one frame of theirs is heard.
func (b *Bus) AddMuted(m Member) {
	s := newSlot(m)
	s.muted.Store(true)
	b.add(s, nil)
}

// AddSolo brings in a tap that hears the member of alone, as they are mixed (gated, muted), and
// silence where they are silent or gone; for a recording's separate tracks.
func (b *Bus) AddSolo(tap, of Member) { b.add(newSlot(tap), of) }

func (b *Bus) add(s *slot, solo Member) {
	b.life.Lock()
	defer b.life.Unlock()
	b.mu.Lock()
	if b.slots[s.m] != nil {
		b.mu.Unlock()
		return
	}
	if solo != nil {
		s.isSolo, s.solo = true, b.slots[solo]
	}
	b.slots[s.m] = s
	b.mu.Unlock()
	old := *b.order.Load()
	order := append(slices.Clip(old), s)
	b.order.Store(&order)
	b.cfg.Metrics.members.Inc()
	if len(order) == 1 {
		b.stop, b.done = make(chan struct{}), make(chan struct{})
		go b.run(b.stop, b.done)
	}
}

// Remove takes a member out and returns when the bus no longer calls them.
func (b *Bus) Remove(m Member) {
	b.life.Lock()
	defer b.life.Unlock()
	b.remove(m)
}

func (b *Bus) remove(m Member) {
	b.mu.Lock()
	s := b.slots[m]
	delete(b.slots, m)
	b.mu.Unlock()
	if s == nil {
		return
	}
	var order []*slot
	for _, o := range *b.order.Load() {
		if o != s {
			order = append(order, o)
		}
	}
	b.order.Store(&order)
	b.inTick.Lock() // the tick under way may still have them
	s.close()
	s.sounds = false // to their taps
	b.inTick.Unlock()
	b.cfg.Metrics.members.Dec()
	if s.talking.Load() {
		b.cfg.Metrics.talkers.Dec()
		b.notify()
	}
	if len(order) == 0 {
		close(b.stop)
		<-b.done
	}
}

// Close removes all members and waits for the bus's goroutines.
func (b *Bus) Close() {
	b.life.Lock()
	defer b.life.Unlock()
	for _, s := range *b.order.Load() {
		b.remove(s.m)
	}
}

func (b *Bus) slot(m Member) *slot {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.slots[m]
}

// SetMuted keeps the member's sound from everybody, or lets it through again.
func (b *Bus) SetMuted(m Member, muted bool) {
	if s := b.slot(m); s != nil {
		s.muted.Store(muted)
	}
}

// SetDeaf keeps the room's sound from the member, who hears their private sound
// alone (a lobby), or lets it through again.
func (b *Bus) SetDeaf(m Member, deaf bool) {
	if s := b.slot(m); s != nil {
		s.deaf.Store(deaf)
	}
}

// Talking reports whether the member talks now.
func (b *Bus) Talking(m Member) bool {
	s := b.slot(m)
	return s != nil && s.talking.Load()
}

// TalkersChanged is signalled when somebody starts or stops talking; Talking then
// tells who. Signals that nobody has taken yet are merged into one.
func (b *Bus) TalkersChanged() <-chan struct{} { return b.changed }

func (b *Bus) notify() {
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// Level is the loudness of the member's last frame in -dBov, 0 (loudest) to 127 (silence).
func (b *Bus) Level(m Member) uint8 {
	if s := b.slot(m); s != nil {
		return uint8(s.level.Load())
	}
	return talk.Header(talk.Silence)
}

// TalkTime is how long the member has talked since they were added.
func (b *Bus) TalkTime(m Member) time.Duration {
	if s := b.slot(m); s != nil {
		return time.Duration(s.talkTicks.Load()) * FrameDuration
	}
	return 0
}

// normal is the format by which encodes are shared: the stated loss in coarse steps, and one
// channel, which every Opus decoder repeats on two by itself (RFC 7587 §3.4).
func (f Format) normal() Format {
	f.Channels = 1
	switch {
	case f.Loss < 3:
		f.Loss = 0
	case f.Loss < 15:
		f.Loss = 10 // libopus has no bits for FEC at 32 kbit/s if it expects less
	default:
		f.Loss = 20
	}
	if !strings.EqualFold(f.Codec, "opus") { // nothing to choose
		f.Bitrate, f.Loss, f.DTX = 0, 0, false
	}
	return f
}

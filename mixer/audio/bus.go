package audio

import (
	"log/slog"
	"time"
)

// Config are the parameters of a Bus.
type Config struct {
	Log     *slog.Logger
	Metrics *Metrics // may be nil

	// MaxTalkers is how many members are mixed at once, the loudest; 0 is 16.
	MaxTalkers int
	// Complexity of the Opus encoders, 1..10; 0 is codec.DefaultComplexity.
	Complexity int
	// OnTalking is told when a member starts and stops talking; called from the bus's
	// goroutine, must not block nor call the bus; may be nil.
	OnTalking func(m Member, talking bool)
}

// Metrics are the bus's Prometheus metrics.
type Metrics struct{}

// Skipper is a Member that can pass over 20 ms without decoding them; the bus calls
// SkipFrame in place of ReadFrame while the member is muted.
type Skipper interface {
	SkipFrame()
}

// Bus is the sound of one room. Its clock runs while it has members. All methods
// may be called from any goroutine, but none from within a Member's methods.
type Bus struct{}

// NewBus returns a bus without members.
func NewBus(cfg Config) *Bus { return &Bus{} }

// Add brings a member in. A member who is in already stays as he is.
func (b *Bus) Add(m Member) {}

// Remove takes a member out and returns when the bus no longer calls him.
func (b *Bus) Remove(m Member) {}

// SetMuted keeps the member's sound from everybody, or lets it through again.
func (b *Bus) SetMuted(m Member, muted bool) {}

// SetDeaf keeps the room's sound from the member, who hears his private sound alone (a lobby), or lets it through again.
func (b *Bus) SetDeaf(m Member, deaf bool) {}

// Play queues 48 kHz mono sound for everybody, after what is queued already, and
// returns a channel that is closed when it has been played or dropped.
func (b *Bus) Play(pcm []int16) <-chan struct{} { return nil }

// Talking reports whether the member talks now.
func (b *Bus) Talking(m Member) bool { return false }

// Level is the loudness of the member's last frame in -dBov, 0 (loudest) to 127 (silence).
func (b *Bus) Level(m Member) uint8 { return 127 }

// TalkTime is how long the member has talked since he was added.
func (b *Bus) TalkTime(m Member) time.Duration { return 0 }

// Close removes all members and waits for the bus's goroutines.
func (b *Bus) Close() {}

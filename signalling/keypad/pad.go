package keypad

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"rendezvous/internal/prompts"
	"rendezvous/mixer/leg"
)

// Config is what all callers of a door have in common.
type Config struct {
	// Words are the recordings that are played; nil: nothing is said.
	Words *prompts.Set
	// Foyer lets a caller hear what is said to them before they are in a room
	// (conference.Host.Foyer); nil: they do not.
	Foyer func(*leg.Leg) (leave func())
	// Pause is how long a question waits for the next key; 0: 8 s.
	Pause time.Duration
	// LeadIn is the silence before the first words: clients take a moment to open their ears.
	LeadIn time.Duration
}

// Pad is one caller's keys, and the voice that answers them. Press may be called from anywhere;
// the other methods from one goroutine, which is the one that converses with the caller.
type Pad struct {
	cfg   Config
	log   *slog.Logger
	leg   *leg.Leg
	keys  chan rune
	began bool   // the first words have been said
	leave func() // out of the foyer; nil: the caller is not there
}

const (
	keysWaiting = 32 // that nobody has read; further ones are dropped
	pause       = 8 * time.Second
	maxDigits   = 32 // of an answer
	// farewellTime bounds how long the last words are waited for.
	farewellTime = 15 * time.Second
	// trailOff is the time that clients' jitter buffers take to play the last words.
	trailOff = 500 * time.Millisecond
)

// New makes a leg and listens to its keys.
func New(cfg Config, l leg.Config) (*Pad, *leg.Leg) {
	if cfg.Pause <= 0 {
		cfg.Pause = pause
	}
	if l.Log == nil {
		l.Log = slog.New(slog.DiscardHandler)
	}
	p := &Pad{cfg: cfg, log: l.Log, keys: make(chan rune, keysWaiting)}
	l.OnDTMF = p.Press
	p.leg = leg.New(l)
	return p, p.leg
}

// Press takes a key of the caller's; it does not block.
func (p *Pad) Press(key rune) {
	select {
	case p.keys <- key:
	default: // the caller hammers on the keys
	}
}

// Keys are what the caller presses while no question waits for an answer.
func (p *Pad) Keys() <-chan rune { return p.keys }

// Outside has the caller hear what is said to them while they are in no room.
func (p *Pad) Outside() {
	if p.leave != nil || p.cfg.Foyer == nil {
		return
	}
	p.leave = p.cfg.Foyer(p.leg)
	p.begin()
}

// begin plays the silence before the first words.
func (p *Pad) begin() {
	if !p.began {
		p.began = true
		p.leg.Play(make([]int16, p.cfg.LeadIn*prompts.SampleRate/time.Second))
	}
}

// Inside ends what Outside began: before the caller joins a room, and at the end.
func (p *Pad) Inside() {
	if p.leave != nil {
		p.leave()
		p.leave = nil
	}
}

// Say plays recordings to this caller alone, after what is being played already. The channel is
// closed when the caller has been sent them.
func (p *Pad) Say(list ...prompts.Prompt) <-chan struct{} {
	if p.cfg.Words == nil {
		return p.leg.Play(nil)
	}
	return p.leg.Play(p.cfg.Words.Say(list...))
}

// Tell is Say for what must not be missed: if these are the first words, the silence is before them that clients need.
func (p *Pad) Tell(list ...prompts.Prompt) <-chan struct{} {
	p.begin()
	return p.Say(list...)
}

// Ask plays a question and collects keys until the hash key or a pause; a star begins again. The
// error is that of ctx.
func (p *Pad) Ask(ctx context.Context, question prompts.Prompt) (digits string, err error) {
	played := p.Say(question)
	var got strings.Builder
	// The pause counts from the end of the question, then from each key.
	var over <-chan time.Time
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-played:
			played = nil
			timer.Reset(p.cfg.Pause)
			over = timer.C
		case key := <-p.keys:
			p.leg.StopPlaying() // who knows the question need not hear it out
			switch {
			case key == '#':
				return got.String(), nil
			case key == '*':
				got.Reset()
			case got.Len() < maxDigits:
				got.WriteRune(key)
			}
			timer.Reset(p.cfg.Pause)
			over = timer.C
		case <-over:
			return got.String(), nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// Farewell says something and waits until it was heard, or ctx ends. Then the call may end.
func (p *Pad) Farewell(ctx context.Context, list ...prompts.Prompt) {
	ctx, cancel := context.WithTimeout(ctx, farewellTime)
	defer cancel()
	select {
	case <-p.Say(list...):
	case <-ctx.Done():
	}
	select {
	case <-time.After(trailOff):
	case <-ctx.Done():
	}
}

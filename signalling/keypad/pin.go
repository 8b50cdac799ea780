package keypad

import (
	"context"
	"errors"

	"rendezvous/conference"
	"rendezvous/internal/prompts"
)

// Tries is how many answers to a question may be wrong before the caller is sent away.
const Tries = 3

// AskPIN goes on where a room has refused a caller who gave a PIN, or none (""): as long as that
// is what is wrong the caller is asked for it, and join tries again. Whoever is not let in is told why,
// as the last words of their call; the error is the refusal then, or that of ctx. The caller is
// out of the foyer when join is called, and when let in.
func (p *Pad) AskPIN(ctx context.Context, refused error, pin string, join func(pin string) (*conference.Member, error)) (*conference.Member, error) {
	for asked := 0; ; asked++ {
		p.Outside()
		var refusal *conference.Refusal
		if !errors.As(refused, &refusal) || refusal.Code != conference.RefusedPIN {
			p.Farewell(ctx, refusalWord(refusal))
			return nil, refused
		}
		if pin != "" {
			p.Say(prompts.WrongPIN)
		}
		if asked == Tries {
			p.Farewell(ctx, prompts.TryLater)
			return nil, refused
		}
		var err error
		if pin, err = p.Ask(ctx, prompts.EnterPIN); err != nil {
			return nil, err
		}
		p.Inside()
		m, err := join(pin)
		if err == nil {
			return m, nil
		}
		refused = err
	}
}

func refusalWord(r *conference.Refusal) prompts.Prompt {
	if r != nil {
		switch r.Code {
		case conference.RefusedLocked:
			return prompts.Locked
		case conference.RefusedBanned:
			return prompts.Banned
		case conference.RefusedFull:
			return prompts.Full
		case conference.RefusedClosed:
			return prompts.Closed
		case conference.RefusedDraining:
			return prompts.Draining
		case conference.RefusedNoRoom:
			return prompts.UnknownRoom
		}
	}
	return prompts.TryLater
}

package scenario

import (
	"math"
	"slices"
	"time"

	"rendezvous/internal/experience"
	"rendezvous/internal/lab/browser"
	"rendezvous/internal/lab/network"
)

// Result is what a scenario was like.
type Result struct {
	Spans map[string]Span // of the steps, by name
	Bob   browser.Seen
	Trace map[string]Traces // of each path, by client
	Flash []time.Time       // when Ann's camera flashed
	// Late is by how much the box itself was late, 99 %: of a machine that does much else, little is to be learnt.
	Late time.Duration
}

// Span is when a step was.
type Span struct{ From, To time.Time }

// Traces are the packets of both directions.
type Traces struct{ Up, Down []network.Packet }

// span is when a step was; it panics if there is none of that name, as then a target means another table.
func (r *Result) span(step string) Span {
	s, ok := r.Spans[step]
	if !ok {
		panic("scenario: there is no step " + step)
	}
	return s
}

// length is that of a step in seconds.
func (s Span) length() float64 { return s.To.Sub(s.From).Seconds() }

// after is what is left of a step.
func (s Span) after(d time.Duration) Span { return Span{s.From.Add(d), s.To} }

// usual is the tone's amplitude on the open network; the tone cannot be judged without.
func (r *Result) usual() float64 {
	s := r.span("open")
	return experience.Usual(r.Bob.Sounds, s.From, s.To)
}

func (r *Result) heard(s Span) experience.Hearing {
	return experience.Heard(r.Bob.Sounds, s.From, s.To, r.usual())
}

func (r *Result) shown(s Span) experience.Show { return experience.Shown(r.Bob.Pictures, s.From, s.To) }

// tile is what Ann's tile was like in the picture that Bob saw.
func (r *Result) tile(s Span) experience.Show {
	return experience.Shown(experience.Moved(r.Bob.Pictures), s.From, s.To)
}

// audible is the length of gaps that people notice.
const audible = 40 * time.Millisecond

// gaps counts the gaps of sound, from some time after a step's beginning.
func gaps(step string, after time.Duration) func(*Result) float64 {
	return func(r *Result) float64 { return float64(r.heard(r.span(step).after(after)).Over(audible)) }
}

func gapsAMinute(step string) func(*Result) float64 {
	return func(r *Result) float64 { return 60 * gaps(step, 0)(r) / r.span(step).length() }
}

// gone is how many seconds of sound are missing.
func gone(step string) func(*Result) float64 {
	return func(r *Result) float64 { return r.heard(r.span(step)).Gone.Seconds() }
}

// silent is the longest gap of sound, in seconds.
func silent(step string) func(*Result) float64 {
	return func(r *Result) float64 {
		longest := time.Duration(0)
		for _, g := range r.heard(r.span(step)).Gaps {
			longest = max(longest, g)
		}
		return longest.Seconds()
	}
}

func pictures(step string) func(*Result) float64 {
	return func(r *Result) float64 { return r.shown(r.span(step)).Rate }
}

func freezes(step string) func(*Result) float64 {
	return func(r *Result) float64 { return float64(r.shown(r.span(step)).Freezes) }
}

// longest is that of the times without a new picture, in seconds.
func longest(step string) func(*Result) float64 {
	return func(r *Result) float64 { return r.shown(r.span(step)).Longest.Seconds() }
}

// untold is the longest time without a new picture, and without a notice in the page that tells so, in seconds.
func untold(step string) func(*Result) float64 {
	return func(r *Result) float64 {
		s := r.span(step)
		known := slices.Clone(r.Bob.Pictures)
		for _, x := range r.Bob.Stats {
			if x.Notice {
				known = append(known, experience.Picture{At: x.At})
			}
		}
		slices.SortFunc(known, func(a, b experience.Picture) int { return a.At.Compare(b.At) })
		return experience.Shown(known, s.From, s.To).Longest.Seconds()
	}
}

func tilePictures(step string) func(*Result) float64 {
	return func(r *Result) float64 { return r.tile(r.span(step)).Rate }
}

func tileFreezes(step string) func(*Result) float64 {
	return func(r *Result) float64 { return float64(r.tile(r.span(step)).Freezes) }
}

// tileFrozen is in seconds.
func tileFrozen(step string) func(*Result) float64 {
	return func(r *Result) float64 { return r.tile(r.span(step)).Frozen.Seconds() }
}

// queue is a quantile of how long what came had queued before it, in milliseconds, from some time after a step's
// beginning.
func queue(who, step string, after time.Duration, share float64) func(*Result) float64 {
	return func(r *Result) float64 {
		s := r.span(step).after(after)
		return experience.Quantile(network.Queues(network.Between(r.Trace[who].Down, s.From, s.To)), share)
	}
}

// queueOver is for how many seconds packets queued for longer than a limit.
func queueOver(who, step string, limit time.Duration) func(*Result) float64 {
	return func(r *Result) float64 {
		s := r.span(step)
		return network.Over(network.Between(r.Trace[who].Down, s.From, s.To), limit).Seconds()
	}
}

// used is how much of the bandwidth is used, in percent, from some time after a step's beginning.
func used(who, step string, after time.Duration, rate int) func(*Result) float64 {
	return func(r *Result) float64 {
		s := r.span(step).after(after)
		return 100 * network.Rate(r.Trace[who].Down, s.From, s.To) / float64(rate)
	}
}

// top is the height of the picture on the open network.
func (r *Result) top() int { return r.shown(r.span("open")).Height }

// best is after how many seconds of a step the picture has the height that it had on the open network.
func best(step string) func(*Result) float64 {
	return func(r *Result) float64 {
		top := r.top()
		return r.first(step, func(p experience.Picture) bool { return p.Height >= top })
	}
}

// worse is for how many seconds of a step the picture was lower than on the open network.
func worse(step string) func(*Result) float64 {
	return func(r *Result) float64 {
		s, top := r.span(step), r.top()
		low, n := 0, 0
		for _, p := range r.Bob.Pictures {
			if p.At.Before(s.From) || !p.At.Before(s.To) {
				continue
			}
			if n++; p.Height < top {
				low++
			}
		}
		if n == 0 {
			return s.length()
		}
		return s.length() * float64(low) / float64(n)
	}
}

// pictureBack is after how many seconds of a step there is a picture, of which others follow.
func pictureBack(step string) func(*Result) float64 {
	return func(r *Result) float64 { return r.first(step, func(experience.Picture) bool { return true }) }
}

func (r *Result) first(step string, as func(experience.Picture) bool) float64 {
	s := r.span(step)
	t, ok := experience.FirstAs(r.Bob.Pictures, s.From, as)
	if !ok || t.After(s.To) {
		return s.length()
	}
	return t.Sub(s.From).Seconds()
}

// freezesOnceBack counts those after the first picture of a step.
func freezesOnceBack(step string) func(*Result) float64 {
	return func(r *Result) float64 {
		s := r.span(step)
		back := time.Duration(pictureBack(step)(r) * float64(time.Second))
		return float64(r.shown(s.after(back)).Freezes)
	}
}

// soundBack is after how many seconds of a step the tone is heard, and goes on.
func soundBack(step string) func(*Result) float64 {
	const goesOn = 200 * time.Millisecond
	return func(r *Result) float64 {
		s, usual := r.span(step), r.usual()
		var since time.Time // when the tone set in that is heard
		for _, x := range r.Bob.Sounds {
			switch {
			case x.At.Before(s.From) || !x.At.Before(s.To):
				continue
			case x.Tone <= usual/2:
				since = time.Time{}
				continue
			case since.IsZero():
				since = x.At
			}
			if x.At.Sub(since) >= goesOn {
				return since.Sub(s.From).Seconds()
			}
		}
		return s.length()
	}
}

// toEar and toEye are from when Ann's page makes a sound and a picture until Bob's page has them, in milliseconds.
func toEar(step string) func(*Result) float64 {
	return func(r *Result) float64 {
		s := r.span(step).after(2 * time.Second)
		return experience.Median(experience.Delays(r.Flash, experience.Beeps(r.Bob.Sounds), s.From, s.To), time.Millisecond)
	}
}

func toEye(step string) func(*Result) float64 {
	return func(r *Result) float64 {
		s := r.span(step).after(2 * time.Second)
		return experience.Median(experience.Delays(r.Flash, experience.Flashes(r.Bob.Pictures), s.From, s.To), time.Millisecond)
	}
}

// apart is how far sound and picture are apart, in milliseconds, from some time after a step's beginning.
func apart(step string, after time.Duration) func(*Result) float64 {
	return func(r *Result) float64 {
		s := r.span(step).after(after)
		return math.Abs(experience.Median(experience.Offsets(experience.Flashes(r.Bob.Pictures), experience.Beeps(r.Bob.Sounds), s.From, s.To), time.Millisecond))
	}
}

// received is what the picture of a receiver was like who does not tell: of its packets alone.
func received(who, step string) func(*Result) experience.Show {
	return func(r *Result) experience.Show {
		s, trace := r.span(step), r.Trace[who].Down
		var all []experience.Picture
		for _, at := range network.Pictures(trace, network.Video(trace)) {
			all = append(all, experience.Picture{At: at})
		}
		return experience.Shown(all, s.From, s.To)
	}
}

// soundLost is the share of the packets of sound that are lost on their way to somebody, in percent.
func soundLost(who, step string) func(*Result) float64 {
	return func(r *Result) float64 {
		s, trace := r.span(step), r.Trace[who].Down
		return 100 * network.SoundLost(network.Between(trace, s.From, s.To), network.Video(trace))
	}
}

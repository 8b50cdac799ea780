package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	settling  = 2 * time.Second // until a manner of the callers' is what it costs
	probes    = 10              // callers whose packets' times are looked at
	janusMost = 50              // callers that are measured with Janus, too
)

// talkersOf is how many of so many talk: as in a meeting, few.
func talkersOf(callers int) int {
	switch {
	case callers >= 500:
		return 5
	case callers >= 200:
		return 4
	}
	return min(3, callers)
}

// party is a host with callers in it.
type party struct {
	server
	loop *loop
	// By how much the host grew with each caller.
	memory     float64 // bytes
	goroutines float64 // threads, if it is not Go's
}

// gather brings so many callers in, and those talk who are to talk.
func (b *bench) gather(ctx context.Context, s server, l *loop, calls []call) (p party, err error) {
	p = party{server: s, loop: l}
	before, goroutines, err := b.held(ctx, s)
	if err != nil {
		return p, err
	}
	begun := time.Now()
	err = inParallel(len(calls), func(i int) error {
		c, err := dial(ctx, s, b.id, calls[i])
		if err != nil {
			return fmt.Errorf("caller %d: %w", i+1, err)
		}
		if i < probes {
			if err := c.stamp(); err != nil {
				return errors.Join(err, c.close(ctx))
			}
		}
		if calls[i].watches {
			c.manner = listens
		}
		l.add(c)
		return nil
	})
	if err != nil {
		return p, err
	}
	b.say("%d callers of %s are in after %.1f s", len(calls), s.name(), time.Since(begun).Seconds())
	if err := pause(ctx, settling); err != nil {
		return p, err
	}
	after, now, err := b.held(ctx, s)
	n := float64(len(calls))
	p.memory, p.goroutines = float64(after.resident-before.resident)/n, (now-goroutines)/n
	return p, err
}

// held is what a host holds, and how many goroutines or threads it has.
func (b *bench) held(ctx context.Context, s server) (u usage, goroutines float64, err error) {
	m, err := s.metrics(ctx)
	if err != nil {
		return u, 0, err
	}
	u, err = usageOf(s.pid())
	if m == nil {
		return u, float64(u.threads), err
	}
	return u, m["go_goroutines"], err
}

// sound measures a room of callers with microphones, of whom a few talk: what the others send decides.
func (b *bench) sound(ctx context.Context, n int) (figures []figure, err error) {
	h, err := startHost(b.dir, b.program, 1)
	if err != nil {
		return nil, err
	}
	defer h.close()
	figures, ours, err := b.soundOf(ctx, h, n, []manner{dtx, levels, plain})
	if err != nil || n > janusMost {
		return figures, err
	}
	j, err := startJanus(b.dir)
	if errors.Is(err, errNoJanus) {
		b.say("%v: no comparison", err)
		return figures, nil
	}
	if err != nil {
		return nil, err
	}
	defer j.close()
	theirs, cpu, err := b.soundOf(ctx, j, n, []manner{plain})
	if err != nil {
		return nil, err
	}
	return append(append(figures, theirs...), figure{
		result: soundResult(n, plain, h), name: fmt.Sprintf("the others %s: CPU / Janus AudioBridge", plain), unit: "x-janus",
		values: []float64{ours[plain] / cpu[plain]},
	}), nil
}

func soundResult(n int, m manner, s server) string {
	return fmt.Sprintf("Load/sound/callers=%d/silent=%s/host=%s", n, m, s.name())
}

// soundOf measures one host; cpu is the median of its CPU by manner.
func (b *bench) soundOf(ctx context.Context, s server, n int, manners []manner) (figures []figure, cpu map[manner]float64, err error) {
	l := newLoop(b.voices)
	defer func() { err = errors.Join(err, l.close(context.WithoutCancel(ctx))) }()
	var calls []call
	for i := range n {
		calls = append(calls, call{room: roomName(0), name: fmt.Sprint("Caller ", i+1), number: i, media: "audio", levels: true})
	}
	p, err := b.gather(ctx, s, l, calls)
	if err != nil {
		return nil, nil, err
	}
	what, perLeg := "threads", "threads/leg"
	if m, err := s.metrics(ctx); err == nil && m != nil {
		what, perLeg = "goroutines", "goroutines/leg"
	}
	all := fmt.Sprintf("Load/sound/callers=%d/host=%s", n, s.name())
	figures = []figure{
		{all, s.name() + ": memory (resident) of each caller", "kB/leg", []float64{p.memory / 1000}, ""},
		{all, s.name() + ": " + what + " of each caller", perLeg, []float64{p.goroutines}, ""},
	}
	cpu = map[manner]float64{}
	for _, m := range manners {
		l.do(func(callers []*caller) {
			for i, c := range callers {
				c.manner = m
				if i < talkersOf(n) {
					c.manner = talks
				}
			}
		})
		if err := pause(ctx, settling); err != nil {
			return nil, nil, err
		}
		var hosts, encoders, ticks, gaps, least, mean, lost, generator, others []float64
		for i := range b.windows {
			bare, err := bareEncoder()
			if err != nil {
				return nil, nil, err
			}
			w, err := watch(ctx, s, l, b.length)
			if err != nil {
				return nil, nil, err
			}
			b.say("%s, %d talk, the others %s, window %d of %d: host %.3f, generator %.3f, others %.3f cores", s.name(), talkersOf(n), m, i+1, b.windows, w.host, w.generator, w.others)
			b.doubt(w)
			hosts, encoders = append(hosts, w.host), append(encoders, w.host/bare)
			if w.metrics != nil {
				late, _ := w.metrics.above("rendezvous_audio_tick_lateness_seconds", 0.005)
				ticks = append(ticks, late*100)
			}
			gaps = append(gaps, lateGaps(w.gaps)*100)
			least, mean = append(least, percentile(w.packets, 0)), append(mean, average(w.packets))
			lost = append(lost, w.lost*100)
			generator, others = append(generator, w.generator), append(others, w.others)
		}
		cpu[m] = median(hosts)
		r, name := soundResult(n, m, s), fmt.Sprintf("%s, the others %s: ", s.name(), m)
		figures = append(figures,
			figure{r, name + "CPU", "s/s", hosts, ""},
			figure{r, name + "CPU / a bare Opus encoder", "x-encoder", encoders, ""},
		)
		if ticks != nil {
			figures = append(figures, figure{r, name + "ticks over 5 ms late", "%-ticks", ticks, ""})
		}
		figures = append(figures,
			figure{r, name + "packets over 5 ms late", "%-packets", gaps, ""},
			figure{r, name + "packets that reach each, mean", "packets/s", mean, ""},
			figure{r, name + "packets that reach each, least", "least-packets/s", least, ""},
			figure{r, name + "packets lost", "%-lost", lost, ""},
			figure{r, name + "the generator's CPU", "generator-s/s", generator, ""},
			figure{r, name + "other programs' CPU", "others-s/s", others, ""},
		)
	}
	return figures, cpu, nil
}

func average(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

const (
	settling  = 2 * time.Second       // until a manner of the callers' is what it costs
	joinEvery = 25 * time.Millisecond // with more at once a host may be too busy
	probes    = 10                    // callers whose packets' times are looked at
	janusMost = 50                    // callers that are measured with Janus, too
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

// growth is by how much a host grew with each caller.
type growth struct {
	memory     float64 // bytes
	heap       float64 // bytes in use; 0: it does not tell
	goroutines float64
	threads    bool // goroutines are threads, as the host is not of Go
}

// gather brings callers into a host and a loop, a few at once.
func (b *bench) gather(ctx context.Context, s server, l *loop, calls []call) (g growth, err error) {
	before, err := holds(ctx, s)
	if err != nil {
		return g, err
	}
	begun := time.Now()
	var refusals atomic.Int64
	err = inParallel(len(calls), func(i int) error {
		if err := pause(ctx, time.Until(begun.Add(time.Duration(i)*joinEvery))); err != nil {
			return err
		}
		c, refused, err := enter(ctx, s, b.id, calls[i])
		refusals.Add(int64(refused))
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
		return g, err
	}
	b.say("%d callers of %s are in after %.1f s; it was too busy %d times", len(calls), s.name(), time.Since(begun).Seconds(), refusals.Load())
	if err := pause(ctx, settling); err != nil {
		return g, err
	}
	after, err := holds(ctx, s)
	n := float64(len(calls))
	g.memory, g.heap = float64(after.resident-before.resident)/n, (after.heap-before.heap)/n
	g.goroutines, g.threads = (after.goroutines-before.goroutines)/n, after.heap == 0
	return g, err
}

// holds is what a host holds: its garbage collected, if it is ours; else with its threads in the place of goroutines.
func holds(ctx context.Context, s server) (l holding, err error) {
	if h, ok := s.(*host); ok {
		return h.holds(ctx)
	}
	l.usage, err = usageOf(s.pid())
	l.goroutines = float64(l.threads)
	return l, err
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
		soundResult(n, plain, h), "CPU / Janus AudioBridge", "x-janus", []float64{ours[plain] / cpu[plain]},
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
	grown, err := b.gather(ctx, s, l, calls)
	if err != nil {
		return nil, nil, err
	}
	figures = grown.figures(fmt.Sprintf("Load/sound/callers=%d/host=%s", n, s.name()))
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
		f, err := b.soundWindows(ctx, s, l, soundResult(n, m, s))
		if err != nil {
			return nil, nil, err
		}
		cpu[m] = median(f[0].values)
		figures = append(figures, f...)
	}
	return figures, cpu, nil
}

func (g growth) figures(result string) []figure {
	memory := figure{result, "memory (resident) of each", "kB/leg", []float64{g.memory / 1000}}
	if g.threads {
		return []figure{memory, {result, "threads of each", "threads/leg", []float64{g.goroutines}}}
	}
	return []figure{
		memory,
		{result, "heap in use of each", "kB-heap/leg", []float64{g.heap / 1000}},
		{result, "goroutines of each", "goroutines/leg", []float64{g.goroutines}},
	}
}

// soundWindows measures what there is for some windows. The first figure is the host's CPU.
func (b *bench) soundWindows(ctx context.Context, s server, l *loop, result string) ([]figure, error) {
	cpu, encoders := figure{result, "CPU", "s/s", nil}, figure{result, "CPU / a bare Opus encoder", "x-encoder", nil}
	ticks, gaps := figure{result, "ticks over 5 ms late", "%-ticks", nil}, figure{result, "packets over 5 ms late", "%-packets", nil}
	mean, least := figure{result, "packets that reach each, mean", "packets/s", nil}, figure{result, "packets that reach each, least", "least-packets/s", nil}
	lost := figure{result, "packets lost", "%-lost", nil}
	generator, others := figure{result, "the generator's CPU", "generator-s/s", nil}, figure{result, "other programs' CPU", "others-s/s", nil}
	for i := range b.windows {
		bare, err := bareEncoder()
		if err != nil {
			return nil, err
		}
		w, err := watch(ctx, s, l, b.length)
		if err != nil {
			return nil, err
		}
		b.tell(result, i, w)
		cpu.values, encoders.values = append(cpu.values, w.host), append(encoders.values, w.host/bare)
		if w.metrics != nil {
			late, _ := w.metrics.above("rendezvous_audio_tick_lateness_seconds", 0.005)
			ticks.values = append(ticks.values, late*100)
		}
		gaps.values = append(gaps.values, lateGaps(w.gaps)*100)
		mean.values, least.values = append(mean.values, average(w.packets)), append(least.values, percentile(w.packets, 0))
		lost.values = append(lost.values, w.lost*100)
		generator.values, others.values = append(generator.values, w.generator), append(others.values, w.others)
	}
	figures := []figure{cpu, encoders, gaps, mean, least, lost, generator, others}
	if ticks.values != nil {
		figures = slices.Insert(figures, 2, ticks)
	}
	return figures, nil
}

func average(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

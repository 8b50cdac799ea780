package main

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"
)

// warmUp is how many come and go before it counts: what a host makes once and keeps is no leak.
const warmUp = 20

// churn lets callers come and go, and looks at what they leave behind.
func (b *bench) churn(ctx context.Context, n int) ([]figure, error) {
	h, err := startHost(b.dir, b.program, 1)
	if err != nil {
		return nil, err
	}
	defer h.close()
	if _, _, err := b.comeAndGo(ctx, h, warmUp); err != nil {
		return nil, err
	}
	before, err := h.left(ctx, math.Inf(1))
	if err != nil {
		return nil, err
	}
	b.say("before: %s", before)
	begun := time.Now()
	took, refused, err := b.comeAndGo(ctx, h, n)
	if err != nil {
		return nil, err
	}
	gone := time.Since(begun)
	after, err := h.left(ctx, before.goroutines)
	if err != nil {
		return nil, err
	}
	b.say("after %d joins in %.1f s: %s", n, gone.Seconds(), after)
	result, per := fmt.Sprintf("Load/churn/joins=%d", n), float64(n)
	return []figure{
		{result, "joining, p50", "ms-p50", []float64{percentile(took, 50)}},
		{result, "joining, p95", "ms-p95", []float64{percentile(took, 95)}},
		{result, "CPU of a join and a leave", "ms/join", []float64{float64((after.cpu - before.cpu).Milliseconds()) / per}},
		{result, "too busy for one, who asked again", "refusals", []float64{float64(refused)}},
		{result, "goroutines more than before", "goroutines", []float64{after.goroutines - before.goroutines}},
		{result, "open files more than before", "files", []float64{float64(after.sockets - before.sockets)}},
		{result, "heap in use more than before", "kB-heap", []float64{(after.heap - before.heap) / 1000}},
		{result, "memory (resident) more than before", "kB-resident", []float64{float64(after.resident-before.resident) / 1000}},
	}, nil
}

// comeAndGo has so many join and leave. It returns how long each took to join, in ms, but for those whom the host was too
// busy for at first, and how often it was.
func (b *bench) comeAndGo(ctx context.Context, d door, n int) (took []float64, refusals int, err error) {
	var mu sync.Mutex
	err = inParallel(n, func(i int) error {
		begun := time.Now()
		c, refused, err := enter(ctx, d, b.id, call{room: roomName(0), name: fmt.Sprint("Caller ", i+1), number: i % ofOneAddress, media: "audio", levels: true})
		if err != nil {
			return fmt.Errorf("join %d: %w", i+1, err)
		}
		mu.Lock()
		refusals += refused
		if refused == 0 {
			took = append(took, float64(time.Since(begun).Microseconds())/1000)
		}
		mu.Unlock()
		return c.close(ctx)
	})
	return took, refusals, err
}

// holding is what a host holds.
type holding struct {
	usage
	goroutines, heap float64 // bytes that are in use
}

func (l holding) String() string {
	return fmt.Sprintf("%.0f goroutines, %d open files, heap %.1f MB, resident %.1f MB", l.goroutines, l.sockets, l.heap/1e6, float64(l.resident)/1e6)
}

// left is what the host holds once it has no more goroutines than most, or has had its time.
func (h *host) left(ctx context.Context, most float64) (l holding, err error) {
	if err := pause(ctx, settling); err != nil {
		return l, err
	}
	if err := h.settled(ctx, most); err != nil {
		return l, err
	}
	return h.holds(ctx)
}

// holds collects the host's garbage and looks at what it holds.
func (h *host) holds(ctx context.Context) (l holding, err error) {
	for range 2 { // what has a finalizer goes the second time
		if err := h.collect(ctx); err != nil {
			return l, err
		}
	}
	m, err := h.metrics(ctx)
	if err != nil {
		return l, err
	}
	l.goroutines, l.heap = m["go_goroutines"], m["go_memstats_heap_alloc_bytes"]
	l.usage, err = usageOf(h.pid())
	return l, err
}

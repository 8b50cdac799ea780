package main

import (
	"context"
	"errors"
	"fmt"
	"math"
)

// idle measures rooms in which nobody is, beside one such room.
func (b *bench) idle(ctx context.Context, n int) ([]figure, error) {
	result := fmt.Sprintf("Load/idle/rooms=%d", n)
	one, err := b.idleOf(ctx, 1, "Load/idle/rooms=1")
	if err != nil || n == 1 {
		return one, err
	}
	many, err := b.idleOf(ctx, n, result)
	return append(one, many...), err
}

// idleOf measures so many empty rooms.
func (b *bench) idleOf(ctx context.Context, n int, result string) (figures []figure, err error) {
	h, err := startHost(b.dir, b.program, n)
	if err != nil {
		return nil, err
	}
	defer h.close()
	l := newLoop(b.voices) // of nobody
	defer func() { err = errors.Join(err, l.close(ctx)) }()
	held, err := h.left(ctx, math.Inf(1))
	if err != nil {
		return nil, err
	}
	b.say("%d rooms: ready after %.2f s, %s", n, h.started.Seconds(), held)
	cpu := figure{result, "CPU", "s/s", nil}
	others := figure{result, "other programs' CPU", "others-s/s", nil}
	for i := range b.windows {
		w, err := watch(ctx, h, l, b.length)
		if err != nil {
			return nil, err
		}
		b.tell(result, i, w)
		cpu.values, others.values = append(cpu.values, w.host), append(others.values, w.others)
	}
	return []figure{
		cpu,
		{result, "until it is ready", "s-to-ready", []float64{h.started.Seconds()}},
		{result, "goroutines", "goroutines", []float64{held.goroutines}},
		{result, "open files", "files", []float64{float64(held.sockets)}},
		{result, "heap in use", "MB-heap", []float64{held.heap / 1e6}},
		{result, "memory (resident)", "MB-resident", []float64{float64(held.resident) / 1e6}},
		others,
	}, nil
}

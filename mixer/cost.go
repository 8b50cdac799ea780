package mixer

import (
	"sync/atomic"
	"time"
)

// Cost is for how long the host has worked for a room since it was made, by what was done. It is the time of the cores that did it as
// long as there were enough of them. What is done packet by packet (networks, encryption) is not in it.
type Cost struct {
	Decode  time.Duration // pictures of participants
	Compose time.Duration // the canvas
	Encode  time.Duration // scaling and encoding its picture in all qualities
	Sound   time.Duration // decoding, mixing and encoding sound; of ticks that several cores share, the time of one
}

// cost is a Cost that grows, nanoseconds.
type cost struct{ decode, compose, encode, sound atomic.Int64 }

// add returns a function that adds to a part of a cost.
func add(part *atomic.Int64) func(time.Duration) {
	return func(d time.Duration) { part.Add(int64(d)) }
}

// Cost is what the mixer's room has cost until now.
func (m *Mixer) Cost() Cost {
	c := &m.cost
	return Cost{
		Decode: time.Duration(c.decode.Load()), Compose: time.Duration(c.compose.Load()),
		Encode: time.Duration(c.encode.Load()), Sound: time.Duration(c.sound.Load()),
	}
}

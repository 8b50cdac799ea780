// Package jitter is an adaptive jitter buffer for audio packets. It puts RTP
// packets back in order and in time, says at each pull what to decode or conceal,
// and learns from the arrivals how long packets have to wait so that few come too
// late. It knows nothing of codecs.
package jitter

import "time"

// Config are the parameters of a Buffer. Zero values choose the defaults.
type Config struct {
	MinDelay time.Duration // least wait aimed at; default 10 ms (a pull interval comes on top, on average half)
	MaxDelay time.Duration // longest wait; beyond it packets are dropped; default 400 ms
}

// Stats is what a Buffer has counted, and its present delay.
type Stats struct {
	Received  uint64 // packets taken in
	Late      uint64 // packets that came after their sound was due
	Lost      uint64 // packets that had not come when their sound was due
	Duplicate uint64
	Overflow  uint64        // packets dropped because the delay had grown beyond MaxDelay or the buffer was full
	Stray     uint64        // packets of another SSRC or a wild sequence number that did not go on
	Restarts  uint64        // changes of SSRC, sequence or timestamp that were followed
	Stalls    uint64        // times the buffer ran dry in the middle of sound
	Target    time.Duration // wait aimed at
	Delay     time.Duration // wait of the packet decoded last
}

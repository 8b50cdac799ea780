package call

import (
	"context"
	"sync/atomic"
	"time"
)

// When the room's state is told. A client makes a sink for each stream of the first conference
// information that it gets, and throws its sinks away when its own video receiver begins a moment
// later: told in between, it shows tiles without a picture for good. It says itself when its receiver
// has begun, by asking for a key frame (RFC 5168), so that is waited for, and a moment more: after the media has come up,
// by the first ICE or another, and after each renegotiation.
const (
	// pictureTime is how long after that a client has its first picture, and keeps its sinks. One of 2023 was told 36 ms after its receiver had
	// begun, had its first picture 90 ms later, and showed a tile without one for good.
	pictureTime = 300 * time.Millisecond
	// receiverTime is how long a client with video may take to ask for a key frame.
	receiverTime = time.Second
	// settleTime is after what time the state is told once more: a daemon that had answered our
	// call was once seen to know nothing of what it was told first, and a room where nothing changes would
	// never tell it again.
	settleTime = 1500 * time.Millisecond
)

// signal tells the one who reads ch, which has room for one, that something has happened.
func signal(ch chan<- struct{}) {
	select {
	case ch <- struct{}{}:
	default: // it is going to be seen
	}
}

// news decides when the room's state is told.
type news struct {
	changed   chan struct{} // there is a newer state; has room for one, as the others have
	begun     chan struct{} // media has come up, for the first time or anew
	receiving chan struct{} // the peer has asked for a key frame
	picture   atomic.Bool   // the peer is to receive video
}

func newNews() *news {
	return &news{changed: make(chan struct{}, 1), begun: make(chan struct{}, 1), receiving: make(chan struct{}, 1)}
}

// run has the state told whenever there is a newer one and the peer can take it, until ctx ends. tell may wait
// for the peer: in the meantime, states become one.
func (n *news) run(ctx context.Context, tell func()) {
	var (
		untold       bool             // there is a state
		ready        bool             // the peer's receivers have begun
		asked        time.Time        // for a key frame, last
		begins       bool             // it has asked since the media came up
		given, again <-chan time.Time // receiverTime or pictureTime, settleTime are over
	)
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.changed:
			untold = true
		case <-n.begun:
			untold, again = true, time.After(settleTime)
			ready, given = true, nil
			if n.picture.Load() {
				wait := receiverTime
				begins = time.Since(asked) <= receiverTime // the peer's media may have come up a moment before ours
				if begins {
					wait = pictureTime
				}
				ready, given = false, time.After(wait)
			}
		case <-n.receiving:
			asked = time.Now()
			if given != nil && !begins {
				begins, given = true, time.After(pictureTime)
			}
		case <-given:
			ready, given = true, nil
		case <-again:
			untold, again = true, nil
		}
		if untold && ready {
			untold = false
			tell()
		}
	}
}

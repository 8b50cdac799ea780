package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// loop is all callers' far end, light enough that what is measured beside it has the machine for itself: one thread that
// sends each caller's packets at their own phase of the 20 ms, and empties the sockets now and then. No poller knows the
// sockets, so that a packet that comes wakes nobody; only what somebody listens to is decrypted.
type loop struct {
	voices voices

	mu      sync.Mutex
	callers []*caller     // guarded by mu
	slots   [20][]*caller // by phase; guarded by mu
	failure error         // the first; guarded by mu

	turns, late atomic.Int64 // of a millisecond each; late: begun more than lateTurn after they were due
	stopped     atomic.Bool
	done        sync.WaitGroup
}

const (
	lateTurn   = 2 * time.Millisecond
	emptyEvery = 160 // ms between two looks at a socket: some 8 packets wait there
	dtxEvery   = 20  // frames
	talkLevel  = 25  // -dBov of who talks, and of a quiet room
	quietLevel = 68
	chores     = 250 // frames between two consents, or reports: as Chromium has them
)

// newLoop starts a loop without callers. close ends it.
func newLoop(v voices) *loop {
	l := &loop{voices: v}
	l.done.Go(l.run)
	return l
}

// add has somebody send and receive from now on.
func (l *loop) add(c *caller) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.callers)
	c.phase, c.at = n*7%20, n*37
	c.buf, c.enc = make([]byte, 0, 1500), make([]byte, 0, 1600)
	l.callers = append(l.callers, c)
	l.slots[c.phase] = append(l.slots[c.phase], c)
}

// remove has somebody leave.
func (l *loop) remove(ctx context.Context, c *caller) error {
	l.mu.Lock()
	is := func(o *caller) bool { return o == c }
	l.callers = slices.DeleteFunc(l.callers, is)
	l.slots[c.phase] = slices.DeleteFunc(l.slots[c.phase], is)
	l.mu.Unlock()
	return c.close(ctx)
}

// do runs f between two turns.
func (l *loop) do(f func(callers []*caller)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(l.callers)
}

// count has all sockets empty, and does with what was received until now.
func (l *loop) count(f func(c *caller)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b, control [2048]byte
	for _, c := range l.callers {
		l.empty(c, b[:], control[:])
		f(c)
	}
}

// close ends the loop, and then all calls, some at a time.
func (l *loop) close(ctx context.Context) error {
	l.stopped.Store(true)
	l.done.Wait()
	errs := make([]error, len(l.callers)+1)
	errs[len(l.callers)] = l.failure
	_ = inParallel(len(l.callers), func(i int) error {
		errs[i] = l.callers[i].close(ctx)
		return nil
	})
	return errors.Join(errs...)
}

// run is the thread.
func (l *loop) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// The thread keeps this: one that ended with the goroutine would take with it what was started from it, such as
	// the host (PR_SET_PDEATHSIG(2const)).
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(50*time.Microsecond), 0, 0, 0)
	var b, control [2048]byte
	begun := time.Now()
	for turn := 0; !l.stopped.Load(); turn++ {
		if wait := time.Until(begun.Add(time.Duration(turn) * time.Millisecond)); wait > 0 {
			t := unix.NsecToTimespec(int64(wait))
			_ = unix.Nanosleep(&t, nil) // too early is no harm
		} else if wait < -lateTurn {
			l.late.Add(1)
		}
		l.turns.Add(1)
		l.mu.Lock()
		for _, c := range l.slots[turn%20] {
			if err := l.speak(c, turn/20); err != nil && l.failure == nil {
				l.failure = fmt.Errorf("sending: %w", err)
			}
		}
		n, slot := len(l.callers), turn%emptyEvery
		for _, c := range l.callers[slot*n/emptyEvery : (slot+1)*n/emptyEvery] {
			l.empty(c, b[:], control[:])
		}
		l.mu.Unlock()
	}
}

// speak sends a caller's packets of one frame.
func (l *loop) speak(c *caller, frame int) error {
	switch (frame + c.at) % chores {
	case 0:
		b, err := c.credentials.check()
		if err == nil {
			err = c.write(b)
		}
		if err != nil {
			return err
		}
	case chores / 2:
		b, err := c.out.EncryptRTCP(c.enc[:0], c.stream.appendReport(c.buf[:0], c.received.ssrc, c.received.highest), nil)
		if err == nil {
			err = c.write(b)
		}
		if err != nil {
			return err
		}
	}
	var payload []byte
	loud := uint8(127)
	switch c.manner {
	case dtx:
		if (frame+c.at)%dtxEvery == 0 {
			payload = comfort
		}
	case levels, plain:
		payload, loud = l.voices.quiet[(frame+c.at)%len(l.voices.quiet)], quietLevel
	case talks:
		payload, loud = l.voices.speech[(frame+c.at)%len(l.voices.speech)], talkLevel
	case scripted:
		payload, loud = c.script(time.Now())
	case shows:
		return l.show(c, frame)
	case listens:
		return nil
	}
	if payload == nil {
		c.stream.skip()
		return nil
	}
	b, err := c.out.EncryptRTP(c.enc[:0], c.stream.append(c.buf[:0], payload, loud, c.manner != plain), nil)
	if err != nil {
		return err
	}
	return c.write(b)
}

// show sends a picture, each second frame.
func (l *loop) show(c *caller, frame int) error {
	if frame%pictureFrames != 0 {
		return nil
	}
	picture := c.film[frame/pictureFrames%len(c.film)]
	for i, payload := range picture {
		b, err := c.out.EncryptRTP(c.enc[:0], c.stream.appendPart(c.buf[:0], payload, i == len(picture)-1), nil)
		if err == nil {
			err = c.write(b)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// write sends a packet. One for which there is no room is lost, as on a network.
func (c *caller) write(b []byte) error {
	_, err := unix.Write(c.fd, b)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.ECONNREFUSED) {
		return nil // what the host misses is counted there; that it has gone is seen elsewhere
	}
	return err
}

// empty takes what waits in a caller's socket. Whatever goes wrong with a packet, it is not counted.
func (l *loop) empty(c *caller, b, control []byte) {
	for {
		var n int
		var at time.Time
		var err error
		if c.stamped {
			var nc int
			n, nc, _, _, err = unix.RecvmsgBuffers(c.fd, [][]byte{b}, control, unix.MSG_DONTWAIT)
			at = stamped(control[:max(nc, 0)])
		} else {
			n, err = unix.Read(c.fd, b)
		}
		if err != nil || n <= 0 {
			return
		}
		c.take(b[:n], at)
	}
}

// take takes one packet, which came at that time, if it is known.
func (c *caller) take(b []byte, at time.Time) {
	switch kindOf(b) {
	case isSTUN:
		// Consent is answered, or the host would take them for gone.
		if reply, _, err := c.credentials.take(b, c.to); err == nil && reply != nil {
			_ = c.write(reply)
		}
	case isRTP:
		c.received.take(b, len(b))
		if c.stamped {
			if !c.last.IsZero() {
				c.gaps = append(c.gaps, at.Sub(c.last))
			}
			c.last = at
		}
		if c.heard != nil {
			if p, err := c.in.DecryptRTP(nil, b, nil); err == nil {
				c.heard(at, p)
			}
		}
	}
}

// stamped is when the kernel received a packet, as its control messages tell, or now.
func stamped(control []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(control)
	if err == nil {
		for _, m := range messages {
			if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_TIMESTAMPNS && len(m.Data) >= 16 {
				return time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
			}
		}
	}
	return time.Now().Round(0)
}

// inParallel does so many things, a few at a time, and returns the first error, after which none is begun.
func inParallel(n int, do func(i int) error) error {
	const atOnce = 8
	var next atomic.Int64
	var wg sync.WaitGroup
	var once sync.Once
	var failed error
	for range min(atOnce, n) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(i); err != nil {
					once.Do(func() { failed = err })
					next.Store(int64(n))
					return
				}
			}
		})
	}
	wg.Wait()
	return failed
}

package network

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"rendezvous/internal/netlink"
)

// Settings say what a direction is like.
type Settings struct {
	netlink.Settings

	// Sound and picture take longer than the rest by so much, as if they came different ways. Sound is RTP of the payload
	// type SoundPT (0: 111, which is Opus'), picture all other RTP.
	SoundLate, PictureLate time.Duration
	SoundPT                uint8
}

// late is by how much a packet takes longer than others.
func (s *Settings) late(p *Packet) time.Duration {
	pt := s.SoundPT
	if pt == 0 {
		pt = 111
	}
	switch {
	case p.Kind != RTP:
		return 0
	case p.PT == pt:
		return s.SoundLate
	}
	return s.PictureLate
}

// Direction is one direction of a path.
type Direction struct {
	relay   *relay
	in, out int // descriptors
	header  int // bytes before an IP packet

	mu       sync.Mutex // guards what follows; the relay's thread waits for it, so nobody keeps it for long
	settings Settings
	link     *netlink.Link[parcel]
	trace    []Packet
}

// parcel is a packet under way.
type parcel struct {
	bytes  []byte
	number int // in trace
}

// Set changes what the direction is like, at once. What is in the queue stays there.
func (d *Direction) Set(s Settings) {
	d.mu.Lock()
	d.settings = s
	d.link.Set(time.Now(), s.Settings)
	d.mu.Unlock()
	d.relay.wake()
}

// Settings are the present ones.
func (d *Direction) Settings() Settings {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.settings
}

// Trace is all packets so far, in the order in which they were sent.
func (d *Direction) Trace() []Packet {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.trace)
}

// relay carries packets between devices: one thread for all of them, so that nothing but the kernel decides when.
type relay struct {
	dirs []*Direction // unchanged from start on
	fds  []int        // of the devices
	bell int          // an eventfd: something else than a packet has come up
	done chan error   // nil until start; what the thread ended with

	mu      sync.Mutex // guards what follows
	closing bool
	late    []time.Duration // of each delivered packet
}

func newRelay() (*relay, error) {
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	return &relay{bell: bell}, nil
}

// add takes over two devices, with so many bytes before IP packets, and returns the directions between them.
func (r *relay) add(a, b, header int, seed uint64) (there, back *Direction) {
	r.fds = append(r.fds, a, b)
	there = &Direction{relay: r, in: a, out: b, header: header, link: netlink.New[parcel](netlink.Settings{}, seed)}
	back = &Direction{relay: r, in: b, out: a, header: header, link: netlink.New[parcel](netlink.Settings{}, seed+1)}
	r.dirs = append(r.dirs, there, back)
	return there, back
}

func (r *relay) start() {
	r.done = make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		// A network does not wait until a busy machine has time for it. Where it is not allowed, it does.
		if unix.SchedSetAttr(0, &unix.SchedAttr{
			Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 20, Flags: unix.SCHED_FLAG_RESET_ON_FORK,
		}, 0) == nil {
			// An ordinary thread again, which does not end with the goroutine: see onThread.
			defer func() {
				if unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL}, 0) == nil {
					runtime.UnlockOSThread()
				}
			}()
		} else {
			defer runtime.UnlockOSThread()
		}
		r.done <- r.run()
	}()
}

func (r *relay) close() error {
	var err error
	if r.done != nil {
		r.mu.Lock()
		r.closing = true
		r.mu.Unlock()
		r.wake()
		err = <-r.done
	}
	for _, fd := range append(r.fds, r.bell) {
		unix.Close(fd)
	}
	return err
}

func (r *relay) isClosing() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closing
}

func (r *relay) wake() {
	_, _ = unix.Write(r.bell, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // it fails when the bell has been rung so often that it is heard anyway
}

func (r *relay) lateness() (p50, p99 time.Duration) {
	r.mu.Lock()
	late := slices.Sorted(slices.Values(r.late))
	r.mu.Unlock()
	if len(late) == 0 {
		return 0, 0
	}
	return late[len(late)/2], late[len(late)*99/100]
}

// run carries packets until the relay closes.
func (r *relay) run() error {
	polls := []unix.PollFd{{Fd: int32(r.bell), Events: unix.POLLIN}}
	for _, d := range r.dirs {
		polls = append(polls, unix.PollFd{Fd: int32(d.in), Events: unix.POLLIN})
	}
	var (
		buf  [65536]byte
		bell [8]byte
	)
	for !r.isClosing() {
		if err := r.wait(polls); err != nil {
			return err
		}
		if polls[0].Revents != 0 {
			_, _ = unix.Read(r.bell, bell[:]) // it has been heard
		}
		for i, d := range r.dirs {
			if polls[i+1].Revents == 0 {
				continue
			}
			if err := d.receive(buf[:]); err != nil {
				return err
			}
		}
		for _, d := range r.dirs {
			if err := d.deliver(); err != nil {
				return err
			}
		}
	}
	return nil
}

// wait waits for packets, the bell, or the time when a packet is due.
func (r *relay) wait(polls []unix.PollFd) error {
	var until *unix.Timespec
	for _, d := range r.dirs {
		if at, ok := d.next(); ok {
			left := max(0, time.Until(at))
			if ts := unix.NsecToTimespec(int64(left)); until == nil || ts.Nano() < until.Nano() {
				until = &ts
			}
		}
	}
	for i := range polls {
		polls[i].Revents = 0
	}
	if _, err := unix.Ppoll(polls, until, nil); err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait for packets: %w", err)
	}
	return nil
}

func (d *Direction) next() (time.Time, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.link.Next()
}

// receive takes all packets that the device has.
func (d *Direction) receive(buf []byte) error {
	for {
		n, err := unix.Read(d.in, buf)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return nil
		case err != nil:
			return fmt.Errorf("read packets: %w", err)
		}
		d.send(buf[:n])
	}
}

func (d *Direction) send(b []byte) {
	p := classify(b[min(d.header, len(b)):])
	bytes := slices.Clone(b)
	d.mu.Lock()
	defer d.mu.Unlock()
	p.In = time.Now()
	p.Fate = d.link.SendLate(p.In, p.Size, parcel{bytes, len(d.trace)}, d.settings.late(&p))
	d.trace = append(d.trace, p)
}

// deliver lets out what is due.
func (d *Direction) deliver() error {
	d.mu.Lock()
	due := d.link.Deliver(time.Now())
	d.mu.Unlock()
	for _, a := range due {
		if err := write(d.out, a.Data.bytes); err != nil {
			return err
		}
		now := time.Now()
		d.mu.Lock()
		p := &d.trace[a.Data.number]
		p.Out, p.Queued = now, a.Queued
		d.mu.Unlock()
		d.relay.mu.Lock()
		d.relay.late = append(d.relay.late, now.Sub(a.At))
		d.relay.mu.Unlock()
	}
	return nil
}

// write gives a packet to a device. One that is not up, or has no room, loses it as a network card does.
func write(fd int, b []byte) error {
	for {
		_, err := unix.Write(fd, b)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err == nil || errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EIO) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENETDOWN) || errors.Is(err, unix.ENOBUFS):
			return nil
		}
		return fmt.Errorf("write a packet: %w", err)
	}
}

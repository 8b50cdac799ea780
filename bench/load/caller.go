package main

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/pion/srtp/v2"
	"golang.org/x/sys/unix"
)

// manner is what a caller does.
type manner uint8

const (
	dtx      manner = iota // silent: a packet of comfort noise every 400 ms (RFC 7587 section 3.1.3)
	levels                 // silent: 50 packets a second of a quiet room, which say that it is quiet (RFC 6464)
	plain                  // the same without saying so
	talks                  // 50 packets a second of speech, which say how loud it is
	listens                // sends no sound
	scripted               // what script says
	shows                  // pictures
)

// String is the manner in a word. It panics for what is none.
func (m manner) String() string {
	return [...]string{"dtx", "levels", "plain", "talks", "listens", "scripted", "shows"}[m]
}

// caller is one connection. It belongs to the loop that it is in.
type caller struct {
	fd          int
	to          netip.AddrPort // the host's address
	credentials credentials
	stream      stream
	out, in     *srtp.Context
	leave       func(context.Context) error

	manner   manner
	script   func(now time.Time) (payload []byte, loud uint8) // scripted: the next frame, nil for none
	film     [][][]byte                                       // shows: the payloads of each picture
	heard    func(at time.Time, packet []byte)                // is told each packet of RTP, decrypted; nil: nobody decrypts
	stamped  bool                                             // when packets came is told by the kernel
	received received
	gaps     []time.Duration // between packets, if stamped
	last     time.Time
	phase    int // of the 20 ms, in ms
	at       int // in the speech, so that not all say the same
	buf, enc []byte
}

// stamp has the kernel tell when packets come.
func (c *caller) stamp() error {
	c.stamped = true
	return unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
}

// close leaves the room and closes the socket.
func (c *caller) close(ctx context.Context) error {
	var errs []error
	if c.leave != nil {
		errs = append(errs, c.leave(ctx))
	}
	if c.fd >= 0 {
		errs = append(errs, unix.Close(c.fd))
	}
	return errors.Join(errs...)
}

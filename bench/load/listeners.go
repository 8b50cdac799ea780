package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pion/srtp/v2"
	"golang.org/x/sys/unix"
)

// listeners measures what one more listener costs, beside encrypting and sending the same packets in one thread.
func (b *bench) listeners(ctx context.Context, n int) (figures []figure, err error) {
	h, err := startHost(b.dir, b.program, 1)
	if err != nil {
		return nil, err
	}
	defer h.close()
	l := newLoop(b.voices)
	defer func() { err = errors.Join(err, l.close(context.WithoutCancel(ctx))) }()
	if _, err := b.gather(ctx, h, l, []call{{room: roomName(0), name: "Talker", media: "audio", levels: true}}); err != nil {
		return nil, err
	}
	l.do(func(callers []*caller) { callers[0].manner = talks })
	if err := pause(ctx, settling); err != nil {
		return nil, err
	}
	result := fmt.Sprintf("Load/listeners/callers=%d", n)
	alone, err := b.soundWindows(ctx, h, l, result+"/before")
	if err != nil {
		return nil, err
	}
	calls := make([]call, n)
	for i := range calls {
		calls[i] = call{room: roomName(0), number: i + 1, media: "audio", watches: true}
	}
	grown, err := b.gather(ctx, h, l, calls)
	if err != nil {
		return nil, err
	}
	figures, err = b.soundWindows(ctx, h, l, result)
	if err != nil {
		return nil, err
	}
	size := 0.0
	l.do(func(callers []*caller) {
		c := callers[len(callers)-1].received
		size = float64(c.bytes) / max(1, float64(c.packets))
	})
	before := median(alone[0].values)
	each, bare, ratio := figure{result, "CPU of one", "s/s/listener", nil}, figure{result, "bare SRTP and sendto to one", "bare-s/s/listener", nil}, figure{result, "CPU of one / bare", "x-bare", nil}
	for _, v := range figures[0].values {
		s, err := bareSend(n, int(size))
		if err != nil {
			return nil, err
		}
		each.values, bare.values = append(each.values, (v-before)/float64(n)), append(bare.values, s)
		ratio.values = append(ratio.values, (v-before)/float64(n)/s)
	}
	return append(append(figures, each, bare, ratio), grown.figures(result)...), nil
}

// bareSend is the CPU time, in seconds per second, that it takes to encrypt 50 packets a second for one of n listeners, each
// with keys of their own, and to hand them to the kernel by sendto, which also puts them into the receivers' sockets. size is that of
// a packet of SRTP, in bytes.
func bareSend(n, size int) (float64, error) {
	const (
		tag    = 10 // of AES128_CM_HMAC_SHA1_80
		second = 50 // packets
		header = 12
	)
	socket := func() (int, error) {
		return unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	}
	out, err := socket()
	if err != nil {
		return 0, err
	}
	defer unix.Close(out)
	to := make([]unix.Sockaddr, n)
	contexts := make([]*srtp.Context, n)
	for i := range n {
		in, err := socket()
		if err != nil {
			return 0, err
		}
		defer unix.Close(in)
		if err := unix.Bind(in, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			return 0, err
		}
		if to[i], err = unix.Getsockname(in); err != nil {
			return 0, err
		}
		if contexts[i], err = srtp.CreateContext(make([]byte, 16), make([]byte, 14), profile); err != nil {
			return 0, err
		}
	}
	payload := make([]byte, max(0, size-header-tag))
	s := stream{ssrc: 1, payload: 111}
	b, enc := make([]byte, 0, 1500), make([]byte, 0, 1600)
	all, err := threadTime(func() error {
		for range second { // all fit into the sockets' buffers
			b = s.append(b[:0], payload, 0, false)
			for i, c := range contexts {
				p, err := c.EncryptRTP(enc[:0], b, nil)
				if err == nil {
					err = unix.Sendto(out, p, 0, to[i])
				}
				if err != nil {
					return err
				}
			}
		}
		return nil
	}, time.Second)
	return all / float64(n), err
}

package main

import (
	"io"
	"sync"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// pipe is a leg.Transport without a network.
type pipe struct {
	in     chan []byte
	out    func(h *rtp.Header, payload []byte) // nil: nobody listens
	rtcp   func(pkts []rtcp.Packet)            // nil: nobody listens
	closed chan struct{}
	once   sync.Once
}

func newPipe() *pipe { return &pipe{in: make(chan []byte, 256), closed: make(chan struct{})} }

// send gives the leg a packet.
func (p *pipe) send(b []byte) {
	select {
	case p.in <- b:
	default: // a leg that is so far behind loses packets
	}
}

func (p *pipe) ReadRTP(b []byte) (int, error) {
	select {
	case packet := <-p.in:
		return copy(b, packet), nil
	case <-p.closed:
		return 0, io.EOF
	}
}

func (p *pipe) WriteRTP(h *rtp.Header, payload []byte) error {
	if p.out != nil {
		p.out(h, payload)
	}
	return nil
}

func (p *pipe) OnRTCP(func([]rtcp.Packet, error)) {}

func (p *pipe) WriteRTCP(pkts []rtcp.Packet) error {
	if p.rtcp != nil {
		p.rtcp(pkts)
	}
	return nil
}

func (p *pipe) close() { p.once.Do(func() { close(p.closed) }) }

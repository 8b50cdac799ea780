package rtc

import (
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/sdp/v3"
	"github.com/pion/transport/v2/packetio"

	"rendezvous/mixer/leg/congestion"
)

// reportEvery is the time between two receiver reports.
const reportEvery = time.Second

// control is what one connection does beside its media: it numbers what is sent and tells the congestion controller of it,
// reports what comes (RFC 3550 section 6.4.2, and transport-wide feedback), and gives what the peer reports to whom it concerns. It is the
// only link of pion's chain of interceptors, its own factory, and the maker of the buffers into which pion's SRTP sessions write, so that it has
// no goroutine: RTCP is taken by that which decrypts it, and reports are sent by the engine's clock.
type control struct {
	interceptor.NoOp
	controller *congestion.Controller
	clock      *clock
	began      time.Time

	mu       sync.Mutex             // guards all below
	out      interceptor.RTCPWriter // nil before the connection is made
	ssrc     uint32                 // that our receiver reports are from
	number   uint16                 // transport-wide, of the next packet
	arrived  *twcc.Recorder
	header   rtp.Header           // scratch
	streams  map[uint32]*received // the peer's, by SSRC
	buffers  map[uint32]*rtpBuffer
	reported time.Time
	tracks   map[uint32]*localTrack // ours that are bound, by SSRC
	takers   map[uint32]taker       // of RTCP, by the SSRC that it is about
}

// taker takes RTCP that is about one SSRC.
type taker struct {
	ours bool // the SSRC is of what we send: they are told everything, else sender reports alone
	take func([]rtcp.Packet, error)
}

func newControl(controller *congestion.Controller, clock *clock) *control {
	return &control{
		controller: controller, clock: clock, began: time.Now(),
		ssrc: rand.Uint32(), arrived: twcc.NewRecorder(rand.Uint32()),
		streams: make(map[uint32]*received), buffers: make(map[uint32]*rtpBuffer),
		tracks: make(map[uint32]*localTrack), takers: make(map[uint32]taker),
	}
}

// NewInterceptor implements interceptor.Factory.
func (c *control) NewInterceptor(string) (interceptor.Interceptor, error) { return c, nil }

// BindRTCPWriter is pion's call when the connection is made.
func (c *control) BindRTCPWriter(out interceptor.RTCPWriter) interceptor.RTCPWriter {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = out
	return out
}

// Close is pion's call when the connection is closed.
func (c *control) Close() error {
	c.clock.remove(c)
	return nil
}

// transportCC is the id of the header extension with transport-wide numbers, 0 if none was negotiated.
func transportCC(info *interceptor.StreamInfo) uint8 {
	for _, x := range info.RTPHeaderExtensions {
		if x.URI == sdp.TransportCCURI {
			return uint8(x.ID)
		}
	}
	return 0
}

// BindLocalStream is pion's call when a track of ours has been bound: it gets what writes to the network.
func (c *control) BindLocalStream(info *interceptor.StreamInfo, out interceptor.RTPWriter) interceptor.RTPWriter {
	c.mu.Lock()
	track := c.tracks[info.SSRC]
	c.mu.Unlock()
	if track != nil {
		track.open(&binding{ssrc: info.SSRC, pt: info.PayloadType, transportCC: transportCC(info), out: out})
	}
	return out
}

// bind says whose packets have an SSRC.
func (c *control) bind(ssrc uint32, t *localTrack) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tracks[ssrc] = t
}

// next is the transport-wide number of a packet that leaves now.
func (c *control) next() uint16 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.number++
	return c.number - 1
}

// BindRemoteStream is pion's call when it knows a stream of the peer's.
func (c *control) BindRemoteStream(info *interceptor.StreamInfo, in interceptor.RTPReader) interceptor.RTPReader {
	r := &received{clockRate: float64(info.ClockRate), transportCC: transportCC(info)}
	c.mu.Lock()
	c.streams[info.SSRC] = r
	c.mu.Unlock()
	c.clock.add(c)
	ssrc := info.SSRC
	return interceptor.RTPReaderFunc(func(b []byte, a interceptor.Attributes) (int, interceptor.Attributes, error) {
		n, a, err := in.Read(b, a)
		if err == nil {
			c.count(ssrc, b[:n], time.Now())
		}
		return n, a, err
	})
}

// UnbindRemoteStream is pion's call when a stream of the peer's has ended.
func (c *control) UnbindRemoteStream(info *interceptor.StreamInfo) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.streams, info.SSRC)
	delete(c.buffers, info.SSRC)
	delete(c.takers, info.SSRC)
}

// count notes a packet of one of the peer's streams for the reports. What cannot be read is not counted; the leg does that.
func (c *control) count(ssrc uint32, b []byte, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.streams[ssrc]
	if r == nil {
		return
	}
	if _, err := c.header.Unmarshal(b); err != nil {
		return
	}
	r.packet(c.header.SequenceNumber, c.header.Timestamp, now)
	if r.transportCC == 0 {
		return
	}
	if x := c.header.GetExtension(r.transportCC); len(x) >= 2 {
		c.arrived.Record(ssrc, uint16(x[0])<<8|uint16(x[1]), now.Sub(c.began).Microseconds())
	}
}

// tick sends what is to be reported now.
func (c *control) tick(now time.Time) {
	c.mu.Lock()
	out, feedback := c.out, c.arrived.BuildFeedbackPacket()
	var report *rtcp.ReceiverReport
	if now.Sub(c.reported) >= reportEvery {
		c.reported = now
		report = &rtcp.ReceiverReport{SSRC: c.ssrc}
		for ssrc, r := range c.streams {
			const most = 31 // blocks of a report (RFC 3550 section 6.4.2)
			if r.begun && len(report.Reports) < most {
				report.Reports = append(report.Reports, r.report(ssrc, now))
			}
		}
	}
	c.mu.Unlock()
	// Errors are of a connection that does not stand yet, or any more.
	if report != nil && len(report.Reports) > 0 {
		_, _ = out.Write([]rtcp.Packet{report}, nil)
	}
	if len(feedback) > 0 {
		_, _ = out.Write(feedback, nil)
	}
}

// take says who takes the RTCP that is about an SSRC.
func (c *control) take(ssrc uint32, t taker) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.takers[ssrc] = t
}

// rtcp takes a compound of the peer's, once for each SSRC that it is about.
func (c *control) rtcp(ssrc uint32, b []byte) {
	packets, err := rtcp.Unmarshal(b)
	if err != nil {
		return // pion has read it before
	}
	c.mu.Lock()
	to := c.takers[ssrc]
	for _, p := range packets {
		if sr, ok := p.(*rtcp.SenderReport); ok && sr.SSRC == ssrc {
			if r := c.streams[ssrc]; r != nil {
				r.senderReport(sr.NTPTime, time.Now())
			}
		}
	}
	c.mu.Unlock()
	other := false
	for _, p := range packets {
		switch p := p.(type) {
		case *rtcp.TransportLayerCC:
			if p.MediaSSRC == ssrc {
				c.controller.Feedback(p)
			}
			continue
		case *rtcp.SenderReport:
			// Its blocks are about streams of ours, whose takers get them.
			if to.take != nil && !to.ours && p.SSRC == ssrc {
				alone := *p
				alone.Reports = nil
				to.take([]rtcp.Packet{&alone}, nil)
			}
		}
		other = true
	}
	if to.take != nil && to.ours && other {
		to.take(packets, nil)
	}
}

// buffer is pion's call for a place where a session of SRTP leaves what it has decrypted of an SSRC.
func (c *control) buffer(kind packetio.BufferPacketType, ssrc uint32) io.ReadWriteCloser {
	if kind == packetio.RTCPBufferPacket {
		return rtcpBuffer{c, ssrc}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.buffers) >= mostBuffers {
		return nobodys{}
	}
	b := newRTPBuffer(func(b *rtpBuffer) { c.forget(ssrc, b) })
	c.buffers[ssrc] = b
	return b
}

// forget drops a buffer that is closed.
func (c *control) forget(ssrc uint32, b *rtpBuffer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.buffers[ssrc] == b {
		delete(c.buffers, ssrc)
	}
}

// handOver has packets of an SSRC given to take as they come, instead of being kept until they are read.
func (c *control) handOver(ssrc uint32, take func(b []byte)) {
	c.mu.Lock()
	b := c.buffers[ssrc]
	c.mu.Unlock()
	if b != nil {
		b.handOver(func(p []byte) {
			c.count(ssrc, p, time.Now())
			take(p)
		})
	}
}

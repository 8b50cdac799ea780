package rtc

import (
	"math"
	"sync"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/gcc"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/sdp/v3"
)

// estimator is GCC with a second opinion, for a sender that seldom fills the path.
//
// GCC's delay filter takes a receiver that was scheduled late for a queue on the path,
// and then sets its target to 0.85 of what arrives: in a quiet meeting next to nothing,
// whatever the path could carry. So a lower target counts only if there is a queue (the
// round trip has grown and stays so) or packets are lost. And where nothing fills the path,
// GCC's target grows without limit, so that a better picture would be tried again and again
// on a path that has just refused it. So growth is our own: fast up to where the path was
// last too narrow, slow beyond.
type estimator struct {
	*gcc.SendSideBWE
	now  func() time.Time
	most int // bit/s

	mu       sync.Mutex
	sent     [sentRing]sentPacket // by transport-wide sequence number; guarded by mu, as is all below
	estimate float64              // bit/s
	ceiling  float64              // estimate at the last congestion, 0: none lately
	stuck    time.Time            // of the last congestion
	grown    time.Time            // when estimate was last raised
	loss     float64              // smoothed, 0..1
	rtt      lowest               // lately
	base     lowest               // of the path when it is empty
}

type sentPacket struct {
	seq uint16
	at  time.Time
}

const (
	sentRing   = 4096
	rttWindow  = 800 * time.Millisecond
	baseWindow = 30 * time.Second
	// A queue is at least this, and half of the empty path's round trip. A busy machine at
	// either end delays feedback by less; a path too narrow has more in a moment.
	leastQueue = 120 * time.Millisecond
	lossy      = 0.06
	lossWeight = 0.25 // of one feedback packet

	fastGrowth    = 1.08 // per second, as GCC's own
	slowGrowth    = 1.01
	ceilingMargin = 0.9
	ceilingLife   = 3 * time.Minute
)

func newEstimator(inner *gcc.SendSideBWE, most int, now func() time.Time) *estimator {
	return &estimator{
		SendSideBWE: inner, now: now, most: most, estimate: float64(inner.GetTargetBitrate()),
		rtt: lowest{window: rttWindow}, base: lowest{window: baseWindow},
	}
}

// AddStream notes when each packet of a stream leaves.
func (e *estimator) AddStream(info *interceptor.StreamInfo, writer interceptor.RTPWriter) interceptor.RTPWriter {
	inner := e.SendSideBWE.AddStream(info, writer)
	var id uint8
	for _, x := range info.RTPHeaderExtensions {
		if x.URI == sdp.TransportCCURI {
			id = uint8(x.ID)
		}
	}
	if id == 0 {
		return inner
	}
	return interceptor.RTPWriterFunc(func(h *rtp.Header, payload []byte, a interceptor.Attributes) (int, error) {
		if b := h.GetExtension(id); len(b) >= 2 {
			seq := uint16(b[0])<<8 | uint16(b[1])
			e.mu.Lock()
			e.sent[seq%sentRing] = sentPacket{seq, e.now()}
			e.mu.Unlock()
		}
		return inner.Write(h, payload, a)
	})
}

// WriteRTCP takes the receiver's feedback.
func (e *estimator) WriteRTCP(pkts []rtcp.Packet, a interceptor.Attributes) error {
	err := e.SendSideBWE.WriteRTCP(pkts, a)
	target := float64(e.SendSideBWE.GetTargetBitrate())
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range pkts {
		if fb, ok := p.(*rtcp.TransportLayerCC); ok {
			e.feedback(fb)
			e.update(target)
		}
	}
	return err
}

// update moves the estimate, given GCC's target.
func (e *estimator) update(target float64) {
	now := e.now()
	// A pause without feedback is no time to grow in.
	seconds := min(now.Sub(e.grown).Seconds(), 0.5)
	e.grown = now
	if e.congested() {
		if target < e.estimate {
			e.estimate, e.ceiling = target, target
		}
		e.stuck = now
		return
	}
	if now.Sub(e.stuck) > ceilingLife {
		e.ceiling = 0
	}
	growth := fastGrowth
	if e.ceiling > 0 && e.estimate > ceilingMargin*e.ceiling {
		growth = slowGrowth
	}
	e.estimate = min(e.estimate*math.Pow(growth, seconds), float64(e.most))
}

// GetTargetBitrate is the estimate, in bit/s.
func (e *estimator) GetTargetBitrate() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return int(e.estimate)
}

func (e *estimator) feedback(fb *rtcp.TransportLayerCC) {
	newest, received, count := statuses(fb)
	if count == 0 {
		return
	}
	e.loss += lossWeight * (1 - float64(received)/float64(count) - e.loss)
	if received == 0 {
		return
	}
	now := e.now()
	if p := e.sent[newest%sentRing]; p.seq == newest && !p.at.IsZero() {
		rtt := now.Sub(p.at)
		e.rtt.add(rtt, now)
		e.base.add(rtt, now)
	}
}

func (e *estimator) congested() bool {
	if e.loss > lossy {
		return true
	}
	rtt, base := e.rtt.value(), e.base.value()
	return base > 0 && rtt > base+max(leastQueue, base/2)
}

// statuses returns the newest packet that a feedback says was received, and how many of
// how many were.
func statuses(fb *rtcp.TransportLayerCC) (newest uint16, received, count int) {
	total := int(fb.PacketStatusCount)
	note := func(symbol uint16) {
		if count == total {
			return
		}
		if symbol == rtcp.TypeTCCPacketReceivedSmallDelta || symbol == rtcp.TypeTCCPacketReceivedLargeDelta {
			newest = fb.BaseSequenceNumber + uint16(count)
			received++
		}
		count++
	}
	for _, chunk := range fb.PacketChunks {
		switch c := chunk.(type) {
		case *rtcp.RunLengthChunk:
			for range c.RunLength {
				note(c.PacketStatusSymbol)
			}
		case *rtcp.StatusVectorChunk:
			for _, s := range c.SymbolList {
				note(s)
			}
		}
	}
	return newest, received, count
}

// lowest is the minimum over about a window: of the present half and the one before.
type lowest struct {
	window     time.Duration
	since      time.Time
	now, prior time.Duration // 0: none
}

func (l *lowest) add(v time.Duration, at time.Time) {
	if at.Sub(l.since) > l.window/2 {
		l.prior, l.now, l.since = l.now, 0, at
	}
	if l.now == 0 || v < l.now {
		l.now = max(v, 1)
	}
}

func (l *lowest) value() time.Duration {
	switch {
	case l.now == 0:
		return l.prior
	case l.prior == 0:
		return l.now
	}
	return min(l.now, l.prior)
}

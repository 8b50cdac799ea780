package call

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"

	"rendezvous/mixer/leg"
)

// Jami uses REMB as two code words, not as a bit rate (docs/jami/calls.md#rtcp-and-bit-rates).
const (
	codeDecrease = 0x6803 // the mantissa of "26627 bit/s"
	codeIncrease = 0x7378 // of "29560 bit/s"

	jamiStart   = 2_500_000 // bit/s, believed of a Jami receiver before its first word
	peerStart   = 800_000   // with which a Jami sender begins
	jamiMin     = 200_000
	jamiMax     = 6_000_000
	wellAfter   = 3                      // words "more" in a row
	codeAtLeast = 900 * time.Millisecond // between two words
)

// transport is a leg.Transport that translates between the mixer's RTCP and Jami's
// dialect: key frames are asked for by SIP INFO, bit rates by code words.
type transport struct {
	*leg.Session
	pipe       *endpoint
	askKey     func() // sends the INFO; must not block
	bytesIn    atomic.Int64
	mu         sync.Mutex // guards all below
	estimate   int        // what the peer can take, bit/s
	allowed    int        // what we believe that the peer's encoder allows itself, bit/s
	codeSent   time.Time
	bytesAtLst int64
	mores      int // words "more" in a row
	echo       *echoes
	onEcho     func(trip time.Duration)
}

func newTransport(s *leg.Session, p *endpoint, askKey func()) *transport {
	return &transport{Session: s, pipe: p, askKey: askKey, estimate: jamiStart, allowed: peerStart}
}

func (t *transport) ReadRTP(b []byte) (int, error) {
	n, err := t.Session.ReadRTP(b)
	t.bytesIn.Add(int64(n))
	return n, err
}

// OnRTCP implements leg.Transport: the peer's code words become the bit rate that they mean.
func (t *transport) OnRTCP(take func([]rtcp.Packet, error)) {
	t.Session.OnRTCP(func(packets []rtcp.Packet, err error) {
		for _, p := range packets {
			if r, ok := p.(*rtcp.ReceiverEstimatedMaximumBitrate); ok {
				t.heed(r)
			}
		}
		take(packets, err)
	})
}

// heed puts into a REMB that is a code word, which have no exponent, what we now believe that the peer can take.
func (t *transport) heed(r *rtcp.ReceiverEstimatedMaximumBitrate) {
	if r.Bitrate >= 1<<18 {
		return // a bit rate
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch r.Bitrate {
	case codeDecrease:
		t.estimate, t.mores = max(jamiMin, t.estimate*85/100), 0
	case codeIncrease:
		// One comes each second while all is well: what the path carries is then looked for by what else is known of it.
		t.mores++
		t.estimate = min(jamiMax, t.estimate*105/100)
		if t.mores >= wellAfter {
			t.estimate = min(jamiMax, t.estimate*3/2)
		}
	}
	r.Bitrate = float32(t.estimate)
}

// OnEcho implements leg.Echoer.
func (t *transport) OnEcho(take func(trip time.Duration)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.onEcho = take
	if t.echo != nil {
		t.echo.tell(take)
	}
}

// measure says by which of the call's paths the peer is asked from now on.
func (t *transport) measure(e *echoes) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.echo != nil {
		t.echo.tell(nil)
	}
	t.echo = e
	e.tell(t.onEcho)
}

// Ask implements leg.Echoer.
func (t *transport) Ask() bool {
	t.mu.Lock()
	e := t.echo
	t.mu.Unlock()
	if e == nil {
		return false
	}
	asked, err := e.ask(time.Now())
	return asked && err == nil // an error is the path's: nothing is answered then
}

// WriteRTCP translates what the leg asks of the peer.
func (t *transport) WriteRTCP(pkts []rtcp.Packet) error {
	rest := pkts[:0:0]
	for _, p := range pkts {
		switch p := p.(type) {
		case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
			t.askKey()
		case *rtcp.ReceiverEstimatedMaximumBitrate:
			if err := t.steer(int(p.Bitrate), time.Now()); err != nil {
				return err
			}
		default:
			rest = append(rest, p)
		}
	}
	if len(rest) == 0 {
		return nil
	}
	return t.Session.WriteRTCP(rest)
}

// steer says "more" or "less" according to what comes in and what is wanted.
func (t *transport) steer(wanted int, now time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	since := now.Sub(t.codeSent)
	if since < codeAtLeast {
		return nil
	}
	total := t.bytesIn.Load()
	rate := float64(total-t.bytesAtLst) * 8 / since.Seconds()
	first := t.codeSent.IsZero()
	t.codeSent, t.bytesAtLst = now, total
	switch {
	case first:
		return nil
	case rate > float64(wanted)*1.1:
		t.allowed = max(jamiMin, t.allowed*85/100)
		return t.pipe.WriteRTCP(rembPacket(codeDecrease))
	case rate < float64(wanted)*0.9 && t.allowed < 2*wanted:
		// A still picture needs less than is allowed; that is no reason to allow without end.
		t.allowed = min(jamiMax, t.allowed*105/100)
		return t.pipe.WriteRTCP(rembPacket(codeIncrease))
	}
	return nil
}

// rembPacket is the packet just as jamid writes it, SSRCs included.
func rembPacket(code uint32) []byte {
	return []byte{0x8f, 0xce, 0, 5, 0x12, 0x34, 0x56, 0x78, 0, 0, 0, 0, 'R', 'E', 'M', 'B',
		1, byte(code >> 16 & 3), byte(code >> 8), byte(code), 0x23, 0x45, 0x67, 0x8b}
}

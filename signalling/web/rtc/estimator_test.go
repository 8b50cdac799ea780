package rtc

import (
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/gcc"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/sdp/v3"
)

// A path is simulated: packets of 1200 bytes every 20 ms, feedback after each fifth.
func TestEstimatorAsksForEvidence(t *testing.T) {
	const rate = 1_000_000
	for _, c := range []struct {
		name  string
		delay func(n int) time.Duration // of packet n, one way and back
		lost  func(n int) bool
		holds bool // whether a lower target of GCC's is left out of account
	}{
		{"steady", func(int) time.Duration { return 20 * time.Millisecond }, nil, true},
		{"now and then late", func(n int) time.Duration { return time.Duration(20+n%7*8) * time.Millisecond }, nil, true},
		{"a queue", func(n int) time.Duration { return time.Duration(20+max(0, n-50)*10) * time.Millisecond }, nil, false},
		{"loss", func(int) time.Duration { return 20 * time.Millisecond }, func(n int) bool { return n > 50 && n%4 == 0 }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := time.Unix(1000, 0)
			inner, err := gcc.NewSendSideBWE(gcc.SendSideBWEInitialBitrate(rate), gcc.SendSideBWEPacer(gcc.NewNoOpPacer()))
			if err != nil {
				t.Fatal(err)
			}
			defer inner.Close()
			e := newEstimator(inner, 20*rate, func() time.Time { return now })
			w := e.AddStream(&interceptor.StreamInfo{SSRC: 1, RTPHeaderExtensions: []interceptor.RTPHeaderExtension{{URI: sdp.TransportCCURI, ID: 3}}},
				interceptor.RTPWriterFunc(func(*rtp.Header, []byte, interceptor.Attributes) (int, error) { return 0, nil }))
			e.estimate = 10 * rate // whatever GCC says in this test is lower
			for n := range 200 {
				h := rtp.Header{SSRC: 1, SequenceNumber: uint16(n)}
				if err := h.SetExtension(3, []byte{byte(n >> 8), byte(n)}); err != nil {
					t.Fatal(err)
				}
				if _, err := w.Write(&h, make([]byte, 1200), nil); err != nil {
					t.Fatal(err)
				}
				sent := now
				if n%5 == 4 {
					symbols := make([]uint16, 5)
					for i := range symbols {
						symbols[i] = rtcp.TypeTCCPacketReceivedSmallDelta
						if c.lost != nil && c.lost(n-4+i) {
							symbols[i] = rtcp.TypeTCCPacketNotReceived
						}
					}
					now = sent.Add(c.delay(n))
					e.mu.Lock()
					e.feedback(&rtcp.TransportLayerCC{
						BaseSequenceNumber: uint16(n - 4), PacketStatusCount: 5,
						PacketChunks: []rtcp.PacketStatusChunk{&rtcp.StatusVectorChunk{SymbolList: symbols}},
					})
					e.update(float64(inner.GetTargetBitrate()))
					e.mu.Unlock()
				}
				now = sent.Add(20 * time.Millisecond)
			}
			if held := e.GetTargetBitrate() >= 10*rate; held != c.holds {
				t.Errorf("estimate %d: held %v, want %v (loss %.2f, rtt %v, base %v)", e.GetTargetBitrate(), held, c.holds, e.loss, e.rtt.value(), e.base.value())
			}
		})
	}
}

// After congestion the estimate comes back fast to where the path was too narrow, and then
// feels its way.
func TestEstimatorGrowth(t *testing.T) {
	now := time.Unix(1000, 0)
	inner, err := gcc.NewSendSideBWE(gcc.SendSideBWEInitialBitrate(1_000_000), gcc.SendSideBWEPacer(gcc.NewNoOpPacer()))
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	e := newEstimator(inner, 4_000_000, func() time.Time { return now })
	run := func(seconds int) {
		for range seconds * 10 {
			now = now.Add(100 * time.Millisecond)
			e.update(100_000)
		}
	}
	e.grown = now
	run(10)
	if got := e.GetTargetBitrate(); got < 2_100_000 || got > 2_200_000 {
		t.Errorf("after 10 s without trouble: %d, want 1.08^10 times 1 Mbit/s", got)
	}
	e.loss = 0.2
	e.update(300_000)
	e.loss = 0
	if got := e.GetTargetBitrate(); got != 300_000 {
		t.Errorf("at congestion: %d", got)
	}
	run(10)
	if got := e.GetTargetBitrate(); got < 320_000 || got > 340_000 {
		t.Errorf("10 s after congestion: %d, want 1.01^10 times 300 kbit/s", got)
	}
	run(400)
	if got := e.GetTargetBitrate(); got != 4_000_000 {
		t.Errorf("long after: %d, want the most there is", got)
	}
}

func TestStatusesOfFeedback(t *testing.T) {
	fb := &rtcp.TransportLayerCC{
		BaseSequenceNumber: 65534, PacketStatusCount: 5,
		PacketChunks: []rtcp.PacketStatusChunk{
			&rtcp.RunLengthChunk{PacketStatusSymbol: rtcp.TypeTCCPacketReceivedSmallDelta, RunLength: 2},
			&rtcp.StatusVectorChunk{SymbolList: []uint16{0, rtcp.TypeTCCPacketReceivedLargeDelta, 0, 0, 0, 0, 0}},
		},
	}
	if newest, received, count := statuses(fb); newest != 1 || received != 3 || count != 5 {
		t.Errorf("newest %d, received %d of %d; want 1, 3 of 5", newest, received, count)
	}
}

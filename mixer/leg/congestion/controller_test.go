package congestion

import (
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/stretchr/testify/require"
)

func received(base uint16, ref uint32, deltas ...int64) *rtcp.TransportLayerCC {
	fb := &rtcp.TransportLayerCC{BaseSequenceNumber: base, PacketStatusCount: uint16(len(deltas)), ReferenceTime: ref}
	v := &rtcp.StatusVectorChunk{SymbolSize: rtcp.TypeTCCSymbolSizeTwoBit}
	for _, d := range deltas {
		symbol := uint16(rtcp.TypeTCCPacketNotReceived)
		if d >= 0 {
			symbol = rtcp.TypeTCCPacketReceivedLargeDelta
			fb.RecvDeltas = append(fb.RecvDeltas, &rtcp.RecvDelta{Type: symbol, Delta: d})
		}
		v.SymbolList = append(v.SymbolList, symbol)
	}
	fb.PacketChunks = []rtcp.PacketStatusChunk{v}
	return fb
}

// What feedback says is found for packets whose numbers wrap around, and what was missing may come after all.
func TestHistory(t *testing.T) {
	var h history
	for i := range 10 {
		h.add(uint16(65530+i), 100, time.Duration(i)*time.Millisecond, 0, false)
	}
	require.EqualValues(t, 1000, h.inFlight())
	acks, told, lost := h.read(received(65530, 1, 0, -1, 1000, -1, 1000))
	require.Len(t, acks, 3)
	require.Equal(t, 5, told)
	require.Equal(t, 2, lost)
	require.EqualValues(t, 500, h.inFlight())
	require.Equal(t, 64*time.Millisecond, acks[0].arrival)
	require.Equal(t, 66*time.Millisecond, acks[2].arrival)
	acks, told, lost = h.read(received(65531, 1, 9000, 0, -1, 0, 0, 0, 0, 0, 0))
	require.Len(t, acks, 6)
	require.Equal(t, 5, told)
	require.Equal(t, -1, lost, "one has come after all")
	require.Zero(t, h.inFlight())
	require.Nil(t, h.oldest())
	// A clock of 24 bits wraps around.
	h.add(4, 100, 20*time.Millisecond, 0, false)
	h.add(5, 100, 21*time.Millisecond, 0, false)
	acks, _, _ = h.read(received(4, 1<<24-1, 0))
	require.Equal(t, -64*time.Millisecond, acks[0].arrival)
	acks, _, _ = h.read(received(5, 0, 0))
	require.Zero(t, acks[0].arrival)
	// Nobody is believed what they say of packets that have not left.
	acks, told, _ = h.read(received(6, 5, 0, 0, 0))
	require.Empty(t, acks)
	require.Zero(t, told)
}

// A delay that holding pictures back has not changed at all is the way's. One that was gone in between was a queue, as long as another one may be that the
// key frame makes with which pictures go on.
func TestLongerWay(t *testing.T) {
	for _, dry := range []bool{false, true} {
		now := time.Unix(1000, 0)
		c := New(Config{Initial: 1_000_000, Min: 60_000, Max: 8_000_000, Now: func() time.Time { return now }})
		now = now.Add(10 * time.Second)
		at := c.now()
		c.queue = queue{any: true, baseSince: 9 * time.Second, least: never, opened: 9400 * ms, last: [3]time.Duration{92 * ms, 95 * ms, 93 * ms}, windows: 5, standing: never}
		c.phase, c.target, c.before, c.length, c.hold, c.check, c.dry = drain, 450_000, 2_000_000, 90*ms, at-200*ms, at-ms, dry
		c.settle(at, 9400*ms)
		require.Equal(t, steady, c.phase)
		require.EqualValues(t, map[bool]int{false: 2_000_000, true: 450_000}[dry], c.target)
	}
}

// As many packets are remembered as are without an answer, within bounds.
func TestHistoryGrows(t *testing.T) {
	var h history
	for i := range 1000 {
		h.add(uint16(i), 100, time.Duration(i)*time.Millisecond, 0, false)
	}
	require.Len(t, h.ring, 1024)
	require.EqualValues(t, 100_000, h.inFlight())
	acks, told, _ := h.read(received(0, 1, 0, 0, 0))
	require.Len(t, acks, 3)
	require.Equal(t, 3, told)
	for i := range 10_000 {
		h.add(uint16(1000+i), 100, time.Second, 0, false)
	}
	require.Len(t, h.ring, mostHistory)
	require.Nil(t, h.oldest(), "the oldest are forgotten")
}

// Whatever a receiver says, the target stays within its bounds, and nothing breaks.
func FuzzFeedback(f *testing.F) {
	for _, fb := range []*rtcp.TransportLayerCC{received(0, 1, 0, 250, -1, 500), received(20, 1<<23, 0), received(65535, 3, -1, -1, 250)} {
		fb.Header = rtcp.Header{Count: rtcp.FormatTCC, Type: rtcp.TypeTransportSpecificFeedback}
		b, err := fb.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, b)
	}
	f.Fuzz(func(t *testing.T, one, two []byte) {
		now := time.Unix(1000, 0)
		c := New(Config{Initial: 1_000_000, Min: 60_000, Max: 8_000_000, Now: func() time.Time { return now }})
		c.Want(2_000_000)
		seq := uint16(0)
		for range 8 {
			for _, b := range [][]byte{one, two} {
				for range 10 {
					c.Sent(seq, 1000)
					seq++
					now = now.Add(2 * time.Millisecond)
				}
				var fb rtcp.TransportLayerCC
				if fb.Unmarshal(b) != nil {
					continue
				}
				c.Feedback(&fb)
				fb.BaseSequenceNumber += seq
				c.Feedback(&fb)
				s := c.State()
				if s.Target < 60_000 || s.Target > 8_000_000 || s.Pace < 60_000 {
					t.Fatalf("%+v", s)
				}
				if hold := s.Hold.Sub(now); hold > 2*time.Second {
					t.Fatalf("pictures are held for %v", hold)
				}
				if p, ok := c.Probe(); ok {
					c.Sent(seq, p.Packet)
					seq++
					c.Probed()
				}
			}
		}
	})
}

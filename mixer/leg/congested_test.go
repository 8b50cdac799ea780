package leg

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/stretchr/testify/require"

	"rendezvous/mixer/ladder"
	"rendezvous/mixer/leg/congestion"
)

// told is feedback on a packet that has just arrived.
func told(seq uint16, since time.Time) *rtcp.TransportLayerCC {
	return &rtcp.TransportLayerCC{
		BaseSequenceNumber: seq, PacketStatusCount: 1, ReferenceTime: uint32(time.Since(since) / (64 * time.Millisecond)),
		PacketChunks: []rtcp.PacketStatusChunk{&rtcp.RunLengthChunk{PacketStatusSymbol: rtcp.TypeTCCPacketReceivedSmallDelta, RunLength: 1}},
		RecvDeltas:   []*rtcp.RecvDelta{{Type: rtcp.TypeTCCPacketReceivedSmallDelta, Delta: 1000 * (time.Since(since).Milliseconds() % 64)}},
	}
}

// What the path may carry beyond what is sent is probed with padding between two pictures, and a caller of whom nothing is heard any more is
// sent no pictures, but is asked whether they hear again.
func TestSenderProbesAndWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		l := New(Config{})
		path := congestion.New(congestion.Config{Initial: 600_000, Min: 60_000, Max: 8_000_000})
		_, video := attach(t, l, Media{Kind: Video, Send: h264, SSRC: 1, Congestion: path})
		seq, hears := uint16(0), true
		video.write = func() error {
			path.Sent(seq, 1000)
			if hears {
				path.Feedback(told(seq, began))
			}
			seq++
			return nil
		}
		l.Port().Enter(testRungs, nil)
		pts := uint32(0)
		pass := func(key bool) {
			want := watch(l)
			require.NotEmpty(t, want)
			if last := want[len(want)-1]; !last.Hold {
				pts += 3000
				l.Port().WriteUnit(unit(ladder.H264, last.Rung, key, pts, 1))
			}
			time.Sleep(time.Second / 30)
		}
		pass(true)
		pass(false)
		synctest.Wait()
		padding, pictures := 0, 0
		out := video.take()
		for i, p := range out {
			require.Equal(t, out[0].header.SequenceNumber+uint16(i), p.header.SequenceNumber)
			if p.header.Padding {
				require.EqualValues(t, len(p.payload), p.payload[len(p.payload)-1], "RFC 3550 section 5.1")
				require.EqualValues(t, 96, p.header.PayloadType)
				padding++
			} else {
				pictures++
			}
		}
		require.GreaterOrEqual(t, padding, 8)
		require.Equal(t, 2, pictures)
		require.Greater(t, path.State().Target, 900_000)

		hears = false
		for range 60 {
			pass(false)
		}
		require.True(t, path.State().Stalled)
		video.take()
		for range 60 {
			pass(false)
		}
		asked := video.take()
		require.InDelta(t, 10, len(asked), 2)
		for _, p := range asked {
			require.True(t, p.header.Padding)
		}
		hears = true
		time.Sleep(stallInterval)
		require.False(t, path.State().Stalled)
		for range 3 {
			pass(true)
		}
		out = video.take()
		require.False(t, out[len(out)-1].header.Padding)
		video.close()
		l.Close()
	})
}

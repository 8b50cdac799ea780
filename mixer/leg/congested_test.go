package leg

import (
	"sync/atomic"
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
		seq := uint16(0)
		var hears atomic.Bool
		hears.Store(true)
		video.write = func() error {
			path.Sent(seq, 1000)
			if hears.Load() {
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

		hears.Store(false)
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
		hears.Store(true)
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

// answering is a Transport whose peer answers questions, if it hears them, after a while.
type answering struct {
	*fake
	take  func(trip time.Duration)
	trip  atomic.Int64
	hears atomic.Bool
	asked atomic.Int32
}

func (a *answering) OnEcho(take func(trip time.Duration)) { a.take = take }

func (a *answering) Ask() bool {
	a.asked.Add(1)
	if trip := time.Duration(a.trip.Load()); a.hears.Load() {
		time.AfterFunc(trip, func() { a.take(trip) })
	}
	return true
}

// A caller who gives no feedback on each packet but answers questions is asked, pictures or not; while there is a queue on their path, or nothing is
// heard of them, pictures wait, and what is known is told.
func TestSenderAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{})
		peer := &answering{fake: newFake()}
		peer.trip.Store(int64(20 * time.Millisecond))
		peer.hears.Store(true)
		_, err := l.Attach(Media{Kind: Video, Send: h264, SSRC: 1, Transport: peer})
		require.NoError(t, err)
		l.Port().Enter(rangedRungs, nil)
		pts := uint32(0)
		pass := func(d time.Duration) (pictures int) {
			peer.fake.take()
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second / 30) {
				l.Port().Adapt(time.Now())
				if want := l.Port().Watching(nil); !want[len(want)-1].Hold {
					pts += 3000
					l.Port().WriteUnit(unit(ladder.H264, want[len(want)-1].Rung, true, pts, 7))
				}
			}
			synctest.Wait()
			return len(peer.fake.take()) / 7
		}
		require.InDelta(t, 60, pass(2*time.Second), 3)
		require.Greater(t, peer.asked.Load(), int32(20))
		q := l.Quality()
		require.Equal(t, 20, q.RoundTripMS)
		require.Zero(t, q.QueueMS)
		require.Positive(t, q.EstimateBPS)

		peer.trip.Store(int64(400 * time.Millisecond))
		pass(500 * time.Millisecond)
		require.Less(t, pass(400*time.Millisecond), 6)
		require.Greater(t, l.Quality().QueueMS, 300)
		peer.trip.Store(int64(20 * time.Millisecond))
		pass(8 * time.Second) // so little went that the path seemed to carry next to nothing
		require.Greater(t, pass(time.Second), 20)

		peer.hears.Store(false)
		pass(2 * time.Second)
		asked := peer.asked.Load()
		require.Zero(t, pass(time.Second))
		require.Greater(t, peer.asked.Load(), asked, "whether they hear again")
		peer.hears.Store(true)
		pass(500 * time.Millisecond)
		require.Greater(t, pass(time.Second), 20)
		peer.close()
		l.Close()
	})
}

// A caller who has agreed to give feedback on each packet, and gives none, is judged by their receiver reports and their bound; one who gives it
// after all is judged by that.
func TestFeedbackThatNeverComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		l := New(Config{})
		path := congestion.New(congestion.Config{Initial: 1_200_000, Min: 60_000, Max: 8_000_000})
		s, video := attach(t, l, Media{Kind: Video, Send: h264, SSRC: 1, Congestion: path})
		seq := uint16(0)
		var tells atomic.Bool
		video.write = func() error {
			path.Sent(seq, 1000)
			if tells.Load() {
				path.Feedback(told(seq, began))
			}
			seq++
			return nil
		}
		l.Port().Enter(rangedRungs, nil)
		pts := uint32(0)
		// pass sends pictures for a while, of which each quarter of a second a report tells how many packets were lost.
		pass := func(d time.Duration, lost uint8, bound float32) (budget int) {
			video.take()
			reported := time.Now()
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second / 30) {
				l.Port().Adapt(time.Now())
				want := l.Port().Watching(nil)
				w := want[len(want)-1]
				budget = w.Bitrate
				if !w.Hold {
					pts += 3000
					l.Port().WriteUnit(unit(ladder.H264, w.Rung, true, pts, 1+w.Bitrate/30/8/ladder.MaxPayload))
				}
				if time.Since(reported) < 250*time.Millisecond {
					continue
				}
				reported = time.Now()
				out := video.take()
				if len(out) == 0 {
					continue
				}
				rr := &rtcp.ReceiverReport{Reports: []rtcp.ReceptionReport{{SSRC: 1, FractionLost: lost, LastSequenceNumber: uint32(out[len(out)-1].header.SequenceNumber)}}}
				packets := []rtcp.Packet{rr}
				if bound > 0 {
					packets = append(packets, &rtcp.ReceiverEstimatedMaximumBitrate{Bitrate: bound, SSRCs: []uint32{1}})
				}
				s.control(packets, nil, time.Now())
			}
			return budget
		}
		require.Greater(t, pass(time.Second, 0, 0), 900_000, "nothing speaks against the first guess")
		bounded := pass(4*time.Second, 0, 300_000)
		require.Less(t, bounded, 300_000)
		require.Greater(t, bounded, 150_000)
		require.Less(t, pass(10*time.Second, 100, 300_000), bounded, "much is lost")

		tells.Store(true)
		require.Greater(t, pass(3*time.Second, 0, 300_000), 300_000)
		require.Equal(t, path.State().Target, l.Quality().EstimateBPS)
		video.close()
		l.Close()
	})
}

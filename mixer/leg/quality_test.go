package leg

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"

	"rendezvous/mixer/ladder"
	"rendezvous/mixer/leg/congestion"
)

// What is known of a path is told, and what is not known is not made up.
func TestQuality(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var later atomic.Int64 // nanoseconds: the leg's goroutines look, too
	l := New(Config{Now: func() time.Time { return now.Add(time.Duration(later.Load())) }})
	defer l.Close()
	require.Equal(t, Quality{QueueMS: -1, RoundTripMS: -1, LossDown: -1, LossUp: -1, Rung: -1, Reason: ReasonSound}, l.Quality())
	require.Equal(t, ClassUnknown, l.Quality().Class())

	s, f := attach(t, l, Media{Kind: Video, Receive: []Codec{h264}, Send: h264, SSRC: 7})
	defer f.close()
	l.Port().Enter(testRungs, nil)
	s.control([]rtcp.Packet{&rtcp.ReceiverEstimatedMaximumBitrate{Bitrate: 700_000}}, nil, now)
	q := l.Quality()
	require.Equal(t, 700_000, q.EstimateBPS)
	require.Equal(t, -1, q.Rung, "no picture yet")
	require.Equal(t, ReasonNone, q.Reason)
	require.Equal(t, ClassGood, q.Class())

	l.view.follow(aim{rung: 1})
	require.True(t, l.view.accept(&ladder.Unit{Key: true, Rung: 1, PTS: 1}, now))
	// A report that names our report of 200 ms ago, which waited at the caller for 150 ms of it.
	ours := toNTP(now.Add(-200 * time.Millisecond))
	l.trips.sending(ours, now.Add(-200*time.Millisecond))
	s.control([]rtcp.Packet{&rtcp.ReceiverReport{Reports: []rtcp.ReceptionReport{
		{SSRC: 8, FractionLost: 255, LastSenderReport: 1},
		{SSRC: 7, FractionLost: 26, LastSenderReport: uint32(ours >> 16), Delay: 150 << 16 / 1000},
	}}}, nil, now)
	q = l.Quality()
	require.InDelta(t, 50, q.RoundTripMS, 1)
	require.Equal(t, 10, q.LossDown)
	require.Equal(t, Quality{
		EstimateBPS: 700_000, QueueMS: 0, RoundTripMS: q.RoundTripMS, LossDown: 10, LossUp: -1,
		Rung: 1, Width: 640, Height: 360, FPS: 30, BitrateBPS: 600_000, Reason: ReasonBandwidth,
	}, q)
	require.Equal(t, ClassPoor, q.Class())

	later.Store(int64(time.Minute))
	require.Equal(t, -1, l.Quality().LossDown)
}

// What never came is counted over the last seconds, not since the beginning.
func TestLossUp(t *testing.T) {
	now := time.Unix(1000, 0)
	var clock atomic.Int64 // nanoseconds since then: the leg's goroutines look, too
	l := New(Config{Now: func() time.Time { return now.Add(time.Duration(clock.Load())) }})
	defer l.Close()
	s, f := attach(t, l, Media{Kind: Video, Receive: []Codec{h264}, Send: h264, SSRC: 7})
	defer f.close()
	l.Quality()
	packet, seq := rtp.Packet{}, uint16(0)
	sends := func(n, without int) {
		for i := range n {
			seq++
			if i < without {
				continue
			}
			p := rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 96, SSRC: 5, SequenceNumber: seq, Timestamp: uint32(seq) * 3000, Marker: true}, Payload: []byte{0x41, 0, 0}}
			raw, err := p.Marshal()
			require.NoError(t, err)
			s.receive(&packet, raw, l.cfg.Now())
			clock.Add(int64(10 * time.Millisecond))
		}
	}
	sends(100, 0)
	s.seen.lost.Add(25) // as the assembler counts when it has given them up
	clock.Add(int64(tallyEvery))
	require.Equal(t, 20, l.Quality().LossUp)
	sends(100, 0)
	require.Equal(t, 20, l.Quality().LossUp, "not two seconds later")
	clock.Add(int64(tallyEvery))
	require.Equal(t, 0, l.Quality().LossUp)
	clock.Add(int64(tallyEvery))
	require.Equal(t, -1, l.Quality().LossUp, "nothing comes")
}

func TestQualityClass(t *testing.T) {
	unknown := Quality{QueueMS: -1, RoundTripMS: -1, LossDown: -1, LossUp: -1, Rung: -1}
	for _, tt := range []struct {
		name string
		q    func(*Quality)
		want Class
	}{
		{"nothing", func(*Quality) {}, ClassUnknown},
		{"a phone", func(q *Quality) { q.LossUp, q.Reason = 0, ReasonSound }, ClassGood},
		{"some loss", func(q *Quality) { q.LossDown = 3 }, ClassFair},
		{"much loss", func(q *Quality) { q.LossUp = 9 }, ClassPoor},
		{"far away", func(q *Quality) { q.RoundTripMS = 301 }, ClassFair},
		{"a full queue", func(q *Quality) { q.QueueMS = 900 }, ClassPoor},
		{"a smaller picture", func(q *Quality) { q.Reason, q.BitrateBPS = ReasonBandwidth, 600_000 }, ClassFair},
		{"a small one", func(q *Quality) { q.Reason, q.BitrateBPS = ReasonBandwidth, 150_000 }, ClassPoor},
		{"a small one that is wanted", func(q *Quality) { q.Reason, q.BitrateBPS, q.RoundTripMS = ReasonPeer, 150_000, 20 }, ClassGood},
	} {
		q := unknown
		tt.q(&q)
		if got := q.Class(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// What a congestion controller measures is told instead of reports; a path of which it has heard nothing is as before.
func TestQualityMeasured(t *testing.T) {
	before := Quality{EstimateBPS: 1, QueueMS: -1, RoundTripMS: 50, LossDown: 1}
	q := before
	q.measured(congestion.State{Target: 1_200_000})
	require.Equal(t, before, q)
	q.measured(congestion.State{Known: true, Target: 800_000, Queue: 120 * time.Millisecond, RoundTrip: 40 * time.Millisecond, Loss: .03})
	require.Equal(t, Quality{EstimateBPS: 800_000, QueueMS: 120, RoundTripMS: 160, LossDown: 3}, q)
	require.Equal(t, ReasonBandwidth, reason(sending{rung: 2, still: true}, 2, q))
	require.Equal(t, ReasonPeer, reason(sending{rung: 2}, 2, q))
	require.Equal(t, ReasonLoss, reason(sending{rung: 2}, 1, Quality{LossDown: 20}))
}

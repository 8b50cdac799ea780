package leg

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/stretchr/testify/require"

	"rendezvous/mixer/audio"
	"rendezvous/mixer/ladder"
)

// What a caller has lost they are sent again, paced, once a round trip however often they ask, and nothing of before the path was found to
// carry less.
func TestResend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{})
		s, video := attach(t, l, Media{Kind: Video, Send: h264, SSRC: 1, Congestion: controlled(400_000)})
		l.Port().Enter(testRungs, nil)
		watch(l)
		l.Port().WriteUnit(unit(ladder.H264, 2, true, 3000, 20))
		time.Sleep(time.Second)
		sent := video.take()
		require.Len(t, sent, 20)
		first := sent[0].header.SequenceNumber
		ask := func(ssrc uint32, seqs ...uint16) {
			for i := range seqs {
				seqs[i] += first
			}
			s.control([]rtcp.Packet{&rtcp.TransportLayerNack{MediaSSRC: ssrc, Nacks: rtcp.NackPairsFromSequenceNumbers(seqs)}}, nil, time.Now())
			synctest.Wait()
		}
		ask(1, 3, 19)
		ask(1, 3)
		ask(2, 4) // of another stream
		ask(1, 40, 65000)
		again := video.take()
		require.Len(t, again, 2)
		for i, n := range []int{3, 19} {
			require.Equal(t, sent[n].header, again[i].header)
			require.Equal(t, sent[n].payload, again[i].payload)
		}
		time.Sleep(100 * time.Millisecond)
		ask(1, 3)
		require.Len(t, video.take(), 1, "it was lost once more")

		time.Sleep(100 * time.Millisecond)
		began := time.Now()
		ask(1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19)
		require.Less(t, len(video.take()), 5, "not all at once")
		time.Sleep(time.Second)
		rest := video.take()
		require.Greater(t, rest[len(rest)-1].at.Sub(began), 100*time.Millisecond)

		for range 20 {
			time.Sleep(50 * time.Millisecond)
			ask(1, 3)
		}
		require.Less(t, len(video.take()), mostResends, "nobody needs it so often")

		l.sender.cut.Add(1)
		ask(1, 3)
		time.Sleep(time.Second)
		require.Empty(t, video.take())
		video.close()
		l.Close()
	})
}

// Sound is sent again while it may be heard, and not as often as it is asked for.
func TestResendSound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{})
		s, sound := attach(t, l, Media{Kind: Audio, Send: opus, SSRC: 2})
		for n := range 10 {
			l.Port().WritePacket(audio.Packet{Payload: []byte{byte(n)}, Samples: audio.FrameSamples}, l.Port().Format())
			time.Sleep(20 * time.Millisecond)
		}
		out := sound.take()
		require.Len(t, out, 10)
		ask := func(n int) []sent {
			s.control([]rtcp.Packet{&rtcp.TransportLayerNack{MediaSSRC: 2, Nacks: []rtcp.NackPair{{PacketID: out[n].header.SequenceNumber}}}}, nil, time.Now())
			synctest.Wait()
			return sound.take()
		}
		again := ask(3)
		require.Len(t, again, 1)
		require.Equal(t, out[3].header, again[0].header)
		require.Equal(t, out[3].payload, again[0].payload)
		require.Empty(t, ask(3), "it is on its way")
		time.Sleep(30 * time.Millisecond)
		require.Len(t, ask(3), 1)
		time.Sleep(soundUntil)
		require.Empty(t, ask(9), "nobody would hear it")
		sound.close()
		l.Close()
	})
}

// Who asks for more than there is room for asks again; nothing grows.
func TestTooManyRequests(t *testing.T) {
	var r resends
	n := &rtcp.TransportLayerNack{}
	for i := range 200 {
		n.Nacks = append(n.Nacks, rtcp.NackPair{PacketID: uint16(17 * i), LostPackets: 0xffff})
	}
	for range 10 {
		require.True(t, r.request(n))
	}
	require.Len(t, r.asked, mostRequested)
	r.drop()
	require.Empty(t, r.work)
	require.False(t, r.request(&rtcp.TransportLayerNack{}))
	require.Nil(t, r.due(3, 0, 0, time.Hour, time.Now()), "nothing was sent")
}

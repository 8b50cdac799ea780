package rtc

import (
	"io"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/sdp/v3"
	"github.com/pion/transport/v2/packetio"
	"github.com/stretchr/testify/require"

	"rendezvous/mixer/leg/congestion"
)

const testTransportCC = 3

// newTestControl is a control without a connection, and what it reports.
func newTestControl(t *testing.T) (*control, *[]rtcp.Packet) {
	t.Helper()
	clock := newClock()
	t.Cleanup(clock.close)
	c := newControl(congestion.New(congestion.Config{Initial: initialBitrate, Min: minBitrate, Max: maxBitrate}), clock)
	sent := new([]rtcp.Packet)
	c.BindRTCPWriter(interceptor.RTCPWriterFunc(func(p []rtcp.Packet, _ interceptor.Attributes) (int, error) {
		*sent = append(*sent, p...)
		return 0, nil
	}))
	return c, sent
}

func streamInfo(ssrc, clockRate uint32) *interceptor.StreamInfo {
	return &interceptor.StreamInfo{SSRC: ssrc, ClockRate: clockRate, PayloadType: 111,
		RTPHeaderExtensions: []interceptor.RTPHeaderExtension{{URI: sdp.TransportCCURI, ID: testTransportCC}}}
}

func numbered(t *testing.T, ssrc uint32, seq, number uint16) []byte {
	t.Helper()
	h := rtp.Header{Version: 2, PayloadType: 111, SSRC: ssrc, SequenceNumber: seq, Timestamp: uint32(seq) * 960}
	require.NoError(t, h.SetExtension(testTransportCC, []byte{byte(number >> 8), byte(number)}))
	b, err := h.Marshal()
	require.NoError(t, err)
	return append(b, 0x78)
}

// What comes is told at the next tick, transport-wide, and each second in a receiver report with a block for each stream.
func TestControlReports(t *testing.T) {
	c, sent := newTestControl(t)
	now := c.began
	for _, ssrc := range []uint32{5, 6} {
		c.BindRemoteStream(streamInfo(ssrc, 48000), nil)
	}
	c.BindRemoteStream(streamInfo(7, 48000), nil) // of which nothing comes
	c.clock.remove(c)                             // the ticks are ours
	for i := range uint16(4) {
		now = now.Add(10 * time.Millisecond)
		c.count(5, numbered(t, 5, 10+i, 2*i), now)
		if i != 2 {
			c.count(6, numbered(t, 6, 65534+i, 2*i+1), now)
		}
	}
	c.count(5, []byte{1, 2, 3}, now) // is none
	c.count(9, numbered(t, 9, 1, 99), now)
	c.tick(now)
	require.Len(t, *sent, 2)
	report := (*sent)[0].(*rtcp.ReceiverReport)
	require.Len(t, report.Reports, 2)
	for _, b := range report.Reports {
		if b.SSRC == 5 {
			require.Equal(t, rtcp.ReceptionReport{SSRC: 5, LastSequenceNumber: 13, Jitter: b.Jitter}, b)
		} else {
			require.Equal(t, rtcp.ReceptionReport{SSRC: 6, LastSequenceNumber: 1<<16 | 1, FractionLost: 64, TotalLost: 1, Jitter: b.Jitter}, b)
		}
	}
	feedback := (*sent)[1].(*rtcp.TransportLayerCC)
	require.Equal(t, uint16(0), feedback.BaseSequenceNumber)
	require.Equal(t, uint16(8), feedback.PacketStatusCount)
	require.Len(t, feedback.RecvDeltas, 7, "number 5 is missing")

	*sent = nil
	c.tick(now.Add(feedbackEvery))
	require.Empty(t, *sent, "nothing has come")
	c.count(5, numbered(t, 5, 14, 8), now)
	c.tick(now.Add(2 * feedbackEvery))
	require.Len(t, *sent, 1, "feedback alone: the report is due later")
	c.UnbindRemoteStream(streamInfo(6, 48000))
	*sent = nil
	c.tick(now.Add(reportEvery))
	require.Len(t, *sent, 1)
	require.Len(t, (*sent)[0].(*rtcp.ReceiverReport).Reports, 1)
}

// Lost is what was not there at the report; a sender report's time comes back with how long ago it was.
func TestReceived(t *testing.T) {
	now := time.Unix(1000, 0)
	var r received
	r.clockRate = 48000
	for _, seq := range []uint16{100, 101, 103, 102, 106, 106, 107} { // 104 and 105 are missing
		r.packet(seq, uint32(seq)*960, now.Add(time.Duration(seq)*20*time.Millisecond))
	}
	r.senderReport(0x1122334455667788, now)
	b := r.report(1, now.Add(time.Second/2))
	require.Equal(t, rtcp.ReceptionReport{
		SSRC: 1, LastSequenceNumber: 107, TotalLost: 2, FractionLost: 64, LastSenderReport: 0x33445566, Delay: 32768,
	}, b, "evenly spaced packets have no jitter")
	r.packet(105, 105*960, now) // too late
	require.EqualValues(t, 2, r.report(1, now).TotalLost)
	r.packet(108+receivedWindow, 0, now)
	b = r.report(1, now)
	require.EqualValues(t, 255, b.FractionLost)
	r.packet(20, 20*960, now.Add(-time.Hour)) // older than all that is remembered
	require.Zero(t, r.report(1, now).FractionLost)
}

// What the peer reports goes to whom it concerns.
func TestControlGivesReports(t *testing.T) {
	c, sent := newTestControl(t)
	c.BindRemoteStream(streamInfo(5, 48000), nil)
	c.clock.remove(c)
	var ours, theirs [][]rtcp.Packet
	c.take(1, taker{ours: true, take: func(p []rtcp.Packet, err error) { require.NoError(t, err); ours = append(ours, p) }})
	c.take(5, taker{take: func(p []rtcp.Packet, err error) { require.NoError(t, err); theirs = append(theirs, p) }})
	hear := func(packets ...rtcp.Packet) {
		t.Helper()
		b, err := rtcp.Marshal(packets)
		require.NoError(t, err)
		about := map[uint32]bool{}
		for _, p := range packets {
			for _, ssrc := range p.DestinationSSRC() {
				about[ssrc] = true
			}
		}
		for ssrc := range about { // as pion's session does
			n, err := c.buffer(packetio.RTCPBufferPacket, ssrc).Write(b)
			require.NoError(t, err)
			require.Equal(t, len(b), n)
		}
	}
	hear(&rtcp.SenderReport{SSRC: 5, NTPTime: 1 << 16, Reports: []rtcp.ReceptionReport{{SSRC: 1, FractionLost: 3}}})
	require.Len(t, ours, 1)
	require.Len(t, ours[0][0].(*rtcp.SenderReport).Reports, 1)
	require.Len(t, theirs, 1)
	require.Empty(t, theirs[0][0].(*rtcp.SenderReport).Reports, "blocks are about streams of ours")
	require.EqualValues(t, 1, c.streams[5].sent)

	hear(&rtcp.TransportLayerCC{
		Header:     rtcp.Header{Count: rtcp.FormatTCC, Type: rtcp.TypeTransportSpecificFeedback, Length: 5, Padding: true},
		SenderSSRC: 5, MediaSSRC: 1, PacketStatusCount: 1,
		PacketChunks: []rtcp.PacketStatusChunk{&rtcp.RunLengthChunk{PacketStatusSymbol: rtcp.TypeTCCPacketReceivedSmallDelta, RunLength: 1}},
		RecvDeltas:   []*rtcp.RecvDelta{{Type: rtcp.TypeTCCPacketReceivedSmallDelta}},
	})
	require.Len(t, ours, 1, "feedback is the congestion controller's alone")
	hear(&rtcp.PictureLossIndication{SenderSSRC: 5, MediaSSRC: 1})
	require.Len(t, ours, 2)
	hear(&rtcp.PictureLossIndication{SenderSSRC: 5, MediaSSRC: 77})
	c.rtcp(1, []byte{1, 2})
	require.Len(t, ours, 2)
	require.Len(t, theirs, 1)
	require.Empty(t, *sent)
}

// A buffer that is handed over first gives what it has.
func TestHandOver(t *testing.T) {
	c, _ := newTestControl(t)
	b := c.buffer(packetio.RTPBufferPacket, 5)
	for _, p := range []string{"a", "b"} {
		_, err := b.Write([]byte(p))
		require.NoError(t, err)
	}
	var got []string
	c.handOver(5, func(p []byte) { got = append(got, string(p)) })
	c.handOver(6, nil) // is none
	_, err := b.Write([]byte("c"))
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b", "c"}, got)
	require.NoError(t, b.Close())
}

// The clock ticks for whom there is, and stands while there is nobody.
func TestClock(t *testing.T) {
	c, _ := newTestControl(t)
	ticked := make(chan struct{}, 100)
	c.BindRTCPWriter(interceptor.RTCPWriterFunc(func([]rtcp.Packet, interceptor.Attributes) (int, error) {
		ticked <- struct{}{}
		return 0, nil
	}))
	for range 2 { // the second time after it has stood
		c.BindRemoteStream(streamInfo(5, 48000), nil)
		c.count(5, numbered(t, 5, 1, 1), time.Now())
		<-ticked
		require.NoError(t, c.Close())
	}
}

// Nothing is allocated for a packet that is sent, nor to count one that has come.
func TestControlDoesNotAllocate(t *testing.T) {
	c, _ := newTestControl(t)
	n := uint16(0)
	track := &localTrack{control: c}
	c.bind(1, track)
	c.BindLocalStream(streamInfo(1, 48000), interceptor.RTPWriterFunc(func(h *rtp.Header, _ []byte, _ interceptor.Attributes) (int, error) {
		if x := h.GetExtension(testTransportCC); x[0] != byte(n>>8) || x[1] != byte(n) {
			t.Errorf("number %x instead of %x", x, n)
		}
		n++
		return 0, nil
	}))
	h, payload := rtp.Header{Version: 2, PayloadType: 111, SSRC: 1}, make([]byte, 80)
	raw := numbered(t, 5, 1, 1)
	c.BindRemoteStream(streamInfo(5, 48000), nil)
	now := c.began
	both := func() {
		h.SequenceNumber++
		if err := track.write(&h, payload); err != nil {
			t.Fatal(err)
		}
		now = now.Add(20 * time.Millisecond)
		raw[3]++
		c.count(5, raw, now)
	}
	for range 5000 { // the controller's history has its size
		both()
	}
	if a := testing.AllocsPerRun(1000, both); a > 0 {
		t.Errorf("%v allocations", a)
	}
}

// Streams that are made up cost a connection no more than mostBuffers buffers, and one that has ended costs nothing.
func TestMadeUpStreams(t *testing.T) {
	c := newControl(nil, nil)
	var all []io.ReadWriteCloser
	for ssrc := range uint32(10 * mostBuffers) {
		b := c.buffer(packetio.RTPBufferPacket, ssrc)
		n, err := b.Write(make([]byte, 100))
		require.NoError(t, err)
		require.Equal(t, 100, n)
		all = append(all, b)
	}
	require.Len(t, c.buffers, mostBuffers)
	for _, b := range all {
		require.NoError(t, b.Close())
	}
	require.Empty(t, c.buffers)
}

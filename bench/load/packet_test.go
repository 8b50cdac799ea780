package main

import (
	"net/netip"
	"testing"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"
)

// What a stream sends is read as what it is.
func TestStream(t *testing.T) {
	s := stream{ssrc: 7, payload: 111, level: 1, seq: 65535, time: 1000}
	var p rtp.Packet
	require.NoError(t, p.Unmarshal(s.append(nil, []byte{1, 2, 3}, 25, true)))
	require.Equal(t, []byte{1, 2, 3}, p.Payload)
	require.EqualValues(t, 65535, p.SequenceNumber)
	require.EqualValues(t, 1000, p.Timestamp)
	require.EqualValues(t, 7, p.SSRC)
	require.EqualValues(t, 111, p.PayloadType)
	require.Equal(t, []byte{25}, p.GetExtension(1))
	s.skip()

	p = rtp.Packet{}
	require.NoError(t, p.Unmarshal(s.append(nil, []byte{4}, 25, false)))
	require.EqualValues(t, 0, p.SequenceNumber, "it wraps, and nothing is missing")
	require.EqualValues(t, 1000+2*frameSamples, p.Timestamp, "a frame was left out")
	require.False(t, p.Extension)
	require.Equal(t, []byte{4}, p.Payload)

	s = stream{payload: 108}
	for i, last := range []bool{false, true, false} {
		p = rtp.Packet{}
		require.NoError(t, p.Unmarshal(s.appendPart(nil, []byte{9}, last)))
		require.Equal(t, last, p.Marker)
		require.EqualValues(t, i/2*pictureTicks, p.Timestamp)
	}
}

func TestReport(t *testing.T) {
	s := stream{ssrc: 7}
	packets, err := rtcp.Unmarshal(s.appendReport(nil, 0, 0))
	require.NoError(t, err)
	require.Equal(t, &rtcp.ReceiverReport{SSRC: 7, ProfileExtensions: []byte{}}, packets[0])
	packets, err = rtcp.Unmarshal(s.appendReport(nil, 9, 65540))
	require.NoError(t, err)
	require.Equal(t, []rtcp.ReceptionReport{{SSRC: 9, LastSequenceNumber: 65540}}, packets[0].(*rtcp.ReceiverReport).Reports)
}

func TestKinds(t *testing.T) {
	long := func(first ...byte) []byte { return append(first, make([]byte, 12)...) }
	check, err := newCredentials().check()
	require.NoError(t, err)
	for want, packets := range map[kind][][]byte{
		isOther: {nil, {0x80, 111}, long(0xff), long(70)},
		isSTUN:  {check},
		isDTLS:  {long(22), long(20)},
		isRTP:   {(&stream{payload: 111}).append(nil, comfort, 0, false), (&stream{payload: 108}).appendPart(nil, comfort, true)},
		isRTCP:  {(&stream{}).appendReport(nil, 9, 1), long(0x81, 200)},
	} {
		for _, b := range packets {
			require.Equal(t, want, kindOf(b), "%x", b)
		}
	}
}

// Packets that overtake each other are not lost, over the wrap of their numbers, too; another stream begins anew.
func TestReceived(t *testing.T) {
	var r received
	take := func(ssrc uint32, seqs ...uint16) {
		for _, seq := range seqs {
			r.take((&stream{ssrc: ssrc, seq: seq}).append(nil, comfort, 0, false), 100)
		}
	}
	take(1, 65533, 65534, 1, 65535, 2) // 0 is lost
	require.EqualValues(t, 5, r.packets)
	require.EqualValues(t, 500, r.bytes)
	require.EqualValues(t, 1, r.lost)
	require.EqualValues(t, 1<<16+2, r.highest)
	take(2, 100, 101)
	require.EqualValues(t, 1, r.lost)
	require.EqualValues(t, 101, r.highest)
}

// A key frame is whole only if nothing is missing since it began.
func TestKeyFrame(t *testing.T) {
	film, err := newFilm()
	require.NoError(t, err)
	require.Greater(t, len(film[0]), 2, "a key frame is of several packets")
	s := stream{payload: 108}
	packets := func(picture [][]byte) (all [][]byte) {
		for i, payload := range picture {
			all = append(all, s.appendPart(nil, payload, i == len(picture)-1))
		}
		return all
	}
	var k keyFrame
	for _, p := range packets(film[1]) {
		require.False(t, k.take(p), "of the picture before")
	}
	for i, p := range packets(film[0]) {
		if i != 1 {
			require.False(t, k.take(p), "one packet of it is missing")
		}
	}
	for _, p := range packets(film[1]) {
		require.False(t, k.take(p), "it needs the one that is not whole")
	}
	whole := packets(film[filmKeyEvery])
	for i, p := range whole {
		require.Equal(t, i == len(whole)-1, k.take(p))
	}
}

// Both sides answer each other's checks, and nobody else's.
func TestChecks(t *testing.T) {
	a, b := newCredentials(), newCredentials()
	a.remoteUfrag, a.remotePwd, b.remoteUfrag, b.remotePwd = b.ufrag, b.pwd, a.ufrag, a.pwd
	from := netip.MustParseAddrPort("127.0.0.1:5000")
	check, err := a.check()
	require.NoError(t, err)
	reply, answered, err := b.take(check, from)
	require.NoError(t, err)
	require.False(t, answered)
	none, answered, err := a.take(reply, from)
	require.NoError(t, err)
	require.True(t, answered)
	require.Nil(t, none)

	stranger := newCredentials()
	_, _, err = stranger.take(check, from)
	require.Error(t, err)
	stranger.remotePwd = "another"
	_, _, err = stranger.take(reply, from)
	require.Error(t, err)
}

func FuzzPacket(f *testing.F) {
	check, err := newCredentials().check()
	require.NoError(f, err)
	f.Add(check)
	f.Add((&stream{payload: 111, level: 1}).append(nil, comfort, 3, true))
	f.Add((&stream{payload: 108}).appendPart(nil, []byte{0x7c, 0x85, 1}, true))
	f.Add((&stream{}).appendReport(nil, 9, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r received
		var k keyFrame
		from := netip.MustParseAddrPort("127.0.0.1:5000")
		switch kindOf(b) {
		case isSTUN:
			if reply, answered, err := newCredentials().take(b, from); err == nil && (answered || reply != nil) {
				t.Fatal("a stranger's message was taken")
			}
		case isRTP:
			r.take(b, len(b))
			require.EqualValues(t, 1, r.packets)
		}
		k.take(b)
	})
}

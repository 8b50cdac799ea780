package leg

import (
	"slices"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

func TestMissingSoundIsAskedFor(t *testing.T) {
	var m missingSound
	start := time.Unix(1e9, 0)
	arrive := func(ms int, seq uint16, repeated int, want ...uint16) {
		t.Helper()
		if got := m.arrived(7, seq, repeated, start.Add(time.Duration(ms)*time.Millisecond)); !slices.Equal(got, want) {
			t.Fatalf("at %d ms, packet %d: asks for %v, not for %v", ms, seq, got, want)
		}
	}
	arrive(0, 65534, 0)
	arrive(40, 0, 0, 65535) // at once, across the end of the numbers
	arrive(60, 1, 0)        // too soon to ask again
	arrive(80, 2, 0, 65535)
	arrive(85, 65535, 0)
	arrive(100, 3, 0)
	arrive(140, 5, 1)       // 4 is repeated in it
	arrive(220, 9, 1, 6, 7) // 8 likewise
	arrive(225, 6, 0)
	arrive(260, 10, 1, 7)
	arrive(300, 11, 1, 7)
	arrive(340, 12, 1) // often enough
	arrive(400, 13, 1)
	arrive(500, 100, 0, 92, 93, 94, 95, 96, 97, 98, 99) // only what may still be of use
	arrive(520, 5000, 0)                                // begun anew
	arrive(540, 5001, 0)
	if got := m.arrived(8, 5010, 0, start.Add(time.Second)); len(got) > 0 {
		t.Errorf("of another stream it asks for %v", got)
	}
}

// TestAskingEnds where nobody answers, or too late; now and then it is tried again.
func TestAskingEnds(t *testing.T) {
	for _, answer := range []time.Duration{0, 30 * time.Millisecond, 250 * time.Millisecond} {
		var m missingSound
		now := time.Unix(1e9, 0)
		asked := 0
		late := make(map[time.Time]uint16)
		for seq := uint16(1); seq < 3000; seq++ { // a minute, of which each tenth packet is lost
			now = now.Add(20 * time.Millisecond)
			for at, s := range late {
				if !at.After(now) {
					m.arrived(7, s, 0, at)
					delete(late, at)
				}
			}
			if seq%10 == 0 {
				continue
			}
			for _, s := range m.arrived(7, seq, 0, now) {
				asked++
				if answer > 0 {
					late[now.Add(answer)] = s
				}
			}
		}
		switch useful := answer == 30*time.Millisecond; {
		case useful && asked < 290:
			t.Errorf("answers after %v: asked %d times for 299 packets", answer, asked)
		case !useful && (asked > 250 || asked < 10):
			t.Errorf("answers after %v: asked %d times", answer, asked)
		}
	}
}

// TestSoundIsAskedFor: of a stream that says that its sender sends again, what has not come and is not repeated is asked for.
func TestSoundIsAskedFor(t *testing.T) {
	for _, none := range []bool{false, true} {
		l := New(Config{})
		red := Codec{Name: "red", PayloadType: 63, ClockRate: 48000, Channels: 2}
		s, f := attach(t, l, Media{Kind: Audio, Receive: []Codec{red, opus}, SSRC: 9, NoRepair: none})
		var scratch rtp.Packet
		for _, p := range []rtp.Packet{
			{Header: rtp.Header{Version: 2, PayloadType: 111, SSRC: 7, SequenceNumber: 10}, Payload: []byte{0x78, 1}},
			{Header: rtp.Header{Version: 2, PayloadType: 111, SSRC: 7, SequenceNumber: 12, Timestamp: 1920}, Payload: []byte{0x78, 1}},
			{Header: rtp.Header{Version: 2, PayloadType: 63, SSRC: 7, SequenceNumber: 14, Timestamp: 3840}, Payload: []byte{0x80 | 111, 15, 0, 2, 111, 0x78, 1, 0x78, 1}},
		} {
			b, err := p.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			s.receive(&scratch, b, time.Unix(1e9, 0))
		}
		f.close()
		l.Close()
		var asked []uint16
		for _, p := range f.rtcp {
			n, ok := p.(*rtcp.TransportLayerNack)
			if !ok || n.SenderSSRC != 9 || n.MediaSSRC != 7 {
				t.Fatalf("sent %v", p)
			}
			for _, pair := range n.Nacks {
				asked = append(asked, pair.PacketList()...)
			}
		}
		want := []uint16{11}
		if none {
			want = nil
		}
		if !slices.Equal(asked, want) {
			t.Errorf("without repairs: %v; asked for %v", none, asked)
		}
	}
}

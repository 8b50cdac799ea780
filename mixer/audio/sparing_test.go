package audio_test

import (
	"testing"

	"github.com/hraban/opus"
	"github.com/pion/rtp"

	"rendezvous/mixer/audio"
	"rendezvous/mixer/audio/receive"
)

// opusSender is how a program encodes that sends 50 packets a second, and no levels.
type opusSender struct {
	name       string
	app        opus.Application
	bitrate    int
	complexity int
	vbr        bool
	loss       int
	packet     int  // samples
	calm       bool // does not look for voices
}

var opusSenders = []opusSender{
	{"hybrid, FEC, as browsers have it", opus.AppVoIP, 32000, 9, true, 10, 960, false},
	{"hybrid, 60 ms in a packet", opus.AppVoIP, 32000, 9, true, 0, 2880, false},
	{"SILK, 10 ms in a packet", opus.AppVoIP, 24000, 9, true, 0, 480, false},
	{"SILK CBR, FEC", opus.AppVoIP, 16000, 9, false, 10, 960, false},
	{"CELT", opus.AppAudio, 64000, 9, true, 0, 960, true},
	{"CELT of little delay, CBR", opus.AppRestrictedLowdelay, 32000, 5, false, 0, 960, true},
}

func (o opusSender) record(t testing.TB, x []int16) script {
	enc, err := opus.NewEncoder(audio.SampleRate, 1, o.app)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		enc.SetBitrate(o.bitrate), enc.SetComplexity(o.complexity), enc.SetVBR(o.vbr), enc.SetInBandFEC(o.loss > 0), enc.SetPacketLossPerc(o.loss),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	x = x[:len(x)/2880*2880]
	s := script{span: len(x) / audio.FrameSamples}
	for i := 0; i < len(x); i += o.packet {
		var b [1500]byte
		n, err := enc.Encode(x[i:i+o.packet], b[:])
		if err != nil {
			t.Fatal(err)
		}
		s.packets = append(s.packets, rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 96, Timestamp: uint32(i)}, Payload: b[:n]})
		s.levels = append(s.levels, receive.NoLevel)
	}
	return s
}

// TestTicksAllocateNothingForTheSilent counts what a tick allocates: a payload for each encode, of which there is one here.
func TestTicksAllocateNothingForTheSilent(t *testing.T) {
	for name, kind := range map[string]kindOfLeg{"levels": levelled, "DTX": dtx, "neither": hissing} {
		t.Run(name, func(t *testing.T) {
			r := newRoom()
			defer r.close()
			r.add(record(t, kind), 60)
			for range 400 {
				r.step()
			}
			if n := testing.AllocsPerRun(200, r.step); n > 1 {
				t.Errorf("%v allocations a tick", n)
			}
		})
	}
}

package codec_test

import (
	"math/rand/v2"
	"testing"

	"github.com/hraban/opus"

	"rendezvous/internal/sound"
	"rendezvous/mixer/audio/codec"
)

func TestLook(t *testing.T) {
	const (
		silk20, silk60  = 9 << 3, 11 << 3
		stereo          = 4
		celt20          = 31 << 3
		celt2           = 28 << 3
		voice, copies   = 0x80, 0x40
		two, twoOf, any = 1, 2, 3 // frames: of one length, of two, any number
	)
	for _, c := range []struct {
		name    string
		codec   string
		payload []byte
		want    codec.Sign
	}{
		{"another codec", "PCMU", make([]byte, 160), codec.Mute},
		{"nothing", "OPUS", nil, codec.Mute},
		{"left out", "OPUS", []byte{silk20}, codec.Quiet},
		{"comfort noise of a byte", "OPUS", []byte{silk20, 0xff}, codec.Quiet},
		{"SILK, no voice", "OPUS", []byte{silk20, 0x3f, 1}, codec.Quiet},
		{"SILK, a voice", "OPUS", []byte{silk20, voice, 1}, codec.Active},
		{"SILK, copies of a voice", "OPUS", []byte{silk20, copies, 1}, codec.Active},
		{"SILK, the last of 60 ms", "OPUS", []byte{silk60, 0x20, 1}, codec.Active},
		{"SILK, 60 ms without one", "OPUS", []byte{silk60, 0x0f, 1}, codec.Quiet},
		{"SILK, the side channel", "OPUS", []byte{silk20 | stereo, 0x20, 1}, codec.Active},
		{"SILK, the second frame", "OPUS", []byte{silk20 | two, 0, 1, voice, 1}, codec.Active},
		{"SILK, frames of two lengths", "OPUS", []byte{silk20 | twoOf, 2, 0, 1, voice, 1, 2}, codec.Active},
		{"SILK, frames of two lengths, no voice", "OPUS", []byte{silk20 | twoOf, 2, 0, voice, 0, 1, 2}, codec.Quiet},
		{"SILK, padded", "OPUS", []byte{silk20 | any, 0x40 | 1, 2, 0, 1, voice, voice}, codec.Quiet},
		{"SILK, padded, a voice", "OPUS", []byte{silk20 | any, 0x40 | 1, 2, voice, 1, 0, 0}, codec.Active},
		{"SILK, three frames", "OPUS", []byte{silk20 | any, 0x80 | 3, 2, 2, 0, 1, 0, 1, voice, 1}, codec.Active},
		{"more padding than packet", "OPUS", []byte{silk20 | any, 0x40 | 1, 255, 255}, codec.Mute},
		{"a frame longer than the packet", "OPUS", []byte{silk20 | twoOf, 9, 0}, codec.Mute},
		{"CELT, silence", "OPUS", []byte{celt20, 0xff, 0xfe}, codec.Quiet},
		// Of CELT's first bits the post-filter's flag is set where the first is; a transient takes the eighth above the rest.
		{"CELT, a pitch", "OPUS", []byte{celt20, 0xf0, 0, 0, 0}, codec.Active},
		{"CELT, a transient", "OPUS", []byte{celt20, 0x7f, 0, 0, 0}, codec.Active},
		{"CELT, energies anew", "OPUS", []byte{celt20, 0x6f, 0, 0, 0}, codec.Active},
		{"CELT of 2.5 ms, energies anew", "OPUS", []byte{celt2, 0x7f, 0, 0, 0}, codec.Active},
		{"CELT, nothing", "OPUS", []byte{celt20, 0x10, 0, 0, 0}, codec.Calm},
	} {
		if got := codec.Look(c.codec, c.payload); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// TestLookAtLibopus counts the signs of what libopus makes of noise and of speech.
func TestLookAtLibopus(t *testing.T) {
	voice := sound.Speech(t, "The quick brown fox jumps over the lazy dog.")
	r := rand.New(rand.NewPCG(1, 2))
	hiss := make([]int16, 10*48000)
	for i := range hiss {
		hiss[i] = int16(10 * r.NormFloat64())
	}
	for _, c := range []struct {
		name    string
		app     opus.Application
		bitrate int
		vbr     bool
		calm    codec.Sign
		active  int // percent of speech, at least, with its pauses
	}{
		{"hybrid", opus.AppVoIP, 32000, true, codec.Quiet, 80},
		{"SILK, padded to a constant rate", opus.AppVoIP, 16000, false, codec.Quiet, 80},
		{"CELT", opus.AppAudio, 96000, true, codec.Calm, 60},
	} {
		signs := func(x []int16) (n [codec.Quiet + 1]int) {
			enc, err := opus.NewEncoder(48000, 1, c.app)
			if err != nil {
				t.Fatal(err)
			}
			if err := enc.SetBitrate(c.bitrate); err != nil {
				t.Fatal(err)
			}
			if err := enc.SetVBR(c.vbr); err != nil {
				t.Fatal(err)
			}
			var b [codec.MaxPayload]byte
			for i := 0; i+960 <= len(x); i += 960 {
				k, err := enc.Encode(x[i:i+960], b[:])
				if err != nil {
					t.Fatal(err)
				}
				n[codec.Look("OPUS", b[:k])]++
			}
			return n
		}
		noise := signs(hiss)
		if noise[c.calm] < 480 {
			t.Errorf("%s: signs of 500 packets of noise %v", c.name, noise)
		}
		speech := signs(voice)
		if all := len(voice) / 960; speech[codec.Active]*100 < c.active*all {
			t.Errorf("%s: signs of %d packets of speech %v", c.name, all, speech)
		}
		t.Logf("%s: noise %v, speech %v", c.name, noise, speech)
	}
}

func TestLookAllocatesNothing(t *testing.T) {
	many := []byte{9<<3 | 3, 0x80 | 3, 2, 2, 0, 1, 0, 1, 0, 1}
	if n := testing.AllocsPerRun(100, func() { codec.Look("OPUS", many) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzLook(f *testing.F) {
	f.Add([]byte{9<<3 | 3, 0x80 | 3, 2, 2, 0, 1, 0, 1, 0x80, 1})
	f.Add([]byte{31<<3 | 3, 0x40 | 1, 255, 3, 1})
	f.Add([]byte{31<<3 | 2, 252, 1})
	f.Fuzz(func(t *testing.T, payload []byte) {
		sign := codec.Look("OPUS", payload)
		if sign > codec.Quiet {
			t.Fatal(sign)
		}
		if codec.Samples("OPUS", payload) == 0 && sign != codec.Mute {
			t.Fatalf("sign %d of what is no packet", sign)
		}
	})
}

func BenchmarkLook(b *testing.B) {
	silk, celt := make([]byte, 80), make([]byte, 80)
	silk[0], celt[0] = 15<<3, 31<<3
	for b.Loop() {
		codec.Look("OPUS", silk)
		codec.Look("OPUS", celt)
	}
}

package codec_test

import (
	"bytes"
	"math"
	"testing"

	"rendezvous/internal/sound"
	"rendezvous/mixer/audio/codec"
)

// silence is a tone, a pause of 4 s and the tone again, through an encoder and a decoder. quiet is
// what the pause's samples are, but for zeros.
func silence(t *testing.T, quiet int16) (packets [][]byte, heard []int16) {
	t.Helper()
	p := codec.Params{Name: "opus", Channels: 1, Bitrate: 32000}
	enc, err := codec.NewEncoder(p)
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	dec, err := codec.NewDecoder(p)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	var pcm [960]int16
	out := make([]int16, codec.MaxSamples)
	for n := range 300 {
		clear(pcm[:])
		if n < 50 || n >= 250 {
			copy(pcm[:], sound.Sine(440, 0.25, len(pcm), n*len(pcm)))
		}
		if pcm[1] == 0 {
			pcm[0] = quiet
		}
		packet, err := enc.Encode(nil, pcm[:])
		if err != nil {
			t.Fatal(err)
		}
		m, err := dec.Decode(out, packet)
		if err != nil {
			t.Fatal(err)
		}
		packets, heard = append(packets, packet), append(heard, out[:m]...)
	}
	return packets, heard
}

func TestOpusLongSilenceIsEncodedOnce(t *testing.T) {
	packets, heard := silence(t, 0)
	for n := 100; n < 250; n++ {
		if !bytes.Equal(packets[n], packets[99]) {
			t.Fatalf("packet %d of the pause differs from the one before", n)
		}
	}
	for i, v := range heard[60*960 : 249*960] {
		if v < -2 || v > 2 {
			t.Fatalf("%d is heard %d ms into the pause", v, (10*960+i)/48)
		}
	}
	// One sample of 1 has everything encoded: what is heard after the pause must be the same.
	_, encoded := silence(t, 1)
	var signal, difference float64
	for i := 250 * 960; i < 260*960; i++ {
		d := float64(heard[i]) - float64(encoded[i])
		signal += float64(encoded[i]) * float64(encoded[i])
		difference += d * d
	}
	db := 10 * math.Log10(signal/difference)
	t.Logf("after the pause: %.1f dB above the difference", db)
	if db < 20 {
		t.Errorf("the tone after the pause is only %.1f dB above its difference from one that was encoded throughout; want 20", db)
	}
}

package red_test

import (
	"bytes"
	"errors"
	"testing"

	"rendezvous/mixer/audio/red"
)

func TestSplitOfWhatAppendMakes(t *testing.T) {
	blocks := []red.Block{{111, 1920, []byte("before last")}, {111, 960, bytes.Repeat([]byte{7}, 1023)}, {111, 0, []byte("now")}}
	payload := red.Append([]byte("kept"), blocks)
	got, err := red.Split(nil, payload[4:])
	if err != nil || len(got) != 3 {
		t.Fatalf("%v, %v", got, err)
	}
	for i, b := range got {
		if b.PayloadType != 111 || b.Offset != blocks[i].Offset || !bytes.Equal(b.Payload, blocks[i].Payload) {
			t.Errorf("block %d: %v", i, b)
		}
	}
}

// TestExample is the packet of RFC 2198 section 4 in little: DVI4 (5) repeated as LPC (7).
func TestExample(t *testing.T) {
	payload := []byte{0x80 | 7, 160 >> 6, 160 << 2 & 0xff, 3, 5, 'l', 'p', 'c', 'd', 'v', 'i', '4'}
	got, err := red.Split(nil, payload)
	if err != nil || len(got) != 2 {
		t.Fatalf("%v, %v", got, err)
	}
	if b := got[0]; b.PayloadType != 7 || b.Offset != 160 || string(b.Payload) != "lpc" {
		t.Errorf("redundant block %v", b)
	}
	if b := got[1]; b.PayloadType != 5 || b.Offset != 0 || string(b.Payload) != "dvi4" {
		t.Errorf("primary block %v", b)
	}
}

func TestWhatDoesNotFitIsLeftOut(t *testing.T) {
	payload := red.Append(nil, []red.Block{{111, 1 << 14, []byte("old")}, {111, 960, make([]byte, 1024)}, {111, 0, []byte("now")}})
	if want := "\x6fnow"; string(payload) != want {
		t.Errorf("%q", payload)
	}
	got, err := red.Split(nil, []byte{0x80 | 111, 15, 0, 0, 111, 'x'})
	if err != nil || len(got) != 1 || string(got[0].Payload) != "x" {
		t.Errorf("an empty block: %v, %v", got, err)
	}
}

func TestRedundant(t *testing.T) {
	for payload, want := range map[string]int{"": 0, "\x6fopus": 0, "\xef\x0f\x00\x02\x6fab": 1, "\xef\x0f\x00\x02\xef\x07\x00\x02\x6fab": 2, "\xef\xef": 0} {
		if got := red.Redundant([]byte(payload)); got != want {
			t.Errorf("%x: %d", payload, got)
		}
	}
}

func TestMalformed(t *testing.T) {
	for _, payload := range [][]byte{nil, {}, {0x80 | 111}, {0x80 | 111, 0, 0}, {0x80 | 111, 0, 0, 1}, {0x80 | 111, 0, 0, 1, 111},
		bytes.Repeat([]byte{0x80, 0, 0, 0}, red.MaxBlocks+1)} {
		dst := []red.Block{{PayloadType: 1}}
		if got, err := red.Split(dst, payload); !errors.Is(err, red.ErrMalformed) || len(got) != 1 {
			t.Errorf("%x: %v, %v", payload, got, err)
		}
	}
}

func FuzzSplit(f *testing.F) {
	f.Add([]byte{0x80 | 111, 15, 0, 2, 111, 'a', 'b', 'c'})
	f.Add([]byte{111})
	f.Fuzz(func(t *testing.T, payload []byte) {
		blocks, err := red.Split(nil, payload)
		if err != nil {
			if len(blocks) != 0 {
				t.Fatal("blocks beside an error")
			}
			return
		}
		if len(blocks) == 0 || len(blocks) > red.MaxBlocks {
			t.Fatalf("%d blocks", len(blocks))
		}
		again, err := red.Split(nil, red.Append(nil, blocks))
		if err != nil || len(again) != len(blocks) {
			t.Fatalf("%v became %v, %v", blocks, again, err)
		}
		for i, b := range again {
			if b.PayloadType != blocks[i].PayloadType || b.Offset != blocks[i].Offset || !bytes.Equal(b.Payload, blocks[i].Payload) {
				t.Fatalf("block %d: %v became %v", i, blocks[i], b)
			}
		}
	})
}

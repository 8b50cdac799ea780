package av

import (
	"bytes"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"
)

// rss is the program's resident memory in bytes.
func rss(t *testing.T) int {
	t.Helper()
	runtime.GC()
	debug.FreeOSMemory()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(string(bytes.Fields(b)[1]))
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// TestNothingLeaks opens, uses and closes everything many times. What a cycle forgets
// would add up: a picture of 160x90 alone is 22 kB.
func TestNothingLeaks(t *testing.T) {
	for name, cycle := range map[string]func(*testing.T){
		"H264":      func(t *testing.T) { codecCycle(t, "H264") },
		"VP8":       func(t *testing.T) { codecCycle(t, "VP8") },
		"garbage":   garbageCycle,
		"sound":     soundCycle,
		"muxer":     muxerCycle,
		"converter": converterCycle,
	} {
		t.Run(name, func(t *testing.T) {
			const cycles = 50
			for range 20 {
				cycle(t)
			}
			// The allocators grow by steps; a leak grows every time.
			var grown []int
			for range 4 {
				before := rss(t)
				for range cycles {
					cycle(t)
				}
				left := rss(t) - before
				if left < cycles*10_000 {
					return
				}
				grown = append(grown, left/1024)
			}
			t.Errorf("rounds of %d cycles leave %v kB behind", cycles, grown)
		})
	}
}

func codecCycle(t *testing.T, codec string) {
	enc, err := NewVideoEncoder(VideoEncoderConfig{Codec: codec, Width: 160, Height: 90, FPS: 30, Bitrate: 500_000})
	if err != nil {
		t.Fatal(err)
	}
	dec, err := NewVideoDecoder(codec)
	if err != nil {
		t.Fatal(err)
	}
	in := testPicture(160, 90, 0)
	var held []*Picture
	for n := range 4 {
		if n == 2 {
			enc.SetBitrate(300_000)
		}
		data, _, err := enc.Encode(in, uint32(n*3000), n == 3)
		if err != nil {
			t.Fatal(err)
		}
		p, err := dec.Decode(data, 0)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, p)
	}
	enc.Close()
	held[0].Release()
	dec.Close()
	for _, p := range held[1:] {
		p.Release()
	}
}

func garbageCycle(t *testing.T) {
	for _, codec := range []string{"H264", "VP8", "H265", "VP9"} {
		dec, err := NewVideoDecoder(codec)
		if err != nil {
			t.Fatal(err)
		}
		for n := range 20 {
			p, err := dec.Decode(bytes.Repeat([]byte{0, 0, 0, 1, byte(0x60 + n), byte(n * 7), 0x9d, 0x01, 0x2a, 64, 1, 180}, 30), 0)
			if err == nil && p != nil {
				p.Release()
			}
		}
		dec.Close()
	}
	if _, err := NewVideoDecoder("MPEG1"); err == nil {
		t.Error("an unknown codec was opened")
	}
	if _, err := NewVideoEncoder(VideoEncoderConfig{Codec: "H264", Width: 3, Height: 5, FPS: 1, Bitrate: 1}); err == nil {
		t.Error("an odd size was opened")
	}
}

func soundCycle(t *testing.T) {
	enc, err := NewG722Encoder()
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	dec, err := NewG722Decoder()
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	r, err := NewResampler(16000, 48000)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	payload, err := enc.Encode(nil, make([]int16, 320))
	if err != nil {
		t.Fatal(err)
	}
	pcm, err := dec.Decode(nil, payload)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Resample(nil, pcm); err != nil {
		t.Fatal(err)
	}
}

func muxerCycle(t *testing.T) {
	m, err := NewMuxer(io.Discard, MuxerConfig{Format: "mp4", Tracks: []Track{{Codec: "opus", Channels: 1, Title: "mix"}}})
	if err != nil {
		t.Fatal(err)
	}
	for n := range int64(120) {
		if err := m.WritePacket(MuxPacket{PTS: n * 960, DTS: n * 960, Duration: 960, Key: true, Data: make([]byte, 80)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
}

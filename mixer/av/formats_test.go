package av

import (
	"fmt"
	"image"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/asticode/go-astiav"
)

// ffmpegStream lets the program ffmpeg encode so many frames of its test picture, and returns
// them: a stream that nobody here wrote.
func ffmpegStream(t *testing.T, n int, args ...string) [][]byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stream.nut")
	if strings.Contains(strings.Join(args, " "), "libx26") { // parameter sets go in band, as in RTP
		args = append(args, "-bsf:v", "dump_extra=freq=keyframe")
	}
	source := fmt.Sprintf("-v error -f lavfi -i testsrc2=size=322x182:rate=30 -frames:v %d", n)
	run(t, "ffmpeg", append(append(strings.Fields(source), args...), path)...)
	quiet()
	fc := astiav.AllocFormatContext()
	defer fc.Free()
	if err := fc.OpenInput(path, nil, nil); err != nil {
		t.Fatal(err)
	}
	defer fc.CloseInput()
	pkt := astiav.AllocPacket()
	defer pkt.Free()
	var frames [][]byte
	for fc.ReadFrame(pkt) == nil {
		frames = append(frames, pkt.Data())
		pkt.Unref()
	}
	if len(frames) != n {
		t.Fatalf("ffmpeg made %d frames of %d", len(frames), n)
	}
	return frames
}

// TestStreamsOfOthers decodes what phones and browsers may send: other profiles, pixel
// formats and codecs. Without B frames every frame must come out at once.
func TestStreamsOfOthers(t *testing.T) {
	for _, tc := range []struct{ name, codec, args string }{
		{"H264 baseline", "H264", "-c:v libx264 -profile:v baseline -pix_fmt yuv420p -tune zerolatency"},
		{"H264 high, several reference frames", "H264", "-c:v libx264 -profile:v high -pix_fmt yuv420p -bf 0 -refs 4"},
		{"H264 full range", "H264", "-c:v libx264 -pix_fmt yuvj420p -bf 0"},
		{"H264 4:2:2", "H264", "-c:v libx264 -pix_fmt yuv422p -bf 0"},
		{"H264 4:4:4", "H264", "-c:v libx264 -pix_fmt yuv444p -bf 0"},
		{"H264 10 bit", "H264", "-c:v libx264 -pix_fmt yuv420p10 -bf 0"},
		{"H264 interlaced", "H264", "-vf scale=320:184 -c:v libx264 -pix_fmt yuv420p -bf 0 -flags +ilme+ildct -x264-params tff=1"},
		{"H265", "H265", "-c:v libx265 -pix_fmt yuv420p -x265-params log-level=none:bframes=0"},
		{"VP8", "VP8", "-c:v libvpx -deadline realtime -lag-in-frames 0"},
		{"VP9", "VP9", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -lag-in-frames 0"},
		{"VP9 4:4:4", "VP9", "-c:v libvpx-vp9 -pix_fmt yuv444p -deadline realtime -cpu-used 8 -lag-in-frames 0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			frames := ffmpegStream(t, 12, strings.Fields(tc.args)...) // more than any of them refers to or holds back
			dec, err := NewVideoDecoder(tc.codec)
			if err != nil {
				t.Fatal(err)
			}
			defer dec.Close()
			for i, f := range frames {
				p, err := dec.Decode(f, uint32(i*3000))
				if err != nil {
					t.Fatal(err)
				}
				if p == nil {
					t.Fatalf("frame %d was held back", i)
				}
				if want := image.Pt(322, 182); p.Bounds().Size() != want && !strings.Contains(tc.args, "scale") {
					t.Errorf("%dx%d", p.Width, p.Height)
				}
				// testsrc2's left column: a red band at the top, a dark background elsewhere.
				dst := NewPicture(160, 90)
				if err := Scale(dst, dst.Bounds(), p, p.Bounds()); err != nil {
					t.Fatal(err)
				}
				low, high := byte(255), byte(0)
				for _, y := range dst.Y {
					low, high = min(low, y), max(high, y)
				}
				if low > 60 || high < 180 {
					t.Errorf("luma from %d to %d is no test picture", low, high)
				}
				p.Release()
			}
			if dec.keyFrameNeeded() {
				t.Error("a key frame is asked for")
			}
		})
	}
}

// TestLostFrames: after a loss the decoder goes on, and says that it needs a key frame
// where it noticed; the next key frame heals.
func TestLostFrames(t *testing.T) {
	for _, tc := range []struct{ codec, args string }{
		{"H264", "-c:v libx264 -tune zerolatency -pix_fmt yuv420p -x264-params keyint=10:scenecut=0"},
		{"VP8", "-c:v libvpx -deadline realtime -lag-in-frames 0 -g 10"},
	} {
		t.Run(tc.codec, func(t *testing.T) {
			frames := ffmpegStream(t, 30, strings.Fields(tc.args)...)
			dec, err := NewVideoDecoder(tc.codec)
			if err != nil {
				t.Fatal(err)
			}
			defer dec.Close()
			if p, err := dec.Decode(frames[1], 0); p != nil || (err == nil && !dec.keyFrameNeeded()) {
				t.Errorf("a start without a key frame gives %v, %v", p, err)
			}
			for i, f := range frames {
				switch {
				case i == 5:
					continue // lost
				case i == 15:
					f = f[:len(f)/3] // cut short
				}
				p, err := dec.Decode(f, uint32(i*3000))
				if p != nil {
					p.Release()
				}
				if err != nil && i != 15 {
					t.Errorf("frame %d: %v", i, err)
				}
			}
			if dec.keyFrameNeeded() {
				t.Error("key frames did not heal")
			}
		})
	}
}

// TestHugePicturesAreRefused: a few bytes must not cost gigabytes.
func TestHugePicturesAreRefused(t *testing.T) {
	dec, err := NewVideoDecoder("VP8")
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	// A VP8 key frame header that claims 16383x16383 (RFC 6386 §9.1).
	frame := append([]byte{0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0xff, 0x3f, 0xff, 0x3f}, make([]byte, 64)...)
	p, err := dec.Decode(frame, 0)
	if err == nil || p != nil {
		t.Errorf("%v, %v", p, err)
	}
}

func converterCycle(t *testing.T) {
	converterFrames.once.Do(func() {
		converterFrames.frames = ffmpegStream(t, 3, strings.Fields("-c:v libx264 -pix_fmt yuv444p -bf 0")...)
	})
	dec, err := NewVideoDecoder("H264")
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	for _, f := range converterFrames.frames {
		p, err := dec.Decode(f, 0)
		if err != nil {
			t.Fatal(err)
		}
		p.Release()
	}
}

var converterFrames struct {
	once   sync.Once
	frames [][]byte
}

func FuzzDecode(f *testing.F) {
	kinds := []string{"H264", "VP8", "H265", "VP9"}
	for i, codec := range kinds[:2] {
		enc, err := NewVideoEncoder(VideoEncoderConfig{Codec: codec, Width: 64, Height: 64, FPS: 30, Bitrate: 200_000})
		if err != nil {
			f.Fatal(err)
		}
		first, _, _ := enc.Encode(testPicture(64, 64, 0), 0, false)
		a := append([]byte(nil), first...)
		second, _, _ := enc.Encode(testPicture(64, 64, 9), 3000, false)
		f.Add(a, append([]byte(nil), second...), uint8(i))
		enc.Close()
	}
	f.Add([]byte{}, []byte{0}, uint8(2))
	f.Fuzz(func(t *testing.T, first, second []byte, kind uint8) {
		dec, err := NewVideoDecoder(kinds[int(kind)%len(kinds)])
		if err != nil {
			t.Fatal(err)
		}
		defer dec.Close()
		for _, data := range [][]byte{first, second, first} {
			p, _ := dec.Decode(data, 0)
			if p == nil {
				continue
			}
			if p.Width <= 0 || p.Height <= 0 || p.Width*p.Height > MaxPixels {
				t.Errorf("a picture of %dx%d", p.Width, p.Height)
			}
			// Every byte that the picture promises can be read.
			dst := NewPicture(16, 16)
			if err := Scale(dst, dst.Bounds(), p, p.Bounds()); err != nil {
				t.Error(err)
			}
			p.Release()
		}
	})
}

func FuzzNALUnits(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x01ab\x00\x00\x01c"))
	f.Fuzz(func(t *testing.T, data []byte) {
		total := 0
		for u := range NALUnits(data) {
			if len(u) == 0 {
				t.Error("an empty unit")
			}
			total += len(u) + 3
		}
		if total > len(data) {
			t.Errorf("%d bytes of units in %d", total, len(data))
		}
	})
}

func FuzzG722(f *testing.F) {
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, payload []byte) {
		dec, err := NewG722Decoder()
		if err != nil {
			t.Fatal(err)
		}
		defer dec.Close()
		pcm, err := dec.Decode(nil, payload)
		if err == nil && len(pcm) != 2*len(payload) {
			t.Errorf("%d samples of %d bytes", len(pcm), len(payload))
		}
	})
}

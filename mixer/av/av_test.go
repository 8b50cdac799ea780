package av

import (
	"errors"
	"math"
	"testing"

	"rendezvous/internal/sound"
)

// testPicture draws a moving pattern: diagonal stripes and a block, n pictures in.
func testPicture(w, h, n int) *Picture {
	p := NewPicture(w, h)
	for y := range h {
		row := p.Y[y*p.StrideY:][:w]
		for x := range row {
			row[x] = byte(64 + (x+y+2*n)%128)
		}
	}
	for y := range (h + 1) / 2 {
		for x := range (w + 1) / 2 {
			p.U[y*p.StrideU+x] = byte(96 + (x+n)%64)
			p.V[y*p.StrideV+x] = byte(96 + (y+n)%64)
		}
	}
	return p
}

// psnr compares luma, in dB.
func psnr(a, b *Picture) float64 {
	var sum float64
	for y := range a.Height {
		for x := range a.Width {
			d := float64(a.Y[y*a.StrideY+x]) - float64(b.Y[y*b.StrideY+x])
			sum += d * d
		}
	}
	if sum == 0 {
		return 100
	}
	return 10 * math.Log10(255*255*float64(a.Width*a.Height)/sum)
}

func TestEncodeDecode(t *testing.T) {
	for _, codec := range []string{"H264", "VP8"} {
		t.Run(codec, func(t *testing.T) {
			enc, err := NewVideoEncoder(VideoEncoderConfig{Codec: codec, Width: 320, Height: 180, FPS: 30, Bitrate: 1_000_000})
			if err != nil {
				t.Fatal(err)
			}
			defer enc.Close()
			dec, err := NewVideoDecoder(codec)
			if err != nil {
				t.Fatal(err)
			}
			defer dec.Close()
			if !dec.keyFrameNeeded() {
				t.Error("a new decoder needs no key frame")
			}
			var pts uint32 = math.MaxUint32 - 10*3000 // wraps on the way
			for n := range 40 {
				in := testPicture(320, 180, n)
				force := n == 20
				data, key, err := enc.Encode(in, pts, force)
				if err != nil {
					t.Fatal(err)
				}
				if want := n == 0 || force; key != want {
					t.Errorf("picture %d: key is %v, want %v", n, key, want)
				}
				out, err := dec.Decode(data, pts)
				if err != nil {
					t.Fatal(err)
				}
				if out == nil {
					t.Fatalf("picture %d did not come out at once", n)
				}
				if db := psnr(in, out); db < 28 {
					t.Errorf("picture %d: %.1f dB", n, db)
				}
				out.Release()
				pts += 3000
			}
			if dec.keyFrameNeeded() {
				t.Error("a key frame is needed after clean pictures")
			}
			if _, err := dec.Decode([]byte("this is not a frame of any codec"), pts); err == nil && !dec.keyFrameNeeded() {
				t.Error("garbage went unnoticed")
			}
		})
	}
}

func TestPicturesOutliveDecoder(t *testing.T) {
	enc, err := NewVideoEncoder(VideoEncoderConfig{Codec: "H264", Width: 64, Height: 64, FPS: 30, Bitrate: 500_000})
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	dec, err := NewVideoDecoder("H264")
	if err != nil {
		t.Fatal(err)
	}
	in := testPicture(64, 64, 0)
	data, _, err := enc.Encode(in, 0, false)
	if err != nil {
		t.Fatal(err)
	}
	out, err := dec.Decode(data, 0)
	if err != nil || out == nil {
		t.Fatal(out, err)
	}
	dec.Close()
	if _, err := dec.Decode(data, 1); !errors.Is(err, ErrClosed) {
		t.Errorf("Decode after Close: %v", err)
	}
	if db := psnr(in, out); db < 28 {
		t.Errorf("%.1f dB", db)
	}
	out.Release()
	dec.Close()
}

func TestSetBitrate(t *testing.T) {
	for _, codec := range []string{"H264", "VP8"} {
		t.Run(codec, func(t *testing.T) {
			enc, err := NewVideoEncoder(VideoEncoderConfig{Codec: codec, Width: 320, Height: 180, FPS: 30, Bitrate: 2_000_000})
			if err != nil {
				t.Fatal(err)
			}
			defer enc.Close()
			rate := func(from int) float64 {
				var bytes int
				for n := range 90 {
					data, _, err := enc.Encode(noise(320, 180, from+n), uint32(from+n)*3000, false)
					if err != nil {
						t.Fatal(err)
					}
					if n >= 30 {
						bytes += len(data)
					}
				}
				return float64(bytes) * 8 / 2
			}
			high := rate(0)
			enc.SetBitrate(300_000)
			low := rate(90)
			t.Logf("%.0f then %.0f bit/s", high, low)
			if high < 1_000_000 {
				t.Errorf("%.0f bit/s at first", high)
			}
			if low > 450_000 {
				t.Errorf("%.0f bit/s after SetBitrate(300000)", low)
			}
		})
	}
}

// noise is a smooth picture with some grain that changes, so that bits are wanted.
func noise(w, h, n int) *Picture {
	p := testPicture(w, h, n)
	seed := uint32(n)*2654435761 + 1
	for i := range p.Y {
		seed = seed*1664525 + 1013904223
		p.Y[i] += byte(seed>>24) & 15
	}
	return p
}

func TestG722(t *testing.T) {
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
	var payload []byte
	var out []int16
	for n := range 50 {
		payload, err = enc.Encode(payload[:0], sound.SineAt(16000, 440, 0.25, 320, n*320))
		if err != nil || len(payload) != 160 {
			t.Fatalf("%d bytes, %v", len(payload), err)
		}
		out, err = dec.Decode(out[:0], payload)
		if err != nil || len(out) != 320 {
			t.Fatalf("%d samples, %v", len(out), err)
		}
	}
	if got := sound.Amplitude(out, 440, 16000); got < 0.22 || got > 0.28 {
		t.Errorf("a 440 Hz tone of amplitude 0.25 comes back with %.3f", got)
	}
	if _, err := dec.Decode(nil, make([]byte, maxG722Payload+1)); err == nil {
		t.Error("an overlong packet was taken")
	}
}

func TestResampler(t *testing.T) {
	for _, rates := range [][2]int{{8000, 48000}, {48000, 8000}, {16000, 48000}, {48000, 16000}, {8000, 16000}, {16000, 8000}, {48000, 48000}, {44100, 48000}, {48000, 44100}} {
		r, err := NewResampler(rates[0], rates[1])
		if err != nil {
			t.Fatal(err)
		}
		block := rates[0] / 50
		var out, all []int16
		for n := range 100 {
			out, err = r.Resample(out[:0], sound.SineAt(float64(rates[0]), 500, 0.25, block, n*block))
			if err != nil {
				t.Fatal(err)
			}
			if len(out) != rates[1]/50 {
				t.Errorf("%v: block %d gives %d samples, want %d", rates, n, len(out), rates[1]/50)
				break
			}
			all = append(all, out...)
		}
		last := all[len(all)-rates[1]/5:]
		if got := sound.Amplitude(last, 500, float64(rates[1])); got < 0.2375 || got > 0.2625 {
			t.Errorf("%v: a tone of amplitude 0.25 comes out with %.4f", rates, got)
		}
		r.Close()
	}
}

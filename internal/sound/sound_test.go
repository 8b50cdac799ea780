package sound

import (
	"bytes"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

func TestAmplitude(t *testing.T) {
	x := Sine(1000, 0.3, 4800, 17)
	floats, small := make([]float64, len(x)), make([]float32, len(x))
	for i, v := range x {
		floats[i] = float64(v) / 32767
		small[i] = float32(floats[i])
	}
	for hertz, want := range map[float64]float64{1000: 0.3, 2000: 0, 440: 0} {
		for kind, got := range map[string]float64{
			"int16": Amplitude(x, hertz, Rate), "float64": Amplitude(floats, hertz, Rate), "float32": Amplitude(small, hertz, Rate),
		} {
			if math.Abs(got-want) > 1e-4 {
				t.Errorf("%s: %.0f Hz has an amplitude of %.5f, want %.1f", kind, hertz, got, want)
			}
		}
	}
	if a := Amplitude(SineAt(8000, 500, 0.5, 160, 160), 500, 8000); math.Abs(a-0.5) > 1e-4 {
		t.Errorf("at 8 kHz a tone of 0.5 has %.5f", a)
	}
	for _, n := range []int{0, 1} {
		if a := Amplitude(x[100:100+n], 1000, Rate); a != 0 {
			t.Errorf("in %d samples there is a tone of %v", n, a)
		}
	}
	if d := Decibels(0.01); math.Abs(d+40) > 1e-9 {
		t.Errorf("a hundredth is %v dB", d)
	}
}

// A tone goes on where it was left.
func TestSineGoesOn(t *testing.T) {
	if !slices.Equal(slices.Concat(Sine(440, 0.2, 960, 0), Sine(440, 0.2, 960, 960)), Sine(440, 0.2, 1920, 0)) {
		t.Error("two halves of a tone are not the tone")
	}
}

// ITU-T G.711 table 2, scaled to 16 bit, and each code as ffmpeg decodes it.
func TestULaw(t *testing.T) {
	for v, want := range map[int16]byte{0: 0xff, -1: 0x7f, 8: 0xfe, 1000: 0xce, -1000: 0x4e, 16384: 0x8f, 32767: 0x80, -32768: 0x00} {
		if got := ULaw(v); got != want {
			t.Errorf("ULaw(%d) = %#02x, want %#02x", v, got, want)
		}
	}
	var codes []byte
	for c := range 256 {
		codes = append(codes, byte(c))
		if c != 0x7f && ULaw(UnULaw(byte(c))) != byte(c) { // 0x7f is another zero
			t.Errorf("%#02x stands for %d, whose code is %#02x", c, UnULaw(byte(c)), ULaw(UnULaw(byte(c))))
		}
	}
	cmd := exec.Command("ffmpeg", "-v", "error", "-f", "mulaw", "-ar", "8000", "-ac", "1", "-i", "-", "-f", "s16le", "-")
	cmd.Stdin = bytes.NewReader(codes)
	theirs, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for c := range 256 {
		if got, want := UnULaw(byte(c)), int16(uint16(theirs[2*c])|uint16(theirs[2*c+1])<<8); got != want {
			t.Errorf("%#02x is %d, ffmpeg says %d", c, got, want)
		}
	}
}

// ffmpeg reads what WAV writes, as a whole and in part.
func TestFile(t *testing.T) {
	x := Sine(440, 0.2, Rate, 0)
	path := filepath.Join(t.TempDir(), "tone.wav")
	if err := os.WriteFile(path, WAV(x), 0o600); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(File(t, path), x) {
		t.Error("the file has another sound than was written")
	}
	if !slices.Equal(File(t, path, "-ss", "0.5", "-t", "0.2"), x[Rate/2:][:Rate/5]) {
		t.Error("a part of the file is not that part of the sound")
	}
}

func TestSpeech(t *testing.T) {
	x := Speech(t, "Good morning.")
	if n := len(x); n < Rate/2 || n > 3*Rate || slices.Max(x) < 1000 {
		t.Errorf("%d samples, the loudest %d", n, slices.Max(x))
	}
}

package audio

import (
	"math"
	"testing"
)

func sineSum(hertz float64, amplitude float64, from int) *[FrameSamples]int32 {
	var x [FrameSamples]int32
	for i := range x {
		x[i] = int32(math.Round(amplitude * math.Sin(2*math.Pi*hertz*float64(from+i)/SampleRate)))
	}
	return &x
}

func TestLimiterLeavesWhatFitsAlone(t *testing.T) {
	l := newLimiter()
	for i, a := range []float64{0, 1, 100, 29000, 32767} {
		x := sineSum(997, a, i*FrameSamples)
		var f Frame
		l.apply(&f, x)
		for j, v := range f {
			if int32(v) != x[j] {
				t.Fatalf("amplitude %v: sample %d is %d, want %d", a, j, v, x[j])
			}
		}
	}
}

func TestLimiterIsSoft(t *testing.T) {
	l := newLimiter()
	var out []int16
	var f Frame
	frames := 0
	next := func(a float64, n int) []int16 {
		from := len(out)
		for range n {
			l.apply(&f, sineSum(440, a, frames*FrameSamples))
			frames++
			out = append(out, f[:]...)
		}
		return out[from:]
	}
	next(20000, 10)
	loud := next(100000, 50) // +10 dBFS
	settled := loud[5*FrameSamples:]
	peak := 0
	for _, v := range settled {
		peak = max(peak, int(v), -int(v))
	}
	if peak < 27000 || peak > ceiling+1 {
		t.Errorf("a sum far too loud is limited to a peak of %d", peak)
	}
	// A clipped sine of this loudness has a third harmonic of -11 dB.
	if d := harmonic(settled, 440, 3); d > -50 {
		t.Errorf("limited, it has a third harmonic of %.1f dB", d)
	}
	after := next(20000, 100)
	if d := after[len(after)-1] - int16(sineSum(440, 20000, frames*FrameSamples-1)[0]); d > 1 || d < -1 {
		t.Errorf("2 s later the gain has not come back: off by %d", d)
	}
	// The steepest that is allowed for: the limited sine's own slope, 1670, and the attack at its onset.
	for i := 12 * FrameSamples; i < len(out)-1; i++ {
		if s := int(out[i+1]) - int(out[i]); s > 1800 || s < -1800 {
			t.Fatalf("a step of %d at sample %d", s, i)
		}
	}
}

// harmonic is the n-th harmonic against the first, in dB.
func harmonic(x []int16, hertz float64, n int) float64 {
	power := func(f float64) float64 {
		var re, im float64
		for i, v := range x {
			s, c := math.Sincos(2 * math.Pi * f * float64(i) / SampleRate)
			h := 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/float64(len(x)))
			re += h * c * float64(v)
			im += h * s * float64(v)
		}
		return re*re + im*im
	}
	return 10 * math.Log10(power(hertz*float64(n))/power(hertz))
}

func TestLimiterNeverWraps(t *testing.T) {
	l := newLimiter()
	var f Frame
	for i := range 200 {
		a := []float64{300, 3e6, 32768, 1e9, 5e5}[i%5]
		x := sineSum(313, a, i*FrameSamples)
		l.apply(&f, x)
		for j, v := range f {
			if x[j] > 0 && v < 0 || x[j] < 0 && v > 0 {
				t.Fatalf("frame %d, sample %d: %d becomes %d", i, j, x[j], v)
			}
		}
	}
}

func TestFormatsThatShareAnEncode(t *testing.T) {
	for _, c := range []struct{ in, want Format }{
		{Format{Codec: "opus", Channels: 2, Bitrate: 32000, Loss: 0}, Format{Codec: "opus", Channels: 1, Bitrate: 32000}},
		{Format{Codec: "opus", Bitrate: 32000, Loss: 2}, Format{Codec: "opus", Channels: 1, Bitrate: 32000, Loss: 0}},
		{Format{Codec: "opus", Bitrate: 32000, Loss: 5}, Format{Codec: "opus", Channels: 1, Bitrate: 32000, Loss: 10}},
		{Format{Codec: "opus", Bitrate: 32000, Loss: 10}, Format{Codec: "opus", Channels: 1, Bitrate: 32000, Loss: 10}},
		{Format{Codec: "opus", Bitrate: 32000, Loss: 90, DTX: true}, Format{Codec: "opus", Channels: 1, Bitrate: 32000, Loss: 20, DTX: true}},
		{Format{Codec: "PCMU", Bitrate: 64000, Loss: 10, DTX: true}, Format{Codec: "PCMU", Channels: 1}},
	} {
		if got := c.in.normal(); got != c.want {
			t.Errorf("%+v becomes %+v, want %+v", c.in, got, c.want)
		}
	}
}

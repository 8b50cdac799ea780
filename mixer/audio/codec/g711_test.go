package codec

import (
	"bytes"
	"encoding/binary"
	"os/exec"
	"testing"
)

// ffmpeg runs Debian's ffmpeg from bytes to bytes.
func ffmpeg(t *testing.T, in []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("ffmpeg", append([]string{"-hide_banner", "-loglevel", "error"}, args...)...)
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ffmpeg %v: %v: %s", args, err, stderr.Bytes())
	}
	return out
}

// TestG711AgainstFFmpeg decodes all codes with ffmpeg, and checks that each sample is compressed to a
// code whose value, by ffmpeg, is within half a step of it.
func TestG711AgainstFFmpeg(t *testing.T) {
	codes := make([]byte, 256)
	for i := range codes {
		codes[i] = byte(i)
	}
	for _, c := range []struct {
		format   string
		table    *[256]int16
		compress func(int16) byte
		overload int // largest value that is not clipped
	}{{"mulaw", &muLawTable, MuLaw, 32635}, {"alaw", &aLawTable, ALaw, 32767}} {
		raw := ffmpeg(t, codes, "-f", c.format, "-ar", "8000", "-ac", "1", "-i", "-", "-f", "s16le", "-")
		var theirs [256]int
		for i := range theirs {
			theirs[i] = int(int16(binary.LittleEndian.Uint16(raw[2*i:])))
			if int(c.table[i]) != theirs[i] {
				t.Errorf("%s: code %#02x is %d, ffmpeg says %d", c.format, i, c.table[i], theirs[i])
			}
		}
		for v := -c.overload; v <= c.overload; v++ {
			got := theirs[c.compress(int16(v))]
			step := 16 // of the lowest segment
			for top := 256; max(v, -v)+132 >= top; top *= 2 {
				step = top / 16
			}
			if d := got - v; d > step/2+8 || d < -step/2-8 {
				t.Fatalf("%s: %d becomes %d, further off than half a step of %d", c.format, v, got, step)
			}
		}
	}
}

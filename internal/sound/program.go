package sound

import (
	"bytes"
	"encoding/binary"
	"os/exec"
	"testing"
)

// Speech is espeak-ng's voice at 48 kHz, saying text.
func Speech(t testing.TB, text string) []int16 {
	t.Helper()
	wav, err := exec.Command("espeak-ng", "--stdout", text).Output()
	if err != nil {
		t.Fatalf("espeak-ng (Debian package espeak-ng): %v", err)
	}
	return decode(t, wav, "-")
}

// File is the sound of a file, whatever it is of, as ffmpeg decodes it: 48 kHz, and mono. args are
// options of ffmpeg's for its output, for one: -ss and -t, which part of the file.
func File(t testing.TB, path string, args ...string) []int16 {
	t.Helper()
	return decode(t, nil, path, args...)
}

func decode(t testing.TB, in []byte, path string, args ...string) []int16 {
	t.Helper()
	all := append([]string{"-hide_banner", "-loglevel", "error", "-i", path, "-vn"}, args...)
	cmd := exec.Command("ffmpeg", append(all, "-ac", "1", "-ar", "48000", "-f", "s16le", "-")...)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &stderr
	raw, err := cmd.Output()
	if err != nil {
		t.Fatalf("ffmpeg (Debian package ffmpeg) cannot decode %s: %v\n%s", path, err, stderr.Bytes())
	}
	x := make([]int16, len(raw)/2)
	for i := range x {
		x[i] = int16(binary.LittleEndian.Uint16(raw[2*i:]))
	}
	return x
}

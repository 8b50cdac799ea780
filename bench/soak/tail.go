package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"time"

	"rendezvous/internal/sound"
)

// tail reads a file of 16 bit sound that another program is still writing.
type tail struct {
	path           string
	rate, channels int
}

// listen takes what is added to the file from now on, of the first channel.
func (t tail) listen(ctx context.Context, d time.Duration) (s sound.Recording, err error) {
	f, err := os.Open(t.path)
	if err != nil {
		return s, err
	}
	defer f.Close()
	frame := 2 * t.channels
	info, err := f.Stat()
	if err != nil {
		return s, err
	}
	from := info.Size() - info.Size()%int64(frame)
	b := make([]byte, int(d.Seconds()*float64(t.rate))*frame)
	for n := 0; n < len(b); {
		k, _ := f.ReadAt(b[n:], from+int64(n)) // the end of the file is only that of now
		if n += k; n < len(b) {
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
				return s, fmt.Errorf("the sound stopped: %w", ctx.Err())
			}
		}
	}
	s.Rate = t.rate
	for at := 0; at < len(b); at += frame {
		s.PCM = append(s.PCM, float32(int16(binary.LittleEndian.Uint16(b[at:])))/32768)
	}
	return s, nil
}

// wavTail is a tail of a WAV file. All that its head must be complete for is the sound's format.
func wavTail(path string) (t tail, err error) {
	f, err := os.Open(path)
	if err != nil {
		return t, err
	}
	defer f.Close()
	// Microsoft's RIFF WAVE: "fmt " is first, 16 bytes, with the number of channels and the rate at 22 and 24.
	var head [44]byte
	if _, err := f.ReadAt(head[:], 0); err != nil {
		return t, fmt.Errorf("the head of a WAV file: %w", err)
	}
	t = tail{path, int(binary.LittleEndian.Uint32(head[24:])), int(binary.LittleEndian.Uint16(head[22:]))}
	if bits := binary.LittleEndian.Uint16(head[34:]); string(head[8:16]) != "WAVEfmt " || bits != 16 || t.rate == 0 || t.channels == 0 {
		return t, fmt.Errorf("a WAV file of %d bits, %d channels, %d Hz", bits, t.channels, t.rate)
	}
	return t, nil
}

// Package speech says announcements with espeak-ng. It is a conference.Speaker.
package speech

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"rendezvous/mixer/av"
)

// Espeak runs the program espeak-ng for each announcement.
type Espeak struct {
	path  string
	voice string
}

const (
	sampleRate = 48000
	// maxText bounds what is said, in bytes; maxTime how long espeak-ng may take; maxSound
	// what it may say, a minute and a half.
	maxText  = 1000
	maxTime  = 20 * time.Second
	maxSound = 90 * sampleRate
)

// New finds the program. voice is one of those that espeak-ng --voices lists, "en", "de".
// It fails if espeak-ng is not installed; a voice that it lacks is an error of Speak.
func New(voice string) (*Espeak, error) {
	path, err := exec.LookPath("espeak-ng")
	if err != nil {
		return nil, fmt.Errorf("announcements cannot be spoken: %w", err)
	}
	return &Espeak{path: path, voice: voice}, nil
}

// Speak returns the text as 48 kHz mono sound, of at most maxSound samples. Text is cut at
// maxText bytes. It fails if the program does, or takes longer than maxTime or ctx gives
// it.
func (e *Espeak) Speak(ctx context.Context, text string) ([]int16, error) {
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "")
	}
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	// The text goes through standard input: it is somebody's, and no argument.
	cmd := exec.CommandContext(ctx, e.path, "-v", e.voice, "--stdin", "--stdout")
	cmd.Stdin = strings.NewReader(text)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("speaking: %w: %s", err, strings.Join(strings.Fields(complaint.String()), " "))
	}
	pcm, rate, err := parseWAV(out.Bytes())
	if err != nil {
		return nil, fmt.Errorf("speaking: %w", err)
	}
	r, err := av.NewResampler(rate, sampleRate)
	if err != nil {
		return nil, fmt.Errorf("speaking: %w", err)
	}
	defer r.Close()
	pcm, err = r.Resample(nil, pcm)
	if err != nil {
		return nil, fmt.Errorf("speaking: %w", err)
	}
	return pcm[:min(len(pcm), maxSound)], nil
}

var errWAV = errors.New("espeak-ng gave no WAV of 16 bit mono sound")

// parseWAV reads the samples and their rate. espeak-ng cannot know the sizes when it
// writes to a pipe, so those of the outermost and the last chunk mean "to the end".
func parseWAV(b []byte) (pcm []int16, rate int, err error) {
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return nil, 0, errWAV
	}
	for b = b[12:]; len(b) >= 8; {
		kind, size := string(b[:4]), int(min(uint64(binary.LittleEndian.Uint32(b[4:])), uint64(len(b)-8)))
		body := b[8 : 8+size]
		switch kind {
		case "fmt ":
			// PCM, one channel, 16 bits a sample.
			if size < 16 || binary.LittleEndian.Uint16(body) != 1 || binary.LittleEndian.Uint16(body[2:]) != 1 || binary.LittleEndian.Uint16(body[14:]) != 16 {
				return nil, 0, errWAV
			}
			rate = int(binary.LittleEndian.Uint32(body[4:]))
		case "data":
			if rate < 8000 || rate > 192000 {
				return nil, 0, errWAV
			}
			pcm = make([]int16, size/2)
			for i := range pcm {
				pcm[i] = int16(binary.LittleEndian.Uint16(body[2*i:]))
			}
			return pcm, rate, nil
		}
		b = b[8+min(size+size%2, len(b)-8):]
	}
	return nil, 0, errWAV
}

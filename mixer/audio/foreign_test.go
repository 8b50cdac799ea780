package audio_test

import (
	"bytes"
	"encoding/binary"
	"os/exec"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v3/pkg/media/oggwriter"

	"rendezvous/internal/sound"
	"rendezvous/mixer/audio"
)

// TestForeignDecoder writes what a member is sent while they talk and are silent by turns to an Ogg
// file and has FFmpeg's own Opus decoder, not libopus, play it.
func TestForeignDecoder(t *testing.T) {
	for name, f := range map[string]audio.Format{
		"plain":    {Codec: "opus", Channels: 2, Bitrate: 48000},
		"with FEC": {Codec: "opus", Channels: 1, Bitrate: 40000, Loss: 10},
		"with DTX": {Codec: "opus", Channels: 2, Bitrate: 32000, DTX: true},
	} {
		t.Run(name, func(t *testing.T) {
			var packets []audio.Packet
			synctest.Test(t, func(t *testing.T) {
				b := audio.NewBus(audio.Config{})
				b.Add(newMember(t, "", tone(440, 0.3)))
				word := tone(1500, 0.2)
				tick := 0
				m := newMember(t, "opus", func(f *audio.Frame) bool {
					tick++
					return tick%100 < 20 && word(f)
				})
				m.format = f
				b.Add(m)
				time.Sleep(10*time.Second + time.Millisecond)
				b.Close()
				_, packets = m.sound()
			})
			path := filepath.Join(t.TempDir(), "heard.ogg")
			w, err := oggwriter.New(path, audio.SampleRate, 2)
			if err != nil {
				t.Fatal(err)
			}
			for i, p := range packets {
				h := rtp.Header{Version: 2, SequenceNumber: uint16(i), Timestamp: uint32(1 + i*audio.FrameSamples)}
				if err := w.WriteRTP(&rtp.Packet{Header: h, Payload: p.Payload}); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("ffmpeg", "-hide_banner", "-loglevel", "error", "-xerror", "-c:a", "opus", "-i", path, "-ac", "1", "-ar", "48000", "-f", "s16le", "-")
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			raw, err := cmd.Output()
			if err != nil || stderr.Len() > 0 {
				t.Fatalf("ffmpeg: %v: %s", err, stderr.Bytes())
			}
			x := make([]int16, len(raw)/2)
			for i := range x {
				x[i] = int16(binary.LittleEndian.Uint16(raw[2*i:]))
			}
			const preSkip = 3840 // of the Ogg writer
			if d := len(x) - 500*audio.FrameSamples + preSkip; d < -audio.FrameSamples || d > audio.FrameSamples {
				t.Errorf("10 s decode to %d samples", len(x))
			}
			for second := 1; second < 9; second++ {
				part := x[second*48000 : (second+1)*48000]
				if a := sound.Amplitude(part, 440, audio.SampleRate); a < 0.27 || a > 0.33 {
					t.Errorf("second %d: the other's tone of 0.3 has %.3f", second, a)
				}
				if a := sound.Amplitude(part, 1500, audio.SampleRate); sound.Decibels(a/0.2) > -40 {
					t.Errorf("second %d: they hear themselves: %.1f dB", second, sound.Decibels(a/0.2))
				}
			}
		})
	}
}

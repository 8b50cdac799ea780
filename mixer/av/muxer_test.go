package av

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/hraban/opus"
)

// run runs a program of FFmpeg's and fails the test if it fails or complains.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

type probe struct {
	Streams []struct {
		CodecName  string `json:"codec_name"`
		Level      int
		ColorSpace string `json:"color_space"`
		Profile    string
		Width      int
		Height     int
		Channels   int
		NbFrames   string `json:"nb_read_packets"`
		Tags       map[string]string
	}
	Format struct {
		FormatName string `json:"format_name"`
		Duration   string
		StartTime  string `json:"start_time"`
	}
}

func ffprobe(t *testing.T, path string) probe {
	t.Helper()
	var p probe
	out := run(t, "ffprobe", "-v", "error", "-count_packets", "-show_streams", "-show_format", "-of", "json", path)
	if err := json.Unmarshal([]byte(out), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// clip writes seconds of a moving picture and of one tone per audio track, and calls each
// after every packet's worth of 20 ms.
func clip(t *testing.T, m *Muxer, tracks []Track, seconds int, each func(ms int)) {
	t.Helper()
	var enc *VideoEncoder
	opusEncs := make([]*opus.Encoder, len(tracks))
	for i, tr := range tracks {
		var err error
		if tr.Codec == "H264" {
			enc, err = NewVideoEncoder(VideoEncoderConfig{Codec: "H264", Width: tr.Width, Height: tr.Height, FPS: 25, Bitrate: 300_000})
		} else {
			opusEncs[i], err = opus.NewEncoder(48000, tr.Channels, opus.AppVoIP)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if enc != nil {
		defer enc.Close()
	}
	buf := make([]byte, 1500)
	for ms := 0; ms < seconds*1000; ms += 20 {
		for i, tr := range tracks {
			var p MuxPacket
			if tr.Codec == "H264" {
				if ms%40 != 0 {
					continue
				}
				pts := int64(ms) * 90
				data, key, err := enc.Encode(testPicture(tr.Width, tr.Height, ms/40), uint32(pts), false)
				if err != nil {
					t.Fatal(err)
				}
				p = MuxPacket{Track: i, PTS: pts, DTS: pts, Duration: 3600, Key: key, Data: data}
			} else {
				pcm := make([]int16, 960*tr.Channels)
				for k := range pcm {
					n := ms*48 + k/tr.Channels
					pcm[k] = int16(8000 * math.Sin(2*math.Pi*float64(400*(i+1))*float64(n)/48000))
				}
				n, err := opusEncs[i].Encode(pcm, buf)
				if err != nil {
					t.Fatal(err)
				}
				p = MuxPacket{Track: i, PTS: int64(ms) * 48, DTS: int64(ms) * 48, Duration: 960, Key: true, Data: buf[:n]}
			}
			if err := m.WritePacket(p); err != nil {
				t.Fatal(err)
			}
		}
		if each != nil {
			each(ms)
		}
	}
}

func TestMuxer(t *testing.T) {
	video := Track{Codec: "H264", Width: 320, Height: 180}
	sound := func(title string) Track { return Track{Codec: "opus", Channels: 1, Title: title} }
	for _, tc := range []struct {
		name, file string
		cfg        MuxerConfig
	}{
		{"picture and sound", "a.mp4", MuxerConfig{Format: "mp4", Tracks: []Track{video, sound("mix")}}},
		{"three sounds", "b.mp4", MuxerConfig{Format: "mp4", Tracks: []Track{sound("mix"), video, sound("Zoë"), sound("李")}}},
		{"sound as MP4", "c.mp4", MuxerConfig{Format: "mp4", Tracks: []Track{sound("mix")}}},
		{"stereo Ogg", "d.ogg", MuxerConfig{Format: "ogg", Tracks: []Track{{Codec: "opus", Channels: 2}}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), tc.file)
			f, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			m, err := NewMuxer(f, tc.cfg)
			if err != nil {
				t.Fatal(err)
			}
			const seconds = 5
			clip(t, m, tc.cfg.Tracks, seconds, func(ms int) {
				// Whatever is in the file plays, up to two seconds ago, as if the program
				// had been killed now.
				if ms != 3500 {
					return
				}
				whole, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				cut := filepath.Join(t.TempDir(), "cut-"+tc.file)
				if err := os.WriteFile(cut, whole, 0o600); err != nil {
					t.Fatal(err)
				}
				p := ffprobe(t, cut)
				if d, _ := strconv.ParseFloat(p.Format.Duration, 64); d < 2 {
					t.Errorf("after 3.5 s the file holds %s s", p.Format.Duration)
				}
				run(t, "ffmpeg", "-v", "error", "-xerror", "-i", cut, "-map", "0", "-f", "null", "-")
			})
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
			p := ffprobe(t, path)
			if len(p.Streams) != len(tc.cfg.Tracks) {
				t.Fatalf("%d tracks", len(p.Streams))
			}
			d, _ := strconv.ParseFloat(p.Format.Duration, 64)
			if d < seconds-0.1 || d > seconds+0.1 {
				t.Errorf("the file lasts %v s, want %d", d, seconds)
			}
			for i, s := range p.Streams {
				want := tc.cfg.Tracks[i]
				if !strings.EqualFold(s.CodecName, want.Codec) || s.Channels != want.Channels || s.Width != want.Width {
					t.Errorf("track %d is %+v, want %+v", i, s, want)
				}
				if packets := map[string]string{"H264": "125", "opus": "250"}[want.Codec]; s.NbFrames != packets {
					t.Errorf("track %d has %s packets, want %s", i, s.NbFrames, packets)
				}
				if tc.cfg.Format == "mp4" && want.Title != "" && s.Tags["handler_name"] != want.Title {
					t.Errorf("track %d is called %q, want %q", i, s.Tags["handler_name"], want.Title)
				}
				if want.Codec == "H264" && (s.Profile != "Constrained Baseline" || s.Level != 12 || s.ColorSpace != "smpte170m") {
					t.Errorf("%s profile, level %d, colour space %s", s.Profile, s.Level, s.ColorSpace)
				}
			}
			run(t, "ffmpeg", "-v", "error", "-xerror", "-i", path, "-map", "0", "-f", "null", "-")
		})
	}
}

// TestMuxerFragments checks that time, not key frames, ends fragments.
func TestMuxerFragments(t *testing.T) {
	var w writes
	m, err := NewMuxer(&w, MuxerConfig{Format: "mp4", Tracks: []Track{{Codec: "H264", Width: 64, Height: 64}, {Codec: "opus", Channels: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	clip(t, m, m.cfg.Tracks, 6, nil)
	if n := bytes.Count(w.data, []byte("moof")); n < 5 {
		t.Errorf("%d fragments in 6 s with one key frame", n)
	}
	before := len(w.data)
	if err := m.Flush(); err != nil || len(w.data) == before {
		t.Errorf("Flush wrote %d bytes, %v", len(w.data)-before, err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestMuxerWaitsForKeyFrame: sound before the first key frame is kept, deltas are not.
func TestMuxerWaitsForKeyFrame(t *testing.T) {
	var w writes
	m, err := NewMuxer(&w, MuxerConfig{Format: "mp4", Tracks: []Track{{Codec: "H264", Width: 64, Height: 64}, {Codec: "opus", Channels: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	for n := range int64(3 * maxWaiting) {
		if err := m.WritePacket(MuxPacket{Track: 1, PTS: n * 960, DTS: n * 960, Duration: 960, Key: true, Data: []byte{0xf8}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.WritePacket(MuxPacket{Track: 0, Data: []byte{0, 0, 0, 1, 0x41, 1}}); err != nil {
		t.Fatal(err)
	}
	if len(w.data) != 0 || len(m.waiting) > maxWaiting {
		t.Errorf("%d bytes written, %d packets held", len(w.data), len(m.waiting))
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
}

// Sound that comes after the first picture and belongs before it is left out: what is written keeps its time.
func TestMuxerLeavesOutSoundBeforeTheStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "late.mp4")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := NewMuxer(f, MuxerConfig{Format: "mp4", Tracks: []Track{{Codec: "H264", Width: 320, Height: 180}, {Codec: "opus", Channels: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	enc, err := NewVideoEncoder(VideoEncoderConfig{Codec: "H264", Width: 320, Height: 180, FPS: 25, Bitrate: 300_000})
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	sounds, err := opus.NewEncoder(48000, 1, opus.AppVoIP)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1500)
	const first = 9300 // of 90 kHz: in the middle of a packet of sound
	for n := range 25 {
		data, key, err := enc.Encode(testPicture(320, 180, n), uint32(first+n*3600), false)
		if err != nil {
			t.Fatal(err)
		}
		pts := int64(first + n*3600)
		if err := m.WritePacket(MuxPacket{PTS: pts, DTS: pts, Duration: 3600, Key: key, Data: data}); err != nil {
			t.Fatal(err)
		}
		for k := 2 * n; k < 2*n+2; k++ {
			size, err := sounds.Encode(make([]int16, 960), buf)
			if err != nil {
				t.Fatal(err)
			}
			if err := m.WritePacket(MuxPacket{Track: 1, PTS: int64(k * 960), DTS: int64(k * 960), Duration: 960, Key: true, Data: buf[:size]}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	var times []int
	for line := range strings.FieldsSeq(run(t, "ffprobe", "-v", "error", "-select_streams", "a", "-show_entries", "packet=pts", "-of", "csv=p=0", path)) {
		n, err := strconv.Atoi(strings.Trim(line, ","))
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, n)
	}
	// Of 50 packets the first six begin before the picture. Fragments have each track begin at nought, and only the
	// second packet where it belongs.
	if len(times) != 44 || times[0] != 0 {
		t.Fatalf("%d packets of sound, at %v", len(times), times)
	}
	for i, at := range times[1:] {
		if at != (7+i)*960-first*48/90 {
			t.Fatalf("packets of sound at %v", times)
		}
	}
	run(t, "ffmpeg", "-v", "error", "-xerror", "-i", path, "-f", "null", "-")
}

func TestMuxerReportsFullDisk(t *testing.T) {
	w := &writes{limit: 20_000}
	m, err := NewMuxer(w, MuxerConfig{Format: "mp4", Tracks: []Track{{Codec: "opus", Channels: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	for n := int64(0); n < 5000 && failed == nil; n++ {
		failed = m.WritePacket(MuxPacket{PTS: n * 960, DTS: n * 960, Duration: 960, Key: true, Data: make([]byte, 100)})
	}
	if !errors.Is(failed, syscall.ENOSPC) {
		t.Errorf("a full disk gives %v", failed)
	}
	if err := m.Close(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Close gives %v", err)
	}
}

type writes struct {
	data  []byte
	limit int
}

func (w *writes) Write(b []byte) (int, error) {
	if w.limit > 0 && len(w.data)+len(b) > w.limit {
		return 0, fmt.Errorf("write: %w", syscall.ENOSPC)
	}
	w.data = append(w.data, b...)
	return len(b), nil
}

func TestNALUnits(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want []string
	}{
		{"", nil},
		{"abc", nil},
		{"\x00\x00\x01", nil},
		{"\x00\x00\x01a", []string{"a"}},
		{"\x00\x00\x00\x01ab\x00\x00\x00\x01c\x00\x00\x01\x00\x00\x01d\x00\x00", []string{"ab", "c", "d"}},
	} {
		var got []string
		for u := range NALUnits([]byte(tc.in)) {
			got = append(got, string(u))
		}
		if fmt.Sprint(got) != fmt.Sprint(tc.want) {
			t.Errorf("%q gives %q, want %q", tc.in, got, tc.want)
		}
	}
}

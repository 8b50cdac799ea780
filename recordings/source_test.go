package recordings

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rendezvous/internal/eventually"
	"rendezvous/internal/sound"
	"rendezvous/recordings/recordingstest"
	"rendezvous/recordings/sealed"
)

const width, height = recordingstest.Width, recordingstest.Height

func newRoom(t *testing.T) *recordingstest.Room {
	t.Helper()
	r, err := recordingstest.NewRoom()
	require.NoError(t, err)
	return r
}

// play lets the meeting go on for d of the clock's time.
func play(t *testing.T, r *recordingstest.Room, c *recordingstest.Clock, rec *Recording, d time.Duration) {
	t.Helper()
	for n := range int(d / (20 * time.Millisecond)) {
		require.NoError(t, r.Tick(rec, n))
		c.Advance(20 * time.Millisecond)
		if n%16 == 15 {
			settle(rec)
		}
	}
	settle(rec)
}

// settle waits until the writer has taken what is queued: the test's clock runs
// faster than a disk.
func settle(rec *Recording) {
	for {
		rec.queue.mu.Lock()
		n := rec.queue.n
		rec.queue.mu.Unlock()
		if n == 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func open(t *testing.T, dir string, change func(*Config)) *Library {
	t.Helper()
	cfg := Config{Log: quiet(), Dir: dir}
	if change != nil {
		change(&cfg)
	}
	l := Open(cfg)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	mended(t, l)
	return l
}

// mended waits until the library has no recordings to finish or repair, nor any deleted ones to remove.
func mended(t *testing.T, l *Library) {
	t.Helper()
	eventually.NoError(t, func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.jobs) > 0 || l.remains {
			return fmt.Errorf("%d recordings are being mended; are deleted ones left: %t", len(l.jobs), l.remains)
		}
		return nil
	})
}

// kinds are the ways in which recordings lie on the disk.
var kinds = []struct {
	name string
	keys sealed.Keyring
}{{"in the clear", nil}, {"sealed", sealed.Keyring{testKey(1)}}}

// testKey does not change from run to run.
func testKey(fill byte) sealed.Key {
	k, err := sealed.NewKey(bytes.Repeat([]byte{fill}, sealed.KeySize))
	if err != nil {
		panic(err)
	}
	return k
}

// inTheClear copies a file of a recording, in the clear, to where other programs can read it, and
// returns the path. What lies in the library's folder must be sealed if it is to be.
func inTheClear(t *testing.T, lib *Library, id, name string) string {
	t.Helper()
	f, file, err := lib.OpenFile(id, name)
	require.NoError(t, err)
	defer f.Close()
	data, err := io.ReadAll(f)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), file.Name)
	require.NoError(t, os.WriteFile(path, data, 0o600))

	e, err := lib.Get(id)
	require.NoError(t, err)
	raw, err := os.ReadFile(filepath.Join(lib.folder(&e), file.Name))
	require.NoError(t, err)
	require.Equal(t, len(lib.cfg.Keys) == 0, bytes.Equal(raw, data), file.Name)
	require.Equal(t, len(lib.cfg.Keys) > 0, sealed.IsSealed(bytes.NewReader(raw)), file.Name)
	return path
}

func request() Request {
	return Request{Room: "main", Title: "Main room", By: "Ann", Width: width, Height: height,
		People: []Person{{ID: "p1", Name: "Ann", Door: "web"}}}
}

// program runs an independent program and returns what it prints.
func program(t *testing.T, name string, args ...string) string {
	t.Helper()
	var stderr strings.Builder
	cmd := exec.Command(name, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%s %v\n%s", name, args, stderr.String())
	return string(out)
}

// probed is what ffprobe says of a file.
type probed struct {
	Streams []struct {
		CodecName string `json:"codec_name"`
		Width     int    `json:"width"`
		Height    int    `json:"height"`
		Channels  int    `json:"channels"`
	} `json:"streams"`
	Packets []struct {
		Index    int    `json:"stream_index"`
		PTS      string `json:"pts_time"`
		Duration string `json:"duration_time"`
	} `json:"packets"`
	Format struct {
		Duration string `json:"duration"`
	} `json:"format"`
}

func probe(t *testing.T, path string) probed {
	t.Helper()
	var p probed
	require.NoError(t, json.Unmarshal([]byte(program(t, "ffprobe", "-v", "error", "-show_streams", "-show_packets", "-show_format", "-of", "json", path)), &p))
	return p
}

// lasts is when the last packet of a stream ends.
func (p probed) lasts(t *testing.T, stream int) float64 {
	t.Helper()
	end := 0.0
	for _, k := range p.Packets {
		if k.Index == stream {
			end = max(end, number(t, k.PTS)+number(t, k.Duration))
		}
	}
	return end
}

// number reads what ffprobe prints; it leaves out a duration that the file does not tell.
func number(t *testing.T, text string) float64 {
	t.Helper()
	if text == "" {
		return 0
	}
	f, err := strconv.ParseFloat(text, 64)
	require.NoError(t, err)
	return f
}

// decodes checks that ffmpeg decodes the whole file without a complaint.
func decodes(t *testing.T, path string) {
	t.Helper()
	// Pictures come when they come: ffmpeg must not round their times to a steady rate.
	cmd := exec.Command("ffmpeg", "-v", "error", "-xerror", "-i", path, "-fps_mode", "vfr", "-f", "null", "-")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Empty(t, string(out), "ffmpeg's complaints about %s", path)
}

// colours are the red, green and blue of the middle of the picture, ten times a second.
func colours(t *testing.T, path string) [][3]byte {
	t.Helper()
	out := program(t, "ffmpeg", "-v", "error", "-i", path, "-vf", "fps=10,crop=2:2,scale=1:1", "-pix_fmt", "rgb24", "-f", "rawvideo", "-")
	require.NotEmpty(t, out)
	var all [][3]byte
	for ; len(out) >= 3; out = out[3:] {
		all = append(all, [3]byte{out[0], out[1], out[2]})
	}
	return all
}

// heard is the sound of a file, at the times at which it is played.
func heard(t *testing.T, path string) []int16 {
	t.Helper()
	return sound.File(t, path, "-af", "aresample=async=1:first_pts=0")
}

// levelAt is the level of a tone in 200 ms of sound from a time on, 0 to 1.
func levelAt(t *testing.T, pcm []int16, at, hz float64) float64 {
	t.Helper()
	from, to := int(at*sound.Rate), int((at+0.2)*sound.Rate)
	require.LessOrEqual(t, to, len(pcm), "too little sound at %.1f s", at)
	return sound.Amplitude(pcm[from:to], hz, sound.Rate)
}

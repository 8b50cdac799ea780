package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"

	"rendezvous/conference"
	"rendezvous/conference/settings"
	"rendezvous/conference/settings/settingstest"
	"rendezvous/internal/eventually"
	"rendezvous/internal/sound"
	"rendezvous/mixer"
	"rendezvous/mixer/audio/codec"
	"rendezvous/mixer/ladder"
	"rendezvous/mixer/leg"
	"rendezvous/moderation"
	"rendezvous/recordings"
)

// whistler is a caller who says one tone. It is their leg's Transport.
type whistler struct {
	hz     float64
	leg    *leg.Leg
	member *conference.Member
	in     chan []byte
	closed chan struct{}
	wg     sync.WaitGroup
	ended  chan conference.EndReason
}

func (w *whistler) ReadRTP(b []byte) (int, error) {
	select {
	case p := <-w.in:
		return copy(b, p), nil
	case <-w.closed:
		return 0, io.EOF
	}
}
func (w *whistler) WriteRTP(*rtp.Header, []byte) error { return nil }
func (w *whistler) OnRTCP(func([]rtcp.Packet, error))  {}
func (w *whistler) WriteRTCP([]rtcp.Packet) error      { return nil }

func (w *whistler) Admitted()                         {}
func (w *whistler) Info(*conference.Info)             {}
func (w *whistler) Chat(conference.Message)           {}
func (w *whistler) Notice(conference.Notice)          {}
func (w *whistler) Ended(reason conference.EndReason) { w.ended <- reason }

// whistle brings a caller into the room.
func whistle(t *testing.T, room *conference.Room, name string, hz float64) *whistler {
	t.Helper()
	w := &whistler{hz: hz, leg: leg.New(leg.Config{}), in: make(chan []byte, 64), closed: make(chan struct{}), ended: make(chan conference.EndReason, 1)}
	opus := leg.Codec{Name: "opus", PayloadType: 111, ClockRate: 48000, Channels: 2}
	_, err := w.leg.Attach(leg.Media{Kind: leg.Audio, Transport: w, Receive: []leg.Codec{opus}, Send: opus, SSRC: 1})
	require.NoError(t, err)
	enc, err := codec.NewEncoder(codec.Params{Name: "opus", Channels: 1, Bitrate: 48000})
	require.NoError(t, err)
	w.member, err = room.Join(context.Background(), conference.Caller{Door: "test", Name: name, Identity: "web:" + name}, w.leg, w)
	require.NoError(t, err)
	w.wg.Go(func() {
		defer enc.Close()
		begin := time.Now()
		for n := 0; ; n++ {
			payload, err := enc.Encode(nil, sound.Sine(hz, 0.27, codec.FrameSamples, n*codec.FrameSamples))
			if err != nil {
				t.Error(err)
				return
			}
			b, err := (&rtp.Packet{Header: rtp.Header{
				Version: 2, PayloadType: 111, SSRC: 7, SequenceNumber: uint16(n), Timestamp: uint32(n * codec.FrameSamples),
			}, Payload: payload}).Marshal()
			if err != nil {
				t.Error(err)
				return
			}
			select {
			case w.in <- b:
			case <-w.closed:
				return
			}
			select {
			case <-time.After(time.Until(begin.Add(time.Duration(n+1) * 20 * time.Millisecond))):
			case <-w.closed:
				return
			}
		}
	})
	return w
}

func (w *whistler) leave(t *testing.T) {
	t.Helper()
	w.member.Leave(conference.EndLeft)
	select {
	case <-w.ended:
	case <-time.After(patience):
		t.Fatal("not told of the end")
	}
	close(w.closed)
	w.wg.Wait()
	w.leg.Close()
}

// tones are the levels of tones in a file, in the second from a time on, 0 to 1.
func tones(t *testing.T, path string, at float64, hz ...float64) []float64 {
	t.Helper()
	pcm := sound.File(t, path, "-ss", fmt.Sprint(at), "-t", "1")
	require.Greater(t, len(pcm), 40000, "%s is too short", path)
	var levels []float64
	for _, f := range hz {
		levels = append(levels, sound.Amplitude(pcm, f, sound.Rate))
	}
	return levels
}

// A room that is always recorded, with a track of each participant: the meeting's file
// holds both tones, each track one.
func TestRecorder(t *testing.T) { synctest.Test(t, testRecorder) }

func testRecorder(t *testing.T) {
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	library := recordings.Open(recordings.Config{Log: log, Dir: dir})
	rungs := []ladder.Rung{{Width: 640, Height: 360, FPS: 15, Bitrate: 300_000}}
	host, err := conference.NewHost(conference.Config{
		Log: log, Mixer: mixer.Config{Width: 640, Height: 360, Rungs: rungs},
		Rooms:    settingstest.Rooms(settings.Room{Title: "Main room", Recording: moderation.RecordAlways}),
		Recorder: &recorder{library: library, best: rungs[0], tracks: func(room string) bool { return room == "main" }},
	})
	require.NoError(t, err)
	room, err := host.Room("main")
	require.NoError(t, err)

	ann := whistle(t, room, "Ann", 440)
	ben := whistle(t, room, "Ben", 1000)
	eventually.NoError(t, func() error {
		if list := library.List("main"); len(list) != 1 || list[0].Duration <= 6 {
			return fmt.Errorf("of a recording of more than 6 s there is %+v", list)
		}
		return nil
	})
	require.Equal(t, moderation.RecordingOn, room.Info().Recording)
	ben.leave(t)
	ann.leave(t)
	eventually.True(t, "the recording ends with the meeting", func() bool { return library.List("main")[0].State == recordings.Complete })
	host.Close()
	require.NoError(t, library.Close())

	e := library.List("main")[0]
	require.Greater(t, e.Duration, 5.0)
	require.Equal(t, 2, e.People)
	require.Len(t, e.Files, 3)
	path := func(i int) string { return filepath.Join(dir, "main", e.ID, e.Files[i].Name) }
	both := tones(t, path(0), 3, 440, 1000)
	require.Greater(t, both[0], 0.05, "Ann in the meeting")
	require.Greater(t, both[1], 0.05, "Ben in the meeting")
	for i, own := range map[string]float64{"Ann": 440, "Ben": 1000} {
		for n, f := range e.Files[1:] {
			if f.Title != i {
				continue
			}
			levels := tones(t, path(n+1), 3, own, 1440-own)
			require.Greater(t, levels[0], 0.05, "%s in their own track", i)
			require.Less(t, levels[1], 0.005, "the other in the track of %s", i)
		}
	}
	s, err := library.Sidecar(e.ID)
	require.NoError(t, err)
	require.NotEmpty(t, s.Speech, "who spoke when")
	out, err := exec.Command("ffprobe", "-v", "error", "-show_entries", "stream=codec_name,width,height", "-of", "csv=p=0", path(0)).CombinedOutput()
	require.NoError(t, err)
	require.Equal(t, "h264,640,360\nopus\n", string(out))
}

// A recording that is stopped before there is anything in it leaves nothing, and says so.
func TestNothingRecorded(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	library := recordings.Open(recordings.Config{Log: log, Dir: t.TempDir()})
	rung := ladder.Rung{Width: 640, Height: 360, FPS: 15, Bitrate: 300_000}
	m := mixer.New(mixer.Config{Log: log, Width: 640, Height: 360, Rungs: []ladder.Rung{rung}})
	defer m.Close()
	r := &recorder{library: library, best: rung, tracks: func(string) bool { return false }}
	rec, err := r.Start(t.Context(), conference.RecordingRequest{Room: "main", Mixer: m})
	require.NoError(t, err)
	require.ErrorIs(t, rec.Stop(), conference.ErrNothingRecorded)
	_, err = library.Get(rec.ID())
	require.ErrorIs(t, err, recordings.ErrNotFound)
	require.NoError(t, library.Close())
}

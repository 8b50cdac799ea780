package recordings

import (
	"fmt"
	"time"

	"rendezvous/mixer/av"
	"rendezvous/mixer/ladder"
)

// The tracks of a meeting's file.
const (
	videoTrack = 0
	audioTrack = 1
)

// silence is 20 ms of silence in Opus: one CELT fullband frame, mono (RFC 6716
// §3.1), that is coded in as few bits as there can be.
var silence = []byte{0xf8, 0xff, 0xfe}

// meeting is the file with the mixed sound and picture. It belongs to the
// recording's writer.
type meeting struct {
	file  *growing
	mux   *av.Muxer
	audio audioTimeline
	video videoTimeline
	// A picture is written when the next one has come: only then it is known how long it is shown.
	shown   *ladder.Unit
	shownAt int64 // ticks
}

// filmChannels is how many channels the sound of a meeting has.
const filmChannels = 1

// filmConfig is how all meetings are written: the head of one can be made again.
func filmConfig(width, height int, fragment time.Duration) av.MuxerConfig {
	return av.MuxerConfig{
		Format:   "mp4",
		Fragment: fragment,
		Tracks: []av.Track{
			videoTrack: {Codec: "H264", Width: width, Height: height},
			audioTrack: {Codec: "opus", Channels: filmChannels},
		},
	}
}

// newMeeting begins a recording's film.
func (r *Recording) newMeeting() (*meeting, error) {
	f, err := r.create(meetingFile)
	if err != nil {
		return nil, err
	}
	mux, err := av.NewMuxer(f, filmConfig(r.entry.Width, r.entry.Height, r.lib.cfg.Fragment))
	if err != nil {
		f.Close()
		return nil, err
	}
	return &meeting{file: f, mux: mux}, nil
}

func (m *meeting) sound(data []byte, at time.Duration) error {
	from, gap, keep := m.audio.place(at)
	if !keep {
		return nil
	}
	for range gap {
		if err := m.opus(silence, from); err != nil {
			return err
		}
		from += frameSamples
	}
	return m.opus(data, from)
}

func (m *meeting) opus(data []byte, at int64) error {
	return m.mux.WritePacket(av.MuxPacket{Track: audioTrack, PTS: at, DTS: at, Duration: frameSamples, Key: true, Data: data})
}

func (m *meeting) picture(u *ladder.Unit, at time.Duration) error {
	next := m.video.place(u.PTS, at)
	if err := m.show(next); err != nil {
		return err
	}
	m.shown, m.shownAt = u, next
	return nil
}

// show writes the waiting picture, which is shown until the time given.
func (m *meeting) show(until int64) error {
	if m.shown == nil {
		return nil
	}
	return m.mux.WritePacket(av.MuxPacket{
		Track: videoTrack, PTS: m.shownAt, DTS: m.shownAt, Duration: max(until-m.shownAt, 1), Key: m.shown.Key, Data: m.shown.Data,
	})
}

func (m *meeting) close() error {
	until := m.shownAt + videoClock/30
	if end := m.audio.next * videoClock / sampleRate; end > until && end-until < 10*videoClock {
		until = end // the last picture stays as long as there is sound
	}
	err := m.show(until)
	if e := m.mux.Close(); err == nil {
		err = e
	}
	if e := m.file.Sync(); err == nil && e != nil {
		err = fmt.Errorf("syncing: %w", e)
	}
	if e := m.file.Close(); err == nil {
		err = e
	}
	return err
}

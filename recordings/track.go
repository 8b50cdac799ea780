package recordings

import (
	"fmt"
	"os"
	"time"

	"rendezvous/mixer/audio"
	"rendezvous/mixer/audio/codec"
	"rendezvous/mixer/av"
)

// Track takes the sound of one participant. All tracks begin with the recording,
// so that they can be laid side by side.
type Track struct {
	rec  *Recording
	id   string
	name string
	file string

	// What follows belongs to the recording's writer.
	out    *os.File
	mux    *av.Muxer
	enc    codec.Encoder
	place  audioTimeline
	packet []byte
}

// trackBitrate is for one voice, bit/s.
const trackBitrate = 48000

// WriteFrame takes the participant's next 20 ms; it copies, queues and returns. Frames
// that are left out become silence.
func (t *Track) WriteFrame(f *audio.Frame) {
	if t.rec.paused.Load() {
		return
	}
	pcm := *f
	t.rec.queue.put(item{at: t.rec.now(), tap: t, pcm: &pcm})
}

func (t *Track) entry() File {
	return File{Name: t.file, Type: "audio/ogg", Participant: t.id, Title: t.name}
}

func (t *Track) open() error {
	out, err := create(t.rec.dir + "/" + t.file)
	if err != nil {
		return err
	}
	mux, err := av.NewMuxer(out, av.MuxerConfig{
		Format: "ogg", Fragment: t.rec.lib.cfg.Fragment,
		Tracks: []av.Track{{Codec: "opus", Channels: 1, Title: t.name}},
	})
	if err != nil {
		out.Close()
		return err
	}
	enc, err := codec.NewEncoder(codec.Params{Name: "opus", Channels: 1, Bitrate: trackBitrate})
	if err != nil {
		mux.Close()
		out.Close()
		return err
	}
	t.out, t.mux, t.enc = out, mux, enc
	t.place.started = true // from the beginning of the recording
	return nil
}

func (t *Track) write(pcm *audio.Frame, at time.Duration) error {
	if t.out == nil {
		if err := t.open(); err != nil {
			return fmt.Errorf("the track of %s: %w", t.name, err)
		}
	}
	from, gap, keep := t.place.place(at)
	if !keep {
		return nil
	}
	for range gap {
		if err := t.opus(silence, from); err != nil {
			return err
		}
		from += frameSamples
	}
	var err error
	if t.packet, err = t.enc.Encode(t.packet[:0], pcm[:]); err != nil {
		return fmt.Errorf("the track of %s: %w", t.name, err)
	}
	return t.opus(t.packet, from)
}

func (t *Track) opus(data []byte, at int64) error {
	return t.mux.WritePacket(av.MuxPacket{PTS: at, DTS: at, Duration: frameSamples, Key: true, Data: data})
}

func (t *Track) close() error {
	if t.out == nil {
		return nil
	}
	t.enc.Close()
	err := t.mux.Close()
	if e := t.out.Sync(); err == nil {
		err = e
	}
	if e := t.out.Close(); err == nil {
		err = e
	}
	return err
}

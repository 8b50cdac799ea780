package recordings

import (
	"fmt"
	"time"

	"rendezvous/mixer/audio"
	"rendezvous/mixer/av"
)

// Track takes the sound of one participant: it is an audio.Member to bring into the
// bus as a solo tap of theirs. All tracks begin with the recording, so that they can be
// laid side by side. A participant who says nothing leaves no file.
type Track struct {
	rec  *Recording
	id   string
	name string
	file string

	// What follows belongs to the recording's writer.
	out   *growing
	mux   *av.Muxer
	place audioTimeline
}

// trackBitrate is for one voice, bit/s.
const trackBitrate = 48000

// ReadFrame implements audio.Member: a track is silent.
func (t *Track) ReadFrame(*audio.Frame) bool { return false }

// ReadPrivate implements audio.Member.
func (t *Track) ReadPrivate(*audio.Frame) bool { return false }

// Format implements audio.Member.
func (t *Track) Format() audio.Format {
	if t.rec.paused.Load() {
		return audio.Format{}
	}
	return audio.Format{Codec: "opus", Channels: 1, Bitrate: trackBitrate}
}

// WritePacket implements audio.Member.
func (t *Track) WritePacket(p audio.Packet, _ audio.Format) {
	if t.rec.paused.Load() {
		return
	}
	data := p.Payload
	if p.Silent {
		data = silence // takes less room
	}
	t.rec.queue.put(item{at: t.rec.now(), tap: t, data: data, silent: p.Silent})
}

func (t *Track) entry() File {
	return File{Name: t.file, Type: "audio/ogg", Participant: t.id, Title: t.name}
}

func (t *Track) open() error {
	out, err := t.rec.create(t.file)
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
	t.out, t.mux = out, mux
	return nil
}

// begin opens the file and fills it with silence up to the first sound.
func (t *Track) begin(at time.Duration) error {
	if err := t.open(); err != nil {
		return fmt.Errorf("the track of %s: %w", t.name, err)
	}
	first := samples(at) / frameSamples * frameSamples
	for from := int64(0); from < first; from += frameSamples {
		if err := t.opus(silence, from); err != nil {
			return err
		}
	}
	t.place = audioTimeline{started: true, next: first}
	return nil
}

func (t *Track) write(data []byte, silent bool, at time.Duration) error {
	if t.out == nil {
		if silent {
			return nil
		}
		if err := t.begin(at); err != nil {
			return err
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
	return t.opus(data, from)
}

func (t *Track) opus(data []byte, at int64) error {
	err := t.mux.WritePacket(av.MuxPacket{PTS: at, DTS: at, Duration: frameSamples, Key: true, Data: data})
	if err != nil {
		return fmt.Errorf("the track of %s: %w", t.name, err)
	}
	return nil
}

func (t *Track) close() error {
	if t.out == nil {
		return nil
	}
	err := t.mux.Close()
	if e := t.out.Sync(); err == nil {
		err = e
	}
	if e := t.out.Close(); err == nil {
		err = e
	}
	return err
}

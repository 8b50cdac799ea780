package recordingstest

import (
	"bytes"
	"math"

	"rendezvous/internal/sound"
	"rendezvous/mixer/audio"
	"rendezvous/mixer/audio/codec"
	"rendezvous/mixer/av"
	"rendezvous/mixer/ladder"
)

// Width and Height are those of a room's pictures, in pixels.
const (
	Width  = 320
	Height = 180
)

// Room plays a room: a tone and a colour, encoded as bus and ladder do, 50 packets of sound and 25
// pictures a second. It is one goroutine's.
type Room struct {
	Hertz  float64
	Colour av.Colour

	video  *av.VideoEncoder
	audio  codec.Encoder
	pts    uint32
	sample int
}

// Recorder is what a room plays to: a recording.
type Recorder interface {
	audio.Member
	ladder.Viewer
}

// NewRoom makes a room of 1000 Hz and red. Close frees it.
func NewRoom() (*Room, error) {
	v, err := av.NewVideoEncoder(av.VideoEncoderConfig{Codec: "H264", Width: Width, Height: Height, FPS: 25, Bitrate: 200_000})
	if err != nil {
		return nil, err
	}
	a, err := codec.NewEncoder(codec.Params{Name: "opus", Channels: 1, Bitrate: 32000})
	if err != nil {
		v.Close()
		return nil, err
	}
	return &Room{Hertz: 1000, Colour: av.RGB(255, 0, 0), video: v, audio: a, pts: math.MaxUint32 - 90000}, nil
}

// Close frees the room's encoders.
func (r *Room) Close() {
	r.video.Close()
	r.audio.Close()
}

// Sound is the room's next 20 ms.
func (r *Room) Sound() (audio.Packet, error) {
	payload, err := r.audio.Encode(nil, sound.Sine(r.Hertz, 0.25, audio.FrameSamples, r.sample))
	r.sample += audio.FrameSamples
	return audio.Packet{Payload: payload, Samples: audio.FrameSamples}, err
}

// Tick gives the recorder the nth 20 ms of sound, and a picture if n is even.
func (r *Room) Tick(rec Recorder, n int) error {
	p, err := r.Sound()
	if err != nil {
		return err
	}
	if f := rec.Format(); f != (audio.Format{}) {
		rec.WritePacket(p, f)
	}
	if n%2 != 0 {
		return nil
	}
	return r.picture(rec)
}

func (r *Room) picture(rec Recorder) error {
	wants := rec.Watching(nil)
	r.pts += 3600
	if len(wants) == 0 {
		return nil
	}
	p := av.NewPicture(Width, Height)
	av.Fill(p, p.Bounds(), r.Colour)
	data, key, err := r.video.Encode(p, r.pts, wants[0].Key)
	if err != nil {
		return err
	}
	rec.WriteUnit(&ladder.Unit{Codec: ladder.H264, Rung: wants[0].Rung, Key: key, PTS: r.pts, Data: bytes.Clone(data)})
	return nil
}

//go:build !mixerready

// Package mixer is what a room sounds and looks like: one Mixer per room joins
// the legs of those present to a mix bus, a canvas and a ladder of shared
// encodes. It knows nothing of rooms, roles or signalling.
package mixer

import (
	"image"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rendezvous/mixer/audio"
	"rendezvous/mixer/ladder"
	"rendezvous/mixer/leg"
	"rendezvous/mixer/video"
)

// Config are the parameters of a Mixer.
type Config struct {
	Log     *slog.Logger
	Metrics *Metrics
	Width   int           // canvas, pixels; default 1280
	Height  int           // default 720
	Rungs   []ladder.Rung // default: the ladder's
}

// Metrics are the mixers' Prometheus metrics, shared by all rooms.
type Metrics struct {
	Leg *leg.Metrics
}

// NewMetrics makes the metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics { return &Metrics{Leg: leg.NewMetrics(reg)} }

// Attributes are what the room knows of a participant and the mix must obey or show.
type Attributes struct {
	Name       string
	Silenced   bool // his sound reaches nobody: muted by a moderator, no floor
	SelfMuted  bool // shown only
	Hand       bool
	HideVideo  bool // his camera is not shown
	HideScreen bool // his shared screen is not shown
	Invisible  bool // never gets a tile (observers, recorders)
	Order      int  // tiles are sorted by it, then by arrival
}

// Activity is what the mixer observes of one participant.
type Activity struct {
	Talking  bool
	Level    uint8         // -dBov, 0 loudest, 127 silence
	TalkTime time.Duration // since he was added
}

// Tile is where one of a participant's streams lies on the canvas.
type Tile struct {
	ID     string // participant
	Label  string // "main", "screen"
	Rect   image.Rectangle
	Active bool
	Video  bool // a moving picture is shown, not an avatar
}

// Mixer mixes one room. Its clocks run only while somebody is in it. All methods
// are safe for concurrent use and return without waiting for media.
type Mixer struct{}

// New returns a mixer with nobody in it.
func New(cfg Config) *Mixer { return nil }

// Add puts a participant's leg into the mix.
func (m *Mixer) Add(id string, l *leg.Leg, a Attributes) {}

// Remove takes it out; when it returns the leg is no longer called.
func (m *Mixer) Remove(id string) {}

// Set changes a participant's attributes.
func (m *Mixer) Set(id string, a Attributes) {}

// SetLayout chooses how the canvas is divided.
func (m *Mixer) SetLayout(l video.Layout) {}

// SetPinned makes one stream the active tile; id "" goes back to the talker.
func (m *Mixer) SetPinned(id, label string) {}

// SetHideNonVideo leaves participants without a picture off the canvas.
func (m *Mixer) SetHideNonVideo(on bool) {}

// Size is the canvas in pixels.
func (m *Mixer) Size() (width, height int) { return 1280, 720 }

// Announce plays 48 kHz mono sound to everybody in the room.
func (m *Mixer) Announce(pcm []int16) {}

// Activity returns what is observed of each participant now.
func (m *Mixer) Activity() map[string]Activity { return nil }

// Tiles returns the canvas as it was last composed and a version that grows when
// any tile changed.
func (m *Mixer) Tiles() ([]Tile, uint64) { return nil, 0 }

// AddRecorder lets somebody who is no participant hear the whole mix and watch
// the picture, from packets that are made anyway where possible. Either may be nil.
func (m *Mixer) AddRecorder(a audio.Member, v ladder.Viewer) {}

// RemoveRecorder ends it; when it returns neither is called any more.
func (m *Mixer) RemoveRecorder(a audio.Member, v ladder.Viewer) {}

// Close stops the clocks and waits for them. Legs must have been removed.
func (m *Mixer) Close() {}

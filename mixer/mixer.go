// Package mixer is what a room sounds and looks like: one Mixer per room joins
// the legs of those present to a mix bus, a canvas and a ladder of shared
// encodes. It knows nothing of rooms, roles or signalling.
package mixer

import (
	"image"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rendezvous/mixer/audio"
	"rendezvous/mixer/ladder"
	"rendezvous/mixer/leg"
	"rendezvous/mixer/overload"
	"rendezvous/mixer/video"
)

// Config says how large a room's picture is and in which qualities it is encoded. Zero
// values mean the defaults; without Log and Metrics nothing is logged or counted.
type Config struct {
	Log     *slog.Logger
	Metrics *Metrics
	Width   int           // canvas, pixels; default 1280
	Height  int           // default 720
	Rungs   []ladder.Rung // default: the ladder's

	// Overload says what the host gives up for its load at the moment; nil: nothing, ever.
	Overload *overload.Control
}

// Metrics are the mixers' Prometheus metrics, shared by all rooms.
type Metrics struct {
	Audio  *audio.Metrics
	Ladder *ladder.Metrics
	Leg    *leg.Metrics

	tileDelay prometheus.Histogram
}

// NewMetrics registers the metrics of mixers and legs on reg, which may be nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{Ladder: ladder.NewMetrics(reg), Leg: leg.NewMetrics(reg)}
	m.tileDelay = prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: "rendezvous", Subsystem: "mixer", Name: "tile_seconds",
		Help:    "From the first decoded picture of a camera or screen to an encoded picture with its tile.",
		Buckets: []float64{.02, .05, .1, .15, .2, .3, .5, 1, 2}})
	if reg != nil {
		reg.MustRegister(m.tileDelay)
		m.Audio = audio.NewMetrics(reg)
	}
	return m
}

// Attributes are what the room knows of a participant and the mix must obey or show.
type Attributes struct {
	Name       string
	Silenced   bool // their sound reaches nobody: muted by a moderator, no floor
	SelfMuted  bool // shown only
	Hand       bool
	HideVideo  bool // their camera is not shown
	HideScreen bool // their shared screen is not shown
	Invisible  bool // never gets a tile (observers, recorders)
	Order      int  // tiles are sorted by it, then by arrival
}

// Activity is what the mixer observes of one participant.
type Activity struct {
	Talking  bool
	Level    uint8         // -dBov, 0 loudest, 127 silence
	TalkTime time.Duration // since they were added
	Fault    audio.Fault   // of what SetProcessing has looked for
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
// are safe for concurrent use; those that take somebody out wait for at most the
// tick that is being made, the others for nothing but them, and only Close for a picture.
type Mixer struct {
	cfg    Config
	log    *slog.Logger
	bus    *audio.Bus
	canvas *video.Canvas
	ladder *ladder.Ladder
	cost   cost

	// life is held while somebody comes or goes and while attributes reach the bus, so that
	// bus and picture clock agree on who is there. Taken before mu.
	life sync.Mutex

	mu        sync.Mutex // guards all below, and is never held while media is worked on
	members   []*member  // in order of arrival
	recorders []*presence
	version   uint64 // grows when members, their attributes or recorders change
	hideIdle  bool
	loop      *pictureLoop    // nil while nobody is in the room
	ended     <-chan struct{} // closed when the last loop that was told to has ended; nil: there was none
	tiles     []Tile
	tilesV    uint64
	closed    bool
}

// member is one participant. Its fields are guarded by Mixer.mu, but for port and seen.
type member struct {
	id    string
	port  *leg.Port // never changes, nor seen
	seen  *presence
	attrs Attributes
}

// New returns a mixer with nobody in it, whose clocks stand. Close ends it.
func New(cfg Config) *Mixer {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Metrics == nil {
		cfg.Metrics = NewMetrics(nil)
	}
	if cfg.Width == 0 || cfg.Height == 0 {
		cfg.Width, cfg.Height = 1280, 720
	}
	if len(cfg.Rungs) == 0 {
		cfg.Rungs = ladder.DefaultRungs()
	}
	m := &Mixer{cfg: cfg, log: cfg.Log, canvas: video.NewCanvas(cfg.Width, cfg.Height)}
	m.bus = audio.NewBus(audio.Config{Log: cfg.Log, Metrics: cfg.Metrics.Audio, Late: cfg.Overload.Tick, Worked: add(&m.cost.sound)})
	m.ladder = ladder.New(ladder.Config{Log: cfg.Log, Metrics: cfg.Metrics.Ladder, Rungs: cfg.Rungs, Worked: add(&m.cost.encode)})
	return m
}

// Size is the canvas in pixels.
func (m *Mixer) Size() (width, height int) { return m.cfg.Width, m.cfg.Height }

// Add puts a participant's leg into the mix. A leg is in one mixer at a time.
func (m *Mixer) Add(id string, l *leg.Leg, a Attributes) {
	m.life.Lock()
	defer m.life.Unlock()
	m.mu.Lock()
	if m.closed || m.find(id) != nil {
		m.mu.Unlock()
		return
	}
	port := l.Port()
	port.Meter(&m.cost.decode)
	port.Enter(m.ladder.Rungs(), m.ladder.Required)
	m.members = append(m.members, &member{id: id, port: port, seen: &presence{viewer: port, adapt: port.Adapt}, attrs: a})
	m.version++
	m.startLoop()
	m.mu.Unlock()
	if a.Silenced {
		m.bus.AddMuted(port)
	} else {
		m.bus.Add(port)
	}
}

// Remove takes it out; when it returns the leg is no longer called.
func (m *Mixer) Remove(id string) {
	m.life.Lock()
	defer m.life.Unlock()
	m.mu.Lock()
	i := slices.IndexFunc(m.members, func(p *member) bool { return p.id == id })
	if i < 0 {
		m.mu.Unlock()
		return
	}
	gone := m.members[i]
	m.members = slices.Delete(m.members, i, i+1)
	m.version++
	m.stopLoop()
	m.mu.Unlock()
	m.bus.Remove(gone.port)
	gone.seen.leave()
	gone.port.Leave()
}

// Set changes a participant's attributes.
func (m *Mixer) Set(id string, a Attributes) {
	m.life.Lock()
	defer m.life.Unlock()
	m.mu.Lock()
	p := m.find(id)
	if p == nil || p.attrs == a {
		m.mu.Unlock()
		return
	}
	p.attrs = a
	m.version++
	port := p.port
	m.mu.Unlock()
	m.bus.SetMuted(port, a.Silenced)
}

// find returns a member by id; m.mu is held.
func (m *Mixer) find(id string) *member {
	for _, p := range m.members {
		if p.id == id {
			return p
		}
	}
	return nil
}

// SetLayout chooses how the canvas is divided.
func (m *Mixer) SetLayout(l video.Layout) { m.canvas.SetLayout(l) }

// SetPinned makes one stream the active tile; id "" goes back to the talker.
func (m *Mixer) SetPinned(id, label string) {
	if id == "" {
		m.canvas.SetActive("")
		return
	}
	m.canvas.SetActive(tileID(id, label))
}

// SetHideNonVideo leaves participants without a picture off the canvas.
func (m *Mixer) SetHideNonVideo(on bool) {
	m.mu.Lock()
	m.hideIdle = on
	m.version++
	m.mu.Unlock()
}

// SetProcessing says what is to be done with the participants' sound besides mixing it.
func (m *Mixer) SetProcessing(p audio.Processing) { m.bus.SetProcessing(p) }

// Announce plays 48 kHz mono sound to everybody in the room.
func (m *Mixer) Announce(pcm []int16) { m.bus.Play(pcm) }

// Activity returns what is observed of each participant now.
func (m *Mixer) Activity() map[string]Activity {
	m.mu.Lock()
	members := slices.Clone(m.members)
	m.mu.Unlock()
	out := make(map[string]Activity, len(members))
	for _, p := range members {
		out[p.id] = Activity{Talking: m.bus.Talking(p.port), Level: m.bus.Level(p.port), TalkTime: m.bus.TalkTime(p.port), Fault: m.bus.Fault(p.port)}
	}
	return out
}

// Tiles returns the canvas as it was last composed and a version that grows when
// any tile changed. The slice is shared and must not be written.
func (m *Mixer) Tiles() ([]Tile, uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.tiles, m.tilesV
}

// AddRecorder lets somebody who is no participant hear the whole mix and watch
// the picture, from packets that are made anyway where possible. Either may be nil.
func (m *Mixer) AddRecorder(a audio.Member, v ladder.Viewer) {
	m.life.Lock()
	defer m.life.Unlock()
	m.mu.Lock()
	closed := m.closed
	if v != nil && !closed {
		m.recorders = append(m.recorders, &presence{viewer: v})
		m.version++
		m.startLoop()
	}
	m.mu.Unlock()
	if a != nil && !closed {
		m.bus.Add(a)
	}
}

// RemoveRecorder ends it; when it returns neither is called any more.
func (m *Mixer) RemoveRecorder(a audio.Member, v ladder.Viewer) {
	m.life.Lock()
	defer m.life.Unlock()
	if a != nil {
		m.bus.Remove(a)
	}
	if v == nil {
		return
	}
	m.mu.Lock()
	i := slices.IndexFunc(m.recorders, func(r *presence) bool { return r.viewer == v })
	if i < 0 {
		m.mu.Unlock()
		return
	}
	gone := m.recorders[i]
	m.recorders = slices.Delete(m.recorders, i, i+1)
	m.version++
	m.stopLoop()
	m.mu.Unlock()
	gone.leave()
}

// AddTap lets somebody hear one participant alone, as they are mixed: muted when they are. It does
// nothing if there is no such participant.
func (m *Mixer) AddTap(id string, tap audio.Member) {
	m.life.Lock()
	defer m.life.Unlock()
	m.mu.Lock()
	p := m.find(id)
	m.mu.Unlock()
	if p != nil {
		m.bus.AddSolo(tap, p.port)
	}
}

// RemoveTap ends it; when it returns tap is no longer called.
func (m *Mixer) RemoveTap(tap audio.Member) { m.bus.Remove(tap) }

// startLoop starts the picture clock; m.mu is held.
func (m *Mixer) startLoop() {
	if m.loop == nil && !m.closed {
		m.loop = newPictureLoop(m, m.ended)
		m.loop.start()
	}
}

// stopLoop stops the picture clock if nobody is left, and does not wait for the picture
// it is making; m.mu is held.
func (m *Mixer) stopLoop() {
	if m.loop == nil || len(m.members)+len(m.recorders) > 0 {
		return
	}
	m.loop.cancel()
	m.ended, m.loop = m.loop.ended, nil
	m.tiles = nil
	m.tilesV++
}

// Close stops the clocks and waits for them. Legs must have been removed.
func (m *Mixer) Close() {
	m.life.Lock()
	defer m.life.Unlock()
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return
	}
	m.members, m.recorders, m.closed = nil, nil, true
	m.stopLoop()
	ended := m.ended
	m.mu.Unlock()
	if ended != nil {
		<-ended
	}
	m.bus.Close()
	m.ladder.Close()
	m.canvas.Close()
}

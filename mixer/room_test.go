package mixer_test

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"go.uber.org/goleak"

	"rendezvous/internal/eventually"
	"rendezvous/mixer"
	"rendezvous/mixer/audio"
	"rendezvous/mixer/ladder"
	"rendezvous/mixer/leg"
	"rendezvous/mixer/mixertest"
)

// silentPeer is a leg.Transport of somebody who sends nothing and keeps what they are sent.
type silentPeer struct {
	closed chan struct{}
	once   sync.Once
	mu     sync.Mutex // guards got
	got    []arrival
}

type arrival struct {
	header rtp.Header
	first  byte // of the payload
	at     time.Time
}

func newSilentPeer() *silentPeer { return &silentPeer{closed: make(chan struct{})} }

func (p *silentPeer) ReadRTP([]byte) (int, error)       { <-p.closed; return 0, io.EOF }
func (p *silentPeer) OnRTCP(func([]rtcp.Packet, error)) {}
func (p *silentPeer) WriteRTCP([]rtcp.Packet) error     { return nil }
func (p *silentPeer) close()                            { p.once.Do(func() { close(p.closed) }) }
func (p *silentPeer) WriteRTP(h *rtp.Header, b []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got = append(p.got, arrival{*h, b[0], time.Now()})
	return nil
}

func (p *silentPeer) arrivals() []arrival {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.got)
}

// guest is a leg of silent peers.
type guest struct {
	leg   *leg.Leg
	peers []*silentPeer
}

func newGuest(t testing.TB, media ...leg.Media) *guest {
	t.Helper()
	g := &guest{leg: leg.New(leg.Config{})}
	for _, m := range media {
		p := newSilentPeer()
		m.Transport = p
		if _, err := g.leg.Attach(m); err != nil {
			t.Fatal(err)
		}
		g.peers = append(g.peers, p)
	}
	return g
}

func (g *guest) close() {
	for _, p := range g.peers {
		p.close()
	}
	g.leg.Close()
}

var (
	opus       = []leg.Codec{mixertest.Opus}
	h264       = []leg.Codec{mixertest.H264}
	camera     = leg.Media{Kind: leg.Video, Receive: h264, SSRC: 1}
	screen     = leg.Media{Kind: leg.Video, Label: "screen", Receive: h264, SSRC: 2}
	watching   = leg.Media{Kind: leg.Video, Send: h264[0], SSRC: 3}
	microphone = leg.Media{Kind: leg.Audio, Receive: opus, Send: opus[0], SSRC: 4}
	smallRungs = []ladder.Rung{{Width: 160, Height: 90, FPS: 30, Bitrate: 100_000}}
)

// recorder is both kinds of one.
type recorder struct{ packets, units atomic.Int64 }

func (r *recorder) ReadFrame(*audio.Frame) bool            { return false }
func (r *recorder) ReadPrivate(*audio.Frame) bool          { return false }
func (r *recorder) Format() audio.Format                   { return audio.Format{Codec: "L16", Channels: 1} }
func (r *recorder) WritePacket(audio.Packet, audio.Format) { r.packets.Add(1) }
func (r *recorder) WriteUnit(*ladder.Unit)                 { r.units.Add(1) }
func (r *recorder) Watching(dst []ladder.Want) []ladder.Want {
	return append(dst, ladder.Want{Codec: ladder.H264, Key: r.units.Load() == 0})
}

// A room without people has no goroutine; one that was used neither (goleak in TestMain
// sees to the rest).
func TestEmptyRoomIsStill(t *testing.T) {
	before := goleak.IgnoreCurrent()
	var mixers []*mixer.Mixer
	for range 100 {
		mixers = append(mixers, mixer.New(mixer.Config{}))
	}
	goleak.VerifyNone(t, before)
	p := mixertest.NewParty(t, mixertest.H264)
	mixers[0].Add("a", p.Leg, mixer.Attributes{Name: "a"})
	mixers[0].Remove("a")
	p.Close(t)
	goleak.VerifyNone(t, before)
	for _, m := range mixers {
		m.Close()
	}
}

// What the room says of its participants decides who is on the canvas, and in which order.
func TestTilesFollowAttributes(t *testing.T) { synctest.Test(t, testTilesFollowAttributes) }

func testTilesFollowAttributes(t *testing.T) {
	m := mixer.New(mixer.Config{Width: 320, Height: 180, Rungs: smallRungs})
	defer m.Close()
	watcher := &recorder{}
	m.AddRecorder(nil, watcher)
	defer m.RemoveRecorder(nil, watcher)
	for id, media := range map[string][]leg.Media{"a": {microphone, camera}, "b": {camera, screen}, "c": {microphone}} {
		g := newGuest(t, media...)
		defer g.close()
		m.Add(id, g.leg, mixer.Attributes{Name: id, Order: int(id[0])})
		defer m.Remove(id)
	}
	attrs := func(id string) mixer.Attributes { return mixer.Attributes{Name: id, Order: int(id[0])} }
	set := func(id string, change func(a *mixer.Attributes)) func() {
		return func() {
			a := attrs(id)
			change(&a)
			m.Set(id, a)
		}
	}
	reset := func(id string) func() { return set(id, func(*mixer.Attributes) {}) }
	for _, step := range []struct {
		name string
		do   func()
		want string // tiles; * marks the active one
	}{
		{"all", func() {}, "a/main b/main b/screen c/main"},
		{"order", set("c", func(a *mixer.Attributes) { a.Order = -1 }), "c/main a/main b/main b/screen"},
		{"back", reset("c"), "a/main b/main b/screen c/main"},
		{"no screen", set("b", func(a *mixer.Attributes) { a.HideScreen = true }), "a/main b/main c/main"},
		{"invisible", set("b", func(a *mixer.Attributes) { a.Invisible = true }), "a/main c/main"},
		{"visible", reset("b"), "a/main b/main b/screen c/main"},
		{"pinned", func() { m.SetPinned("b", "main") }, "a/main b/main* b/screen c/main"},
		{"not pinned", func() { m.SetPinned("", "") }, "a/main b/main b/screen c/main"},
		{"only pictures", func() { m.SetHideNonVideo(true) }, "a/main b/main b/screen"},
		{"camera hidden", set("a", func(a *mixer.Attributes) { a.HideVideo = true }), "b/main b/screen"},
		{"gone", func() { m.Remove("b") }, ""},
	} {
		step.do()
		eventually.NoError(t, func() error {
			tiles, _ := m.Tiles()
			got := ""
			for i, x := range tiles {
				if i > 0 {
					got += " "
				}
				got += x.ID + "/" + x.Label
				if x.Active {
					got += "*"
				}
			}
			if got != step.want {
				return fmt.Errorf("%s: tiles %q, want %q", step.name, got, step.want)
			}
			return nil
		})
	}
}

// Recorders and taps are served until they are removed, and not after.
func TestRecordersAndTaps(t *testing.T) { synctest.Test(t, testRecordersAndTaps) }

func testRecordersAndTaps(t *testing.T) {
	m := mixer.New(mixer.Config{Width: 320, Height: 180, Rungs: smallRungs})
	g := newGuest(t, microphone)
	m.Add("a", g.leg, mixer.Attributes{Name: "a"})
	r, tap, none := &recorder{}, &recorder{}, &recorder{}
	m.AddRecorder(r, r)
	m.AddTap("a", tap)
	m.AddTap("nobody", none)
	eventually.NoError(t, func() error {
		if r.units.Load() > 3 && r.packets.Load() > 3 && tap.packets.Load() > 3 {
			return nil
		}
		return fmt.Errorf("recorder got %d packets and %d pictures, tap %d packets", r.packets.Load(), r.units.Load(), tap.packets.Load())
	})
	m.RemoveTap(tap)
	m.RemoveRecorder(r, r)
	packets, units, tapped := r.packets.Load(), r.units.Load(), tap.packets.Load()
	m.Remove("a")
	time.Sleep(100 * time.Millisecond) // five ticks, in which nothing may come
	if r.packets.Load() != packets || r.units.Load() != units || tap.packets.Load() != tapped || none.packets.Load() != 0 {
		t.Error("called after it was removed")
	}
	g.close()
	m.Close()
	m.AddRecorder(r, r) // too late: nothing may start
	m.Add("a", g.leg, mixer.Attributes{})
}

// A leg that moves to another room is sent one uninterrupted stream.
func TestLegMovesBetweenRooms(t *testing.T) { synctest.Test(t, testLegMovesBetweenRooms) }

func testLegMovesBetweenRooms(t *testing.T) {
	a := mixer.New(mixer.Config{Width: 160, Height: 90, Rungs: smallRungs})
	b := mixer.New(mixer.Config{Width: 160, Height: 90, Rungs: smallRungs})
	old := newGuest(t, watching) // so that b's picture clock is another one
	b.Add("old", old.leg, mixer.Attributes{Name: "old"})
	eventually.True(t, "the first guest sees something", func() bool { return len(old.peers[0].arrivals()) > 0 })
	g := newGuest(t, watching, microphone)
	pictures, sound := g.peers[0], g.peers[1]
	moved := make([]int, 0, 5) // packets before
	for i := range 5 {
		m := []*mixer.Mixer{a, b}[i%2]
		before := len(pictures.arrivals())
		moved = append(moved, before)
		m.Add("guest", g.leg, mixer.Attributes{Name: "guest"})
		eventually.True(t, fmt.Sprint("pictures in room ", i), func() bool { return len(pictures.arrivals()) > before+3 })
		m.Remove("guest")
	}
	got := pictures.arrivals()
	for i := 1; i < len(got); i++ {
		p, q := got[i-1], got[i]
		if q.header.SequenceNumber != p.header.SequenceNumber+1 {
			t.Errorf("sequence number %d after %d", q.header.SequenceNumber, p.header.SequenceNumber)
		}
		step := int32(q.header.Timestamp - p.header.Timestamp)
		if newPicture := p.header.Marker; newPicture != (step > 0) {
			t.Errorf("a step of %d between packets, new picture: %v", step, newPicture)
		}
	}
	wall := got[len(got)-1].at.Sub(got[0].at).Seconds()
	media := float64(got[len(got)-1].header.Timestamp-got[0].header.Timestamp) / 90000
	if d := media - wall; d < -0.5 || d > 0.5 {
		t.Errorf("%.2f s of pictures in %.2f s", media, wall)
	}
	for i, before := range moved {
		if kind := got[before].first & 0x1f; kind != 7 { // a key frame begins with its parameter sets
			t.Errorf("room %d begins with NAL unit type %d", i, kind)
		}
	}
	heard := sound.arrivals()
	for i := 1; i < len(heard); i++ {
		step := heard[i].header.Timestamp - heard[i-1].header.Timestamp
		if heard[i].header.SequenceNumber != heard[i-1].header.SequenceNumber+1 || step%960 != 0 || step == 0 || step > 48000*10 {
			t.Errorf("sound goes on by %d samples", step)
		}
	}
	g.close()
	b.Remove("old")
	old.close()
	a.Close()
	b.Close()
}

// stuck is a viewer who does not return.
type stuck struct {
	recorder
	reached chan struct{}
	free    chan struct{}
}

func (s *stuck) WriteUnit(*ladder.Unit) {
	select {
	case s.reached <- struct{}{}:
	default:
	}
	<-s.free
}

// Who leaves does not wait for the picture that is being made, and is not called once they have left.
func TestRemoveDoesNotWaitForThePicture(t *testing.T) {
	synctest.Test(t, testRemoveDoesNotWaitForThePicture)
}

func testRemoveDoesNotWaitForThePicture(t *testing.T) {
	m := mixer.New(mixer.Config{Width: 160, Height: 90, Rungs: smallRungs})
	defer m.Close()
	g := newGuest(t, watching, microphone)
	defer g.close()
	s := &stuck{reached: make(chan struct{}, 1), free: make(chan struct{})}
	last := &recorder{}
	m.AddRecorder(nil, s) // the first of the recorders: the other does not get the picture before
	m.AddRecorder(nil, last)
	m.Add("guest", g.leg, mixer.Attributes{Name: "Guest"})
	<-s.reached
	gone := make(chan struct{})
	go func() {
		m.Remove("guest")
		m.RemoveRecorder(nil, last)
		close(gone)
	}()
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Error("leaving waits for the picture")
	}
	units := last.units.Load()
	close(s.free)
	m.RemoveRecorder(nil, s)
	if n := last.units.Load(); n != units {
		t.Errorf("a recorder that was gone got %d pictures", n-units)
	}
}

// People come, go, change and are looked at, all at once, in two rooms.
func TestStorm(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	rooms := []*mixer.Mixer{}
	for range 2 {
		rooms = append(rooms, mixer.New(mixer.Config{Width: 160, Height: 90, Rungs: smallRungs}))
	}
	stop := time.Now().Add(1500 * time.Millisecond)
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			id := fmt.Sprint("guest", i)
			g := newGuest(t, microphone, camera, watching)
			defer g.close()
			streams := g.leg.Streams(nil)
			for n := 0; time.Now().Before(stop); n++ {
				m := rooms[(i+n)%2]
				m.Add(id, g.leg, mixer.Attributes{Name: id})
				m.Set(id, mixer.Attributes{Name: id, Silenced: n%2 == 0, Invisible: n%3 == 0})
				streams[2].Update(nil, leg.Codec{})
				m.Activity()
				streams[1].Update(nil, leg.Codec{})
				streams[2].Update(nil, []leg.Codec{mixertest.H264, mixertest.VP8}[n%2])
				streams[1].Update(h264, leg.Codec{})
				g.leg.RequestKeyFrame()
				g.leg.Play(make([]int16, 2000))
				if n%5 == 0 {
					time.Sleep(40 * time.Millisecond)
				}
				m.Tiles()
				m.Remove(id)
			}
		})
	}
	for i := range 2 {
		all.Go(func() {
			for n := 0; time.Now().Before(stop); n++ {
				r := &recorder{}
				rooms[i].AddRecorder(r, r)
				rooms[i].AddTap("guest1", r)
				rooms[i].SetPinned("guest2", "main")
				rooms[i].SetHideNonVideo(n%2 == 0)
				time.Sleep(10 * time.Millisecond)
				rooms[i].RemoveRecorder(r, r)
			}
		})
	}
	all.Wait()
	for _, m := range rooms {
		if tiles, _ := m.Tiles(); len(tiles) != 0 || len(m.Activity()) != 0 {
			t.Errorf("%d tiles in an empty room", len(tiles))
		}
	}
	goleak.VerifyNone(t, ignore) // before they are closed: nothing runs in an empty room
	for _, m := range rooms {
		m.Close()
	}
}

package mixer_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rendezvous/internal/eventually"
	"rendezvous/mixer"
	"rendezvous/mixer/ladder"
	"rendezvous/mixer/leg"
	"rendezvous/mixer/overload"
)

// strained is a control that is brought to a level by the times it is told.
type strained struct {
	*overload.Control
	now time.Time
}

func (s *strained) until(t *testing.T, level overload.Level, used float64) {
	t.Helper()
	for range 1000 {
		if s.Level() == level {
			return
		}
		s.now = s.now.Add(overload.Interval)
		s.Observe(used, 10, s.now)
	}
	t.Fatalf("level %v, want %v", s.Level(), level)
}

// A host with too much to do sends fewer pictures, then smaller ones, then shows fewer people, and sends sound as ever; afterwards all is as before.
func TestOverload(t *testing.T) {
	began := time.Now()
	host := &strained{overload.New(overload.Config{}), time.Unix(1000, 0)}
	m := mixer.New(mixer.Config{Overload: host.Control, Rungs: []ladder.Rung{
		{Width: 320, Height: 180, FPS: 30, Bitrate: 200_000}, {Width: 160, Height: 90, FPS: 30, Bitrate: 100_000}}})
	defer m.Close()
	watcher := newGuest(t, watching, microphone)
	defer watcher.close()
	m.Add("watcher", watcher.leg, mixer.Attributes{Name: "watcher"})
	defer m.Remove("watcher")
	camera := newLiveCamera(t)
	sender := leg.New(leg.Config{})
	stream, err := sender.Attach(leg.Media{Kind: leg.Video, Receive: h264, Transport: camera, SSRC: 1})
	require.NoError(t, err)
	defer sender.Close()
	defer camera.close()
	m.Add("sender", sender, mixer.Attributes{Name: "sender"})
	defer m.Remove("sender")
	for i := range 10 { // with the watcher, more than are shown in the end
		g := newGuest(t)
		defer g.close()
		id := fmt.Sprint(i)
		m.Add(id, g.leg, mixer.Attributes{Name: id})
		defer m.Remove(id)
	}
	pictures, sounds := watcher.peers[0], watcher.peers[1]
	rates := func() (pictureRate, soundRate int) {
		count := func(p *silentPeer) int {
			times := map[uint32]bool{}
			for _, a := range p.arrivals() {
				times[a.header.Timestamp] = true
			}
			return len(times)
		}
		p, s, from := count(pictures), count(sounds), time.Now()
		time.Sleep(time.Second) // what is measured
		perSecond := func(n int) int { return int(float64(n)/time.Since(from).Seconds() + .5) }
		return perSecond(count(pictures) - p), perSecond(count(sounds) - s)
	}
	shown := func() (n int) {
		tiles, _ := m.Tiles()
		for _, x := range tiles {
			if !x.Rect.Empty() {
				n++
			}
		}
		return n
	}
	rung := func() (int, leg.Reason) { q := watcher.leg.Quality(); return q.Rung, q.Reason }
	settled := func(want int, reason leg.Reason) {
		t.Helper()
		eventually.True(t, "the watcher is sent the rung", func() bool { r, why := rung(); return r == want && why == reason })
	}

	settled(0, leg.ReasonNone)
	eventually.True(t, "all are shown", func() bool { return shown() == 12 })
	eventually.True(t, "the camera is seen", func() bool { return !stream.PictureSince().IsZero() })
	host.until(t, overload.Pictures, .99)
	// On a machine with other work a second may see fewer; never more.
	eventually.True(t, "every second picture is sent, and all the sound", func() bool {
		p, s := rates()
		require.LessOrEqual(t, p, 19)
		return p >= 11 && s >= 42
	})
	host.until(t, overload.Best, .99)
	settled(1, leg.ReasonHost)
	require.Equal(t, 12, shown())
	host.until(t, overload.Tiles, .99)
	eventually.True(t, "few are shown", func() bool { return shown() == overload.FewTiles })

	host.until(t, overload.None, .1)
	settled(0, leg.ReasonNone)
	eventually.True(t, "all are shown", func() bool { return shown() == 12 })
	eventually.True(t, "every picture is sent", func() bool { p, _ := rates(); return p >= 24 })

	// All that has been done has been counted, for this room.
	c, most := m.Cost(), time.Since(began)*time.Duration(runtime.NumCPU())
	for what, d := range map[string]time.Duration{"decode": c.Decode, "compose": c.Compose, "encode": c.Encode, "sound": c.Sound} {
		require.Positive(t, d, what)
		require.Less(t, d, most, what)
	}
}

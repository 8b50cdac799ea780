package leg

import (
	"image"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rendezvous/mixer/ladder"
)

var testRungs = []ladder.Rung{
	{Width: 1280, Height: 720, FPS: 30, Bitrate: 1_500_000},
	{Width: 640, Height: 360, FPS: 30, Bitrate: 600_000},
	{Width: 320, Height: 180, FPS: 15, Bitrate: 150_000},
}

var rangedRungs = []ladder.Rung{
	{Width: 1280, Height: 720, FPS: 30, Min: 900_000, Bitrate: 1_800_000, Max: 2_500_000},
	{Width: 640, Height: 360, FPS: 30, Min: 300_000, Bitrate: 700_000, Max: 1_200_000},
	{Width: 320, Height: 180, FPS: 15, Min: 50_000, Bitrate: 90_000, Max: 130_000},
}

// A caller goes down at once when their path does not carry the rung's least, to the best that it carries, and up
// when a better one has fitted for a while; one whom the path carries no picture at all is shown a still.
func TestFollower(t *testing.T) {
	alone := func(rung int) int { return rangedRungs[rung].Min }
	var f follower
	now := time.Unix(1000, 0)
	var seen []int
	still := false
	pass := func(budget int, d time.Duration) {
		for end := now.Add(d); now.Before(end); now = now.Add(33 * time.Millisecond) {
			var rung int
			if rung, still = f.decide(rangedRungs, alone, budget, 0, now); len(seen) == 0 || seen[len(seen)-1] != rung {
				seen = append(seen, rung)
			}
		}
	}
	pass(1_200_000, time.Second)
	require.Equal(t, []int{0}, seen, "begins with what fits")
	pass(400_000, 30*time.Millisecond)
	require.Equal(t, []int{0, 1}, seen, "at once")
	pass(70_000, 30*time.Millisecond)
	require.Equal(t, []int{0, 1, 2}, seen)
	pass(2_000_000, time.Second)
	require.Equal(t, []int{0, 1, 2}, seen, "soon after it did not fit it must for longer")
	pass(2_000_000, 2*time.Second)
	require.Equal(t, []int{0, 1, 2, 0}, seen, "over a rung")
	require.False(t, still)
	pass(20_000, 500*time.Millisecond)
	require.False(t, still)
	pass(20_000, time.Second)
	require.True(t, still)
	pass(52_000, 100*time.Millisecond)
	require.False(t, still)
}

// A rung that others watch takes what it takes: who does not carry it goes down, but not for the moment in which an encoder follows.
func TestFollowerBesideOthers(t *testing.T) {
	taken := slices.Clone([]int{1_800_000, 300_000, 50_000})
	var f follower
	now := time.Unix(1000, 0)
	decide := func(budget int, d time.Duration) (rung int) {
		for end := now.Add(d); now.Before(end); now = now.Add(33 * time.Millisecond) {
			rung, _ = f.decide(rangedRungs, func(r int) int { return taken[r] }, budget, 0, now)
		}
		return rung
	}
	require.Equal(t, 0, decide(2_300_000, time.Second))
	require.Equal(t, 0, decide(1_750_000, 2*time.Second), "within a few percent")
	require.Equal(t, 0, decide(1_200_000, 200*time.Millisecond))
	require.Equal(t, 1, decide(1_200_000, 300*time.Millisecond))
	require.Equal(t, 1, decide(1_850_000, 5*time.Second), "too little to join the others")
	require.Equal(t, 0, decide(2_100_000, 5*time.Second))
	require.Equal(t, 1, func() int {
		r, _ := f.decide(rangedRungs, func(r int) int { return taken[r] }, 9_000_000, 1, now)
		return r
	}(), "as their peer limits it")
}

// A door hears how large the pictures are that its caller is sent: with the first of them, and whenever that has changed.
func TestSizesAreTold(t *testing.T) {
	var told []image.Point
	l := New(Config{OnSize: func(width, height int) { told = append(told, image.Pt(width, height)) }})
	defer l.Close()
	_, f := attach(t, l, Media{Kind: Video, Receive: []Codec{h264}, Send: h264, SSRC: 7})
	defer f.close()
	l.Port().Enter(testRungs, nil)
	number := uint32(0)
	write := func(rung int, key bool) {
		number++
		l.Port().WriteUnit(&ladder.Unit{Codec: ladder.H264, Key: key, Rung: rung, PTS: 3000 * number, Number: number, Payloads: [][]byte{{1}}})
	}
	write(0, true)
	write(0, false)
	write(0, true)
	l.view.follow(aim{rung: 2})
	write(0, false)
	write(2, true)
	write(2, false)
	l.view.follow(aim{rung: 0})
	write(0, true)
	size := func(rung int) image.Point { return image.Pt(testRungs[rung].Width, testRungs[rung].Height) }
	require.Equal(t, []image.Point{size(0), size(2), size(0)}, told)
}

package overload

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// host is a model of one: what its people cost, of its processors.
type host struct {
	people int
	sound  float64 // of each person
	tile   float64 // of each person's picture, decoded and drawn 30 times a second
	canvas float64 // composed and encoded 30 times a second
	others float64 // what other programs use
}

func (h host) needs(l Level) float64 {
	tiles, canvas := h.people, h.canvas
	if l >= Tiles {
		tiles = min(tiles, FewTiles)
	}
	pictures := float64(tiles) * h.tile
	if l >= Best {
		canvas *= .5
	}
	if l >= Pictures {
		canvas, pictures = canvas/2, pictures*.8
	}
	return float64(h.people)*h.sound + pictures + canvas
}

// play has the host go on for a while, and returns the levels that it was on, one after the other.
func (h host) play(c *Control, now *time.Time, d time.Duration) (levels []Level) {
	levels = []Level{c.Level()}
	for end := now.Add(d); now.Before(end); {
		*now = now.Add(Interval)
		needs := h.needs(c.Level())
		used := min(needs, 1-h.others)
		for tick := range 25 {
			late := time.Millisecond
			if needs+h.others > .97 && tick%5 == 0 {
				late = 8 * time.Millisecond
			}
			c.Tick(late)
		}
		c.Observe(used, h.people, *now)
		if l := c.Level(); l != levels[len(levels)-1] {
			levels = append(levels, l)
		}
	}
	return levels
}

// What is given up is given up in order, no more of it than has to be, and taken back in order when people have gone.
func TestOrder(t *testing.T) {
	var told []Level
	c := New(Config{Changed: func(l Level) { told = append(told, l) }})
	now := time.Unix(1000, 0)
	meeting := host{people: 8, sound: .01, tile: .03, canvas: .3}
	require.Equal(t, []Level{None}, meeting.play(c, &now, time.Minute))
	require.True(t, c.Admits())

	meeting.people = 20
	require.Equal(t, []Level{None, Pictures}, meeting.play(c, &now, time.Minute))
	require.True(t, c.Admits())
	meeting.people = 28
	require.Equal(t, []Level{Pictures, Best}, meeting.play(c, &now, time.Minute)[:2])
	meeting.people = 40
	levels := meeting.play(c, &now, time.Minute)
	require.Equal(t, Tiles, levels[len(levels)-1])
	require.True(t, c.Admits(), "there is room for one more")
	meeting.people = 63
	meeting.play(c, &now, 10*time.Second)
	require.False(t, c.Admits(), "of the cost that people have had there is no room for one more")
	meeting.people = 100
	levels = meeting.play(c, &now, time.Minute)
	require.Equal(t, Newcomers, levels[len(levels)-1])
	require.False(t, c.Admits())

	meeting.people = 8
	require.Equal(t, []Level{Newcomers, Tiles, Best, Pictures, None}, meeting.play(c, &now, 7*time.Minute))
	require.True(t, c.Admits())
	require.Equal(t, told[len(told)-1], None)
	require.True(t, slices.Contains(told, Newcomers))
}

// A host at the edge does not change what it gives up again and again.
func TestSteady(t *testing.T) {
	for people := 10; people <= 40; people++ {
		c := New(Config{})
		now := time.Unix(1000, 0)
		meeting := host{people: people, sound: .005, tile: .03, canvas: .3}
		require.LessOrEqual(t, len(meeting.play(c, &now, 5*time.Minute)), 8, "with %d people", people)
	}
}

// What others do to the host is none of its own load: it gives nothing up for it while it needs little itself; if both are much, it does.
func TestOthers(t *testing.T) {
	c := New(Config{})
	now := time.Unix(1000, 0)
	require.Equal(t, []Level{None}, host{people: 4, sound: .01, tile: .03, canvas: .2, others: .7}.play(c, &now, time.Minute))
	require.Contains(t, host{people: 20, sound: .01, tile: .02, canvas: .2, others: .4}.play(c, &now, time.Minute), Pictures)
}

// A host that nobody watches over gives nothing up.
func TestNone(t *testing.T) {
	var c *Control
	c.Tick(time.Second)
	require.Equal(t, None, c.Level())
}

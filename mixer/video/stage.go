package video

import (
	"slices"
	"time"
)

const (
	// A talker gets the stage after speaking this long, so that a cough does not take it.
	talkPatience = 400 * time.Millisecond
	// They keep it this long at least, and while they go on.
	stageHold = 2 * time.Second
)

// stage decides who is the active tile: the pinned one, else whoever talks.
type stage struct {
	current string // the talker
	since   time.Time
}

// choose returns the index of the active tile, -1 if there is none. preferScreen puts a
// shared screen before the talkers.
func (s *stage) choose(tiles []*tile, pinned string, preferScreen bool, now time.Time) int {
	s.follow(tiles, now)
	if pinned != "" {
		if i := slices.IndexFunc(tiles, func(t *tile) bool { return t.ID == pinned }); i >= 0 {
			return i
		}
	}
	if preferScreen {
		if i := lastScreen(tiles); i >= 0 {
			return i
		}
	}
	return slices.IndexFunc(tiles, func(t *tile) bool { return t.ID == s.current })
}

// follow moves the stage to whoever talks now.
func (s *stage) follow(tiles []*tile, now time.Time) {
	var current, candidate *tile
	for _, t := range tiles {
		switch {
		case t.ID == s.current:
			current = t
		case t.Screen || !t.Talking || now.Sub(t.talkSince) < talkPatience:
		case candidate == nil || t.talkSince.Before(candidate.talkSince):
			candidate = t
		}
	}
	switch {
	case current == nil && candidate != nil, current != nil && candidate != nil && !current.Talking && now.Sub(s.since) >= stageHold:
		s.current, s.since = candidate.ID, now
	case current == nil && len(tiles) > 0:
		// Nobody has talked yet: somebody with a picture is better to look at.
		first := tiles[0]
		for _, t := range tiles {
			if t.video && !t.Screen {
				first = t
				break
			}
		}
		s.current, s.since = first.ID, now.Add(-stageHold)
	}
}

// lastScreen is the index of the screen that was shared last.
func lastScreen(tiles []*tile) int {
	for i, t := range slices.Backward(tiles) {
		if t.Screen {
			return i
		}
	}
	return -1
}

// audience picks who is shown when there are too many: those who are shown already
// stay, unless somebody talks who is not; the talker takes the place of whoever has been silent longest.
type audience struct {
	tiles []*tile
	shown map[string]bool // at the last arrangement
}

func (a audience) pick(candidates []int, n int) []int {
	if len(candidates) <= n {
		return candidates
	}
	ranked := slices.Clone(candidates)
	slices.SortStableFunc(ranked, func(i, j int) int { return a.rank(a.tiles[j]).Compare(a.rank(a.tiles[i])) })
	ranked = ranked[:n]
	slices.Sort(ranked)
	return ranked
}

// rank is a time: the later, the sooner shown. Being shown counts as a start over the others
// who are as silent.
func (a audience) rank(t *tile) time.Time {
	switch {
	case t.Screen:
		return time.Unix(1<<40, 0)
	case t.lastTalk.IsZero() && a.shown[t.ID]:
		return time.Time{}.Add(time.Nanosecond)
	}
	return t.lastTalk
}

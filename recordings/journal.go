package recordings

import (
	"fmt"
	"sort"
	"strings"
	"time"
)

// Person is a participant at one moment.
type Person struct {
	ID      string
	Name    string
	Door    string
	Talking bool
}

// Bounds of what a journal remembers; a meeting that exceeds them keeps its oldest.
const (
	maxPresences = 10000
	maxSpeech    = 100000
)

// journal is who was there and who spoke when. It is not safe for concurrent use.
type journal struct {
	presences []Presence
	present   map[string]int // id -> index in presences
	speech    []Speech
	talking   map[string]float64 // id -> since
}

func newJournal() *journal {
	return &journal{present: map[string]int{}, talking: map[string]float64{}}
}

// update takes in who is there now. at is the recording's time, now the wall clock.
func (j *journal) update(people []Person, at time.Duration, now time.Time) {
	here := make(map[string]bool, len(people))
	for _, p := range people {
		here[p.ID] = true
		i, known := j.present[p.ID]
		if !known {
			if len(j.presences) >= maxPresences {
				continue
			}
			i = len(j.presences)
			j.present[p.ID] = i
			j.presences = append(j.presences, Presence{ID: p.ID, Door: p.Door, Joined: now})
		}
		j.presences[i].Name = p.Name
		since, spoke := j.talking[p.ID]
		switch {
		case p.Talking && !spoke:
			j.talking[p.ID] = at.Seconds()
		case !p.Talking && spoke:
			j.spoke(p.ID, since, at)
		}
	}
	for id, i := range j.present {
		if here[id] {
			continue
		}
		if since, spoke := j.talking[id]; spoke {
			j.spoke(id, since, at)
		}
		j.presences[i].Left = now
		delete(j.present, id)
	}
}

func (j *journal) spoke(id string, since float64, at time.Duration) {
	delete(j.talking, id)
	if to := at.Seconds(); to > since && len(j.speech) < maxSpeech {
		j.speech = append(j.speech, Speech{id, since, to})
	}
}

// snapshot is the journal as if the recording ended at time at.
func (j *journal) snapshot(at time.Duration) (presences []Presence, speech []Speech) {
	presences = append([]Presence{}, j.presences...)
	speech = append([]Speech{}, j.speech...)
	for id, since := range j.talking {
		if to := at.Seconds(); to > since {
			speech = append(speech, Speech{id, since, to})
		}
	}
	sort.SliceStable(speech, func(a, b int) bool {
		if speech[a].From != speech[b].From {
			return speech[a].From < speech[b].From
		}
		return speech[a].Participant < speech[b].Participant
	})
	return presences, speech
}

// Who speaks for less than this does not begin a chapter.
const minTurn = 4.0 // seconds

// chapters divides a recording into the turns of its speakers: a chapter begins
// where somebody else than before speaks for at least minTurn, short remarks between
// belong to it, and it lasts until the next begins.
func chapters(presences []Presence, speech []Speech, duration float64) []Chapter {
	names := map[string]string{}
	for _, p := range presences {
		names[p.ID] = p.Name
	}
	out := []Chapter{}
	turn := Speech{}
	for _, s := range speech {
		// A breath between two sentences does not end a turn.
		if s.Participant == turn.Participant && s.From-turn.To < minTurn {
			turn.To = max(turn.To, s.To)
		} else {
			turn = s
		}
		if turn.To-turn.From < minTurn {
			continue
		}
		if n := len(out); n > 0 && out[n-1].Participant == turn.Participant {
			continue
		}
		title := names[turn.Participant]
		if title == "" {
			title = turn.Participant
		}
		if turn.From < duration {
			out = append(out, Chapter{Title: title, Participant: turn.Participant, From: turn.From})
		}
	}
	sort.SliceStable(out, func(a, b int) bool { return out[a].From < out[b].From })
	for i := range out {
		out[i].To = duration
		if i+1 < len(out) {
			out[i].To = out[i+1].From
		}
	}
	return out
}

// webVTT writes chapters as browsers take them (WebVTT, kind chapters).
func webVTT(chapters []Chapter) []byte {
	var b strings.Builder
	b.WriteString("WEBVTT\n")
	for i, c := range chapters {
		// A cue's text is one line in which "<", "&" and "-->" have a meaning.
		text := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(strings.Join(strings.Fields(c.Title), " "))
		fmt.Fprintf(&b, "\n%d\n%s --> %s\n%s\n", i+1, stamp(c.From), stamp(c.To), text)
	}
	return []byte(b.String())
}

func stamp(seconds float64) string {
	ms := int64(seconds*1000 + 0.5)
	return fmt.Sprintf("%02d:%02d:%02d.%03d", ms/3600000, ms/60000%60, ms/1000%60, ms%1000)
}

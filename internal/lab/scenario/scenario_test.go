package scenario

import (
	"math"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rendezvous/internal/experience"
	"rendezvous/internal/lab/browser"
	"rendezvous/internal/lab/network"
)

// perfect is what a scenario would be like of which nobody notices anything: 30 pictures and 100 times 10 ms of sound a second.
func perfect(s Scenario) *Result {
	r := &Result{Spans: map[string]Span{}, Trace: map[string]Traces{}}
	begin := time.Now()
	end := begin
	for _, step := range s.Steps {
		r.Spans[step.Name] = Span{end, end.Add(step.For)}
		end = end.Add(step.For)
	}
	for d := time.Duration(0); begin.Add(d).Before(end); d += 10 * time.Millisecond {
		at := begin.Add(d)
		beep := d % time.Second
		sound := experience.Sound{At: at, Length: 10 * time.Millisecond, RMS: 0.18, Tone: 0.25}
		if s.Flash && (beep < 100*time.Millisecond || beep >= 200*time.Millisecond) {
			sound.Tone = 0
		}
		r.Bob.Sounds = append(r.Bob.Sounds, sound)
		if d%time.Second == 0 {
			r.Flash = append(r.Flash, at)
		}
		if d%(30*time.Millisecond) == 0 {
			p := experience.Picture{At: at, Width: 1280, Height: 720, Motion: 5}
			if beep >= 80*time.Millisecond && beep < 180*time.Millisecond {
				p.Light = 235
			}
			r.Bob.Pictures = append(r.Bob.Pictures, p)
		}
		r.Bob.Stats = append(r.Bob.Stats, browser.Stats{At: at})
	}
	for _, who := range []string{"bob", receiver} {
		var down []network.Packet
		for d := time.Duration(0); begin.Add(d).Before(end); d += 10 * time.Millisecond {
			at := begin.Add(d)
			// 1.2 Mbit/s of picture and 80 kbit/s of sound
			down = append(down,
				network.Packet{In: at, Out: at.Add(time.Millisecond), Size: 1500, Kind: network.RTP, PT: 96, SSRC: 2, TS: uint32(d)},
				network.Packet{In: at, Out: at.Add(time.Millisecond), Size: 100, Kind: network.RTP, PT: 111, SSRC: 1, TS: uint32(d)})
		}
		r.Trace[who] = Traces{Down: down}
	}
	return r
}

// Each scenario has targets that can be met, of its own steps, by those who are in it.
func TestTable(t *testing.T) {
	var names []string
	for _, s := range append(append(All(), Quick(), Daemon()), Long()...) {
		t.Run(s.Name, func(t *testing.T) {
			require.Regexp(t, regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`), s.Name)
			require.NotContains(t, names, s.Name)
			names = append(names, s.Name)
			require.Equal(t, "open", s.Steps[0].Name)
			require.Empty(t, s.Steps[0].Paths)
			require.NotEmpty(t, s.Targets)
			total := settled
			for _, step := range s.Steps {
				total += step.For
				for _, p := range step.Paths {
					who := []string{"ann", "bob", receiver}
					for i := range s.Watchers {
						who = append(who, "w"+string(rune('1'+i)))
					}
					require.Contains(t, who, p.Who)
				}
			}
			if s.Skew == 0 {
				require.Less(t, total, talks)
			}
			r := perfect(s)
			for i, v := range r.Judge(s) {
				if target := s.Targets[i]; !target.Met(v) || math.IsNaN(v) {
					t.Errorf("perfect, but %s is %.2f %s", target.What, v, target.Unit)
				}
			}
		})
	}
}

// What is not perfect is not called so.
func TestTargetsAreMissed(t *testing.T) {
	bad := map[string]func(*Result){
		"500k": func(r *Result) {
			for who, trace := range r.Trace {
				for i := range trace.Down {
					trace.Down[i].Queued = 400 * time.Millisecond
				}
				r.Trace[who] = trace
			}
		},
		"blackout-15s": func(r *Result) {
			r.Bob.Sounds, r.Bob.Pictures = nil, nil
		},
		"loss-up": func(r *Result) {
			for i := range r.Bob.Pictures {
				if i%2 == 0 {
					r.Bob.Pictures[i].Motion = 0
				}
			}
		},
		"lips": func(r *Result) {
			for i := range r.Bob.Sounds {
				r.Bob.Sounds[i].At = r.Bob.Sounds[i].At.Add(200 * time.Millisecond)
			}
		},
		"rtt-down": func(r *Result) {
			for i := range r.Bob.Pictures {
				if s := r.Spans["far"]; r.Bob.Pictures[i].At.After(s.From.Add(5 * time.Second)) {
					r.Bob.Pictures[i].Height = 360
				}
			}
		},
	}
	for name, spoil := range bad {
		s, err := Find(name)
		require.NoError(t, err)
		r := perfect(s[0])
		spoil(r)
		missed := slices.ContainsFunc(s[0].Targets, func(target Target) bool { return !target.Met(target.Of(r)) })
		require.True(t, missed, name)
	}
	_, err := Find("nothing")
	require.Error(t, err)
}

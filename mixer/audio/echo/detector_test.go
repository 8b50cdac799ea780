package echo_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"rendezvous/internal/sound"
	"rendezvous/internal/speech"
	"rendezvous/mixer/audio/echo"
	"rendezvous/mixer/audio/talk"
)

const frame = 960 // samples of 20 ms

const (
	annSays = "Good morning everybody. The first point is the budget for next year, which all of you have seen by now. " +
		"I would like to hear from each of you what you think of it, and then we vote. Let us begin with the north."
	benSays = "Thank you. We are quite content with it, all in all, but for the travel costs, which are too low by a third. " +
		"Last year we had eleven visits to make, and this year there will be at least fifteen. Who else has that trouble?"
)

func saying(t *testing.T, voice, text string) []int16 {
	t.Helper()
	e, err := speech.New(voice)
	if err != nil {
		t.Fatalf("this test needs the Debian package espeak-ng: %v", err)
	}
	pcm, err := e.Speak(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	return pcm
}

// fitted is sound cut or filled up with silence to a number of frames, from a frame on.
func fitted(pcm []int16, from, frames int) []int16 {
	out := make([]int16, frames*frame)
	if from*frame < len(out) {
		copy(out[from*frame:], pcm)
	}
	return out
}

// room is what a microphone takes up of a loudspeaker: fainter, later, with an echo of the walls and
// the noise of the room.
func room(played []int16, gain float64, late time.Duration, noise float64, seed uint64) []int16 {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]int16, len(played))
	d := int(late.Seconds() * 48000)
	walls := []struct {
		after int
		gain  float64
	}{{0, 1}, {530, 0.6}, {1310, 0.45}, {2930, 0.3}, {5600, 0.2}, {8900, 0.1}}
	for i := range out {
		v := noise * 32768 * r.NormFloat64()
		for _, w := range walls {
			if at := i - d - w.after; at >= 0 {
				v += gain * w.gain * float64(played[at])
			}
		}
		out[i] = int16(max(-32768, min(32767, v)))
	}
	return out
}

// delays are the delays that a detector tells, in the order of time, each once.
func delays(sent, back []int16) (out []time.Duration, first time.Duration) {
	var d echo.Detector
	for at := 0; at+frame <= len(sent); at += frame {
		late := d.Add(talk.Level(sent[at:at+frame]), talk.Level(back[at:at+frame]))
		if late == 0 {
			continue
		}
		if len(out) == 0 {
			first = time.Duration(at/48) * time.Millisecond
		}
		if len(out) == 0 || out[len(out)-1] != late {
			out = append(out, late)
		}
	}
	return out, first
}

func TestEchoIsFound(t *testing.T) {
	const frames = 1000
	ann := fitted(saying(t, "en+f3", annSays), 20, frames)
	for _, c := range []struct {
		name  string
		gain  float64
		late  time.Duration
		noise float64
	}{
		{"a loudspeaker on the desk", 0.4, 180 * time.Millisecond, 0.0005},
		{"a faint one", 0.08, 260 * time.Millisecond, 0.0005},
		{"far away", 0.3, 640 * time.Millisecond, 0.002},
		{"near, in a noisy room", 0.5, 90 * time.Millisecond, 0.004},
	} {
		got, first := delays(ann, room(ann, c.gain, c.late, c.noise, 1))
		t.Logf("%s: %v late, found after %v", c.name, got, first)
		if len(got) == 0 {
			t.Errorf("%s: not found", c.name)
			continue
		}
		for _, late := range got { // the walls add some
			if late < c.late-20*time.Millisecond || late > c.late+80*time.Millisecond {
				t.Errorf("%s: said to be %v late, is %v", c.name, late, c.late)
			}
		}
	}
}

func TestConversationIsNoEcho(t *testing.T) {
	const frames = 2000
	ann, ben := saying(t, "en+f3", annSays), saying(t, "en+m2", benSays)
	silence := make([]int16, frames*frame)
	turns := func(length int) (a, b []int16) { // each speaks for so many frames, then the other
		a, b = make([]int16, frames*frame), make([]int16, frames*frame)
		who, ia, ib := 0, 0, 0
		for at := 0; at < frames; at += length {
			n := min(length, frames-at) * frame
			if who == 0 {
				copy(a[at*frame:at*frame+n], ann[ia%len(ann):])
				ia += n
			} else {
				copy(b[at*frame:at*frame+n], ben[ib%len(ben):])
				ib += n
			}
			who = 1 - who
		}
		return a, b
	}
	beat := func(period, on int) []int16 { // a tone in pieces
		out := sound.Sine(440, 0.25, frames*frame, 0)
		for i := range out {
			if i/frame%period >= on {
				out[i] = 0
			}
		}
		return out
	}
	quick1, quick2 := turns(20)
	slow1, slow2 := turns(110)
	for _, c := range []struct {
		name       string
		sent, back []int16
	}{
		{"turns of 0.4 s", quick1, room(quick2, 1, 0, 0.0005, 2)},
		{"turns of 2.2 s", slow1, room(slow2, 1, 0, 0.0005, 3)},
		{"both at once", fitted(ann, 5, frames), room(fitted(ben, 30, frames), 1, 0, 0.0005, 4)},
		{"a question, then a long answer", fitted(ann, 0, frames), fitted(ben, len(ann)/frame+10, frames)},
		{"one who is silent", fitted(ann, 5, frames), silence},
		{"noise", fitted(ann, 5, frames), room(silence, 1, 0, 0.02, 5)},
		{"steady tones", beat(1, 1), beat(1, 1)},
		{"a tone, and speech", beat(1, 1), fitted(ben, 5, frames)},
		{"somebody beside the one who speaks, into both microphones", fitted(ann, 5, frames), room(fitted(ann, 5, frames), 0.3, 0, 0.0005, 6)},
	} {
		if got, first := delays(c.sent, c.back); len(got) > 0 {
			t.Errorf("%s: is said to be an echo, %v late, after %v", c.name, got, first)
		}
	}
}

// A conversation in which one end repeats the other is found, and no more once that end uses headphones.
func TestEchoEnds(t *testing.T) {
	ann := saying(t, "en+f3", strings.Repeat(annSays+" ", 2))
	frames := len(ann)/frame + 500
	sent := fitted(ann, 0, frames)
	back := room(sent, 0.3, 300*time.Millisecond, 0.0005, 7)
	half := len(back) / 2
	clear(back[half:])
	var d echo.Detector
	var found, after bool
	for at := 0; at+frame <= len(sent); at += frame {
		late := d.Add(talk.Level(sent[at:at+frame]), talk.Level(back[at:at+frame]))
		if at < half {
			found = found || late > 0
		} else if at > half+6*48000 {
			after = after || late > 0
		}
	}
	if !found || after {
		t.Errorf("found %v, and %v after the end", found, after)
	}
}

func BenchmarkAdd(b *testing.B) {
	var d echo.Detector
	r := rand.New(rand.NewPCG(1, 2))
	b.ReportAllocs()
	for b.Loop() {
		d.Add(-60*r.Float64(), -60*r.Float64())
	}
}

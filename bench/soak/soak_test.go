package main

import (
	"context"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/draw"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rendezvous/internal/hosttest"
	"rendezvous/internal/sound"
)

// The table counts a join that failed once, its reasons each, and has the times of what was reached.
func TestTable(t *testing.T) {
	const s = time.Second
	silent := &join{number: 3, kind: "browser", in: s, picture: 4 * s}
	silent.fail("does not hear the resident", errors.New("10s: 440 Hz at -90 dB"))
	silent.fail("is not heard", errors.New("10s: 1000 Hz at -91 dB"))
	crashed := &join{number: 4, kind: "daemon", in: s, sound: 2 * s}
	crashed.fail("is not seen", errors.New("10s: no tile"))
	crashed.blame("has ended by itself; its last words: double free or corruption")
	refused := &join{number: 5, kind: "daemon"}
	refused.fail("is not let in", errors.New("it is FAILURE"))
	refused.blame("")
	all := table{
		{number: 1, kind: "browser", in: s, sound: 1 * s, picture: 3 * s, heard: s, seen: s, left: s},
		{number: 2, kind: "browser", in: s, sound: 3 * s, picture: 1 * s, heard: s, seen: s, left: s},
		silent, crashed, refused,
	}
	require.True(t, all.failed())
	require.False(t, all[:2].failed())
	require.Equal(t, []bool{false, false, false, true, false}, []bool{all[0].own(), all[1].own(), silent.own(), crashed.own(), refused.own()})

	text := all.String()
	for _, want := range []string{
		"browser 3 1 0 3.0 s 3.0 s 3.0 s 4.0 s 1.0 s 1.0 s 1.0 s 1.0 s", // joins, failed, own; median and worst
		"daemon 2 2 1 2.0 s 2.0 s - - -",
		"all 5 3 1",
		"1 browser does not hear the resident",
		"1 browser is not heard",
		"1 daemon has ended by itself; its last words, the daemon's own",
		"1 daemon is not seen, the daemon's own",
		"1 daemon is not let in",
	} {
		require.Contains(t, strings.Join(strings.Fields(text), " "), want, text)
	}
	require.NotContains(t, all[:2].String(), "why")
	require.NotEmpty(t, table{}.String(), "interrupted before the first")
}

// A reason is one short line, whatever an error has to tell.
func TestLineOfJoin(t *testing.T) {
	j := &join{kind: "phone", in: 250 * time.Millisecond}
	j.fail("is not let in", errors.New("dial: "+strings.Repeat("no ", 200)+"\nand a log\n"))
	line := j.String()
	require.Contains(t, line, "in  0.2 s")
	require.Contains(t, line, "sound -")
	require.Contains(t, line, "FAILED: is not let in (dial: no")
	require.NotContains(t, line, "log")
	require.Less(t, len(line), 500)
}

func TestTurns(t *testing.T) {
	turns, err := turnsOf("daemon,browser")
	require.NoError(t, err)
	m := &meeting{host: &host{site: &hosttest.Site{}}, callee: &daemon{}}
	require.Len(t, turns, 2)
	require.Equal(t, "daemon", turns[0](m, 1).kind())
	require.Equal(t, "browser", turns[1](m, 2).kind())
	_, err = turnsOf("browser,fax")
	require.ErrorContains(t, err, "browser, daemon, phone")
}

// canvas is a picture half as large as the canvas, with a face in the left half and nothing in the right.
func canvas(f face) (image.Image, place, place) {
	img := image.NewRGBA(image.Rect(0, 0, 640, 360))
	for i, c := range f {
		draw.Draw(img, image.Rect(320*i/3, 0, 320*(i+1)/3, 360), image.NewUniform(c), image.Point{}, draw.Src)
	}
	size := image.Pt(1280, 720)
	return img, place{image.Rect(0, 0, 640, 720), size}, place{image.Rect(640, 0, 1280, 720), size}
}

func TestFace(t *testing.T) {
	bars := (*telephone).face(nil)
	img, here, there := canvas(bars)
	_, ok := bars.in(img, here.in(img))
	require.True(t, ok)
	_, ok = bars.in(img, there.in(img))
	require.False(t, ok, "in the wrong place")
	seen, ok := plain(bars[0]).in(img, here.in(img))
	require.False(t, ok, "another one")
	require.Equal(t, bars, seen)
}

// patient asks an eye or ear a few times, as long as its context lasts.
type patient struct {
	left   int
	cancel context.CancelFunc
}

func newPatient(t *testing.T) (context.Context, *patient) {
	ctx, cancel := context.WithCancel(t.Context())
	return ctx, &patient{4, cancel}
}

func (p *patient) ask() {
	if p.left--; p.left == 0 {
		p.cancel()
	}
}

// shown is an eye that sees something after a number of looks, and one who has a tile.
type shown struct {
	*patient
	img   image.Image
	at    place
	after int
}

const here = "Here"

func (s *shown) look(context.Context) (image.Image, error) {
	if s.after--; s.after >= 0 {
		return nil, errors.New("no picture yet")
	}
	return s.img, nil
}

func (s *shown) place(name string) (place, error) {
	s.ask()
	if name != here {
		return place{}, nil
	}
	return s.at, nil
}

func TestSees(t *testing.T) {
	green := plain(color.RGBA{30, 160, 40, 255})
	img, left, right := canvas(green)
	looking := func(name string, at place, after int) (time.Duration, error) {
		ctx, p := newPatient(t)
		defer p.cancel()
		return sees(ctx, time.Now(), &shown{p, img, at, after}, name, green)
	}
	took, err := looking(here, left, 2)
	require.NoError(t, err)
	require.Positive(t, took)
	_, err = looking(here, right, 0)
	require.ErrorContains(t, err, "of (640,360) it is")
	_, err = looking(here, left, 10)
	require.ErrorContains(t, err, "no picture yet")
	_, err = looking("Nobody", left, 0)
	require.ErrorContains(t, err, "no tile")
}

// played is an ear to which tones are played; each is louder than what counts.
type played struct {
	*patient
	tones []float64
}

func (p played) listen(_ context.Context, d time.Duration) (sound.Recording, error) {
	p.ask()
	s := sound.Recording{Rate: sound.Rate, PCM: make([]float32, int(d.Seconds()*sound.Rate))}
	for _, hz := range p.tones {
		for i, v := range sound.Sine(hz, 0.2, len(s.PCM), 0) {
			s.PCM[i] += float32(v) / 32768
		}
	}
	return s, nil
}

func TestHears(t *testing.T) {
	listening := func(tones ...float64) error {
		ctx, p := newPatient(t)
		defer p.cancel()
		_, err := hears(ctx, time.Now(), played{p, tones}, 440, 1000)
		return err
	}
	require.NoError(t, listening(440))
	require.NoError(t, listening(440, 1700), "somebody else may be heard, too")
	require.ErrorContains(t, listening(), "440 Hz at -180 dB")
	require.ErrorContains(t, listening(1700), "own 1000 Hz at")
	require.NotErrorIs(t, listening(1000), errOwnTone)
	both := listening(440, 1000)
	require.ErrorIs(t, both, errOwnTone)
	require.ErrorContains(t, both, "440 Hz at -14 dB, own 1000 Hz at -14 dB")
}

// A file is listened to while it is written, from then on.
func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "heard.wav")
	require.NoError(t, os.WriteFile(path, sound.WAV(sound.Sine(440, 0.2, sound.Rate, 0)), 0o600))
	heard, err := wavTail(path)
	require.NoError(t, err)
	require.Equal(t, tail{path, sound.Rate, 1}, heard)

	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	defer f.Close()
	stop, written := make(chan struct{}), make(chan error)
	go func() {
		for {
			select {
			case <-stop:
				written <- nil
				return
			case <-time.After(5 * time.Millisecond):
				if err := binary.Write(f, binary.LittleEndian, sound.Sine(1000, 0.2, 960, 0)); err != nil {
					written <- err
					return
				}
			}
		}
	}()
	s, err := heard.listen(t.Context(), 200*time.Millisecond)
	close(stop)
	require.NoError(t, <-written)
	require.NoError(t, err)
	require.Len(t, s.PCM, sound.Rate/5)
	require.Less(t, s.Level(440), -60.0)
	require.InDelta(t, -14, s.Level(1000), 1)

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = heard.listen(ctx, time.Second)
	require.ErrorContains(t, err, "the sound stopped")
	_, err = wavTail(os.Args[0])
	require.ErrorContains(t, err, "a WAV file of")
}

package e2e

import (
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rendezvous/internal/lab/browser"
)

// speechFile is a minute of somebody speaking, for a browser's microphone.
func speechFile(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	raw, file := filepath.Join(dir, "raw.wav"), filepath.Join(dir, "speech.wav")
	text := "Good morning everybody. The first point is the budget for next year, which all of you have seen by now. " +
		"I would like to hear from each of you what you think of it, and then we vote. Let us begin with the north. " +
		"Last year we had eleven visits to make, and this year there will be at least fifteen. Who else has that trouble?"
	for _, c := range [][]string{
		{"espeak-ng", "-v", "en+f3", "-w", raw, text},
		{"ffmpeg", "-v", "error", "-y", "-i", raw, "-af", "volume=-3dB,apad=pad_dur=1", "-ar", "48000", "-ac", "1", file},
	} {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("this test needs the Debian packages espeak-ng and ffmpeg: %v\n%s", err, out)
		}
	}
	return file
}

// loudspeaker has a page's microphone take up what the page plays, as if a loudspeaker stood beside it: fainter and later.
const loudspeaker = `(async () => {
  const context = new AudioContext();
  await context.resume();
  const played = context.createMediaStreamSource(document.querySelector('.stage video').srcObject);
  const way = context.createDelay(1), fainter = context.createGain(), taken = context.createMediaStreamDestination();
  way.delayTime.value = 0.1;
  fainter.gain.value = 0.4;
  played.connect(way).connect(fainter).connect(taken);
  await call.pc.getSenders().find((s) => s.track?.kind === 'audio').replaceTrack(taken.stream.getAudioTracks()[0]);
})()`

// loop has a page's microphone take up the tone of a loop that grows, in two seconds, until it cannot go louder.
const loop = `(async () => {
  const context = new AudioContext();
  await context.resume();
  const tone = context.createOscillator(), growing = context.createGain(), taken = context.createMediaStreamDestination();
  tone.frequency.value = 1870;
  growing.gain.setValueAtTime(0.005, context.currentTime);
  growing.gain.exponentialRampToValueAtTime(0.95, context.currentTime + 2);
  tone.connect(growing).connect(taken);
  tone.start();
  await call.pc.getSenders().find((s) => s.track?.kind === 'audio').replaceTrack(taken.stream.getAudioTracks()[0]);
})()`

// A browser whose microphone hears its loudspeaker repeats the meeting: its owner and the moderator are told. One
// that howls is muted. Who only speaks is let alone.
func TestLoudspeakersFeedMicrophones(t *testing.T) {
	h := startHost(t, "RENDEZVOUS_ROOMS_MAIN_MODERATOR_PIN=4711", "RENDEZVOUS_ROOMS_MAIN_RECORDING=off")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	speech := speechFile(t)
	var all [3]*browser.Browser
	var errs [3]error
	var starting sync.WaitGroup
	for i, o := range []browser.Options{
		{Color: red, Flags: []string{"use-file-for-fake-audio-capture=" + speech}}, {Color: blue}, {Color: red},
	} {
		starting.Go(func() { all[i], errs[i] = browser.Start(ctx, o) })
	}
	starting.Wait()
	for i, b := range all {
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		defer b.Close()
	}
	ann, ben, cid := all[0], all[1], all[2]
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, name := range []string{"Ann", "Ben", "Cid"} {
		must(all[i].Join(h.url(), name, []string{"4711", "", ""}[i]))
		must(all[i].Eval(`(() => { window.notices = []; call.addEventListener('notice', (e) => { if (e.detail.kind === 'noise' || e.detail.kind === 'muted') notices.push(e.detail.text); }); })()`, nil))
	}
	must(ann.WaitPeople(3, 20*time.Second))
	said := func(b *browser.Browser) (texts []string) {
		must(b.Eval(`notices`, &texts))
		return texts
	}

	// An echo.
	began := time.Now()
	must(ben.Eval(loudspeaker, nil))
	must(ann.WaitFor(`notices.some((t) => /^Ben's microphone repeats the meeting/.test(t))`, 30*time.Second))
	t.Logf("the echo is told of after %v: %q; to Ben: %q", time.Since(began).Round(100*time.Millisecond), said(ann), said(ben))
	must(ann.Screenshot(filepath.Join(artefacts(t), "echo.png")))
	must(ben.WaitFor(`notices.some((t) => /headphones/.test(t))`, 5*time.Second))
	if got := said(cid); len(got) > 0 {
		t.Errorf("Cid is told %q", got)
	}

	// Howling.
	began = time.Now()
	must(cid.Eval(loop, nil))
	must(ann.WaitFor(`notices.some((t) => /^Cid howls /.test(t))`, 30*time.Second))
	t.Logf("the howling is ended after %v: %q", time.Since(began).Round(100*time.Millisecond), said(ann))
	must(ann.Screenshot(filepath.Join(artefacts(t), "howling.png")))
	var entries []struct {
		Door, Name, TargetName, Reason string
	}
	out, err := h.ask("audit", "main", "--json")
	must(err)
	must(json.Unmarshal(out, &entries))
	t.Logf("the record: %+v", entries)
	if len(entries) == 0 || slices.ContainsFunc(entries, func(e struct{ Door, Name, TargetName, Reason string }) bool {
		return e.Door != "room" || e.Reason != "howling" || e.TargetName != "Cid"
	}) {
		t.Errorf("the record is %+v, want only that Cid howls", entries)
	}
	// What is left to hear is Ann, and no howling.
	s, err := ann.Listen(browser.Stage, 3*time.Second)
	must(err)
	if got := s.Level(1870); got > -40 {
		t.Errorf("the howling goes on: %.1f dB", got)
	}
	must(cid.WaitFor(`notices.some((t) => /The room has muted you/.test(t))`, 5*time.Second))
	if got := said(ann); slices.ContainsFunc(got, func(text string) bool { return strings.Contains(text, "You") || strings.Contains(text, "Your") }) {
		t.Errorf("Ann, who only spoke, is told %q", got)
	}
	for _, b := range all {
		must(b.Failures())
	}
	must(h.order("end")())
}

package e2e

import (
	"path/filepath"
	"testing"
	"time"

	"rendezvous/conference/settings"
	"rendezvous/internal/lab/browser"
	"rendezvous/internal/lab/firefox"
	"rendezvous/signalling/web/webtest"
)

// Firefox and Chromium meet: each hears the other's tone, and sees the other in the whole
// picture, which moves.
func TestFirefox(t *testing.T) {
	h := webtest.Open(t, []settings.Room{{ID: "lab", Title: "Laboratory", SelfUnmute: true}}, nil)
	link := h.Door.Addresses("lab")[0]
	fox, err := firefox.Start(t.Context(), 500)
	must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			_ = fox.Screenshot(filepath.Join(artefacts(t), "firefox-failed.png"))
		}
		must(t, fox.Close())
	})
	ann := start(t, browser.Options{Color: red, Tone: 900})

	must(t, fox.Open(link))
	must(t, fox.WaitFor(`document.querySelector('.preview video')?.videoWidth > 0 && !document.querySelector('.devices select').disabled`, 30*time.Second))
	must(t, fox.Eval(`(() => {
	  document.querySelector('input[name=name]').value = 'Fox';
	  document.querySelector('form button[type=submit]').click();
	})()`, nil))
	must(t, fox.WaitFor(`window.call && call.phase === 'in' && document.querySelector('.stage video')?.videoWidth > 0`, 45*time.Second))
	must(t, ann.Join(link, "Ann", ""))
	must(t, fox.WaitFor(`call.people.size === 2`, 20*time.Second))

	s, err := ann.Listen(browser.Stage, 3*time.Second)
	must(t, err)
	if s.Level(500) < -35 || s.Level(900) > s.Level(500)-30 {
		t.Errorf("Ann hears Firefox's tone at %.1f dB and her own at %.1f dB", s.Level(500), s.Level(900))
	}
	// The strongest tone that Firefox hears, and how loud its own is beside that.
	var heard struct{ Other, Own float64 }
	must(t, fox.Eval(`(async () => {
	  const a = new AudioContext(), n = a.createAnalyser();
	  n.fftSize = 8192;
	  a.createMediaStreamSource(call.stream).connect(n);
	  await a.resume();
	  await new Promise((done) => setTimeout(done, 1500));
	  const bins = new Float32Array(n.frequencyBinCount);
	  n.getFloatFrequencyData(bins);
	  const at = (hz) => Math.max(...bins.slice(Math.round(hz * n.fftSize / a.sampleRate) - 2, Math.round(hz * n.fftSize / a.sampleRate) + 3));
	  await a.close();
	  return {Other: at(900), Own: at(500)};
	})()`, &heard))
	if heard.Other < -50 || heard.Own > heard.Other-25 {
		t.Errorf("Firefox hears Ann's tone at %.1f dB and its own at %.1f dB", heard.Other, heard.Own)
	}
	t.Logf("Ann hears 500 Hz at %.1f dB; Firefox hears 900 Hz at %.1f, its own at %.1f dB", s.Level(500), heard.Other, heard.Own)

	must(t, fox.WaitFor(`document.querySelector('.stage video').videoWidth === 1280`, 20*time.Second))
	var shown struct {
		Pictures int
		Colour   []int
		Sent     string
		Out      float64
	}
	must(t, fox.Eval(`(async () => {
	  const video = document.querySelector('.stage video');
	  const decoded = async () => [...(await call.pc.getStats()).values()].find((r) => r.type === 'inbound-rtp' && r.kind === 'video').framesDecoded;
	  const before = await decoded();
	  await new Promise((done) => setTimeout(done, 2000));
	  const rect = [...call.people.values()].find((p) => p.name === 'Ann').streams.find((s) => s.label === 'main').rect;
	  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight), g = canvas.getContext('2d');
	  g.drawImage(video, 0, 0);
	  const stats = [...(await call.pc.getStats()).values()];
	  const out = stats.find((r) => r.type === 'outbound-rtp' && r.kind === 'video');
	  return {
	    Pictures: await decoded() - before,
	    Colour: [...g.getImageData(rect.Min.X + 100, rect.Min.Y + 100, 1, 1).data],
	    Sent: stats.find((r) => r.id === out?.codecId)?.mimeType ?? '', Out: out?.framesPerSecond ?? 0,
	  };
	})()`, &shown))
	t.Logf("Firefox: %+v", shown)
	if shown.Pictures < 20 || shown.Out < 5 { // both by software, beside another browser and other tests
		t.Errorf("Firefox saw %d pictures in 2 s, and sends %.0f a second", shown.Pictures, shown.Out)
	}
	if len(shown.Colour) < 3 || shown.Colour[0] < 150 || shown.Colour[2] > 100 {
		t.Errorf("Ann's tile is %v in Firefox, want red", shown.Colour)
	}
	tile, err := ann.Tile("Fox")
	must(t, err)
	if tile.Empty() {
		t.Error("Firefox's camera has no tile")
	}
	must(t, fox.Screenshot(filepath.Join(artefacts(t), "firefox.png")))

	must(t, fox.Eval(`call.leave()`, nil))
	must(t, ann.WaitPeople(1, 20*time.Second))
	clean(t, ann)
}

package browser

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"rendezvous/internal/sound"
)

// Options say what a browser is like.
type Options struct {
	Color color.RGBA // of its camera
	Tone  float64    // of its microphone, Hz; 0: a silent one

	CameraWidth, CameraHeight int // default 640x360
	// Noise covers the camera's lower half with moving noise, so that its picture takes
	// as many bits as a lively one.
	Noise bool

	// Talks is how long the microphone's tone lasts until it begins anew, with a gap of some milliseconds; 0: 10 s.
	Talks time.Duration
	// Flash is another camera and microphone, made by the page: both flash and beep (1000 Hz) at the same moments, once
	// a second (Flashed).
	Flash bool

	// Width and Height are the window's, default 1280x800. Mobile makes it a phone.
	Width, Height int
	Mobile        bool
	Dark          bool // prefers a dark theme

	// NetNS runs it in this network namespace (needs root), for tests of bad networks.
	NetNS string
	// ProcessAudio leaves the page's echo and noise suppression on. They take a steady tone
	// for noise, so it is off unless asked for.
	ProcessAudio bool
	Flags        []string // further command line flags, "name" or "name=value"
}

// Browser is a running Chromium with one page.
type Browser struct {
	ctx    context.Context
	cancel []context.CancelFunc
	dir    string

	once   sync.Once
	closed error // what Close returns; set by once

	mu  sync.Mutex
	log []string // console messages and exceptions; guarded by mu
}

// startTimeout is how long a Chromium may take to start on a busy machine.
const startTimeout = 90 * time.Second

// Start starts a Chromium. Close ends it.
func Start(ctx context.Context, o Options) (*Browser, error) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		return nil, fmt.Errorf("the browser tests need Debian's chromium package: %w", err)
	}
	dir, err := os.MkdirTemp("", "rendezvous-browser-")
	if err != nil {
		return nil, err
	}
	b := &Browser{dir: dir}
	fail := func(err error) (*Browser, error) { return nil, errors.Join(err, b.Close()) }

	width, height := orDefault(o.CameraWidth, 640), orDefault(o.CameraHeight, 360)
	film, tone := filepath.Join(dir, "camera.y4m"), filepath.Join(dir, "microphone.wav")
	if err := writeCamera(film, o.Color, width, height, o.Noise); err != nil {
		return fail(fmt.Errorf("writing the camera's film: %w", err))
	}
	if err := writeTone(tone, o.Tone, o.Talks); err != nil {
		return fail(fmt.Errorf("writing the microphone's tone: %w", err))
	}
	flags := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(chromium),
		chromedp.UserDataDir(filepath.Join(dir, "profile")),
		chromedp.WindowSize(orDefault(o.Width, 1280), orDefault(o.Height, 800)),
		chromedp.WSURLReadTimeout(startTimeout),
	}
	for _, f := range append([]string{
		"headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "no-default-browser-check", "disable-background-networking",
		"disable-component-update", "disable-sync", "disable-extensions", "disable-dev-shm-usage", "mute-audio",
		// A page in the background must go on as if looked at.
		"disable-background-timer-throttling", "disable-renderer-backgrounding", "disable-backgrounding-occluded-windows",
		"use-fake-device-for-media-stream", "use-fake-ui-for-media-stream", "allow-loopback-in-peer-connection",
		"auto-select-desktop-capture-source=Entire screen", "autoplay-policy=no-user-gesture-required", "lang=en-GB",
		"use-file-for-fake-video-capture=" + film, "use-file-for-fake-audio-capture=" + tone,
	}, o.Flags...) {
		name, value, ok := strings.Cut(f, "=")
		if ok {
			flags = append(flags, chromedp.Flag(name, value))
		} else {
			flags = append(flags, chromedp.Flag(name, true))
		}
	}
	if o.NetNS != "" {
		flags = append(flags, chromedp.ModifyCmdFunc(func(c *exec.Cmd) {
			c.Args = append([]string{"ip", "netns", "exec", o.NetNS, c.Path}, c.Args[1:]...)
			if ip, err := exec.LookPath("ip"); err == nil {
				c.Path = ip
			}
			c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // as chromedp has it by itself
		}))
	}
	alloc, cancelAlloc := chromedp.NewExecAllocator(ctx, flags...)
	tab, cancelTab := chromedp.NewContext(alloc, chromedp.WithListener(b.hear), chromedp.WithErrorf(func(string, ...any) {}))
	b.ctx, b.cancel = tab, []context.CancelFunc{cancelTab, cancelAlloc}

	theme := "light"
	if o.Dark {
		theme = "dark"
	}
	view := []chromedp.EmulateViewportOption{chromedp.EmulateScale(1)}
	if o.Mobile {
		o.Width, o.Height = orDefault(o.Width, 390), orDefault(o.Height, 844)
		view = []chromedp.EmulateViewportOption{chromedp.EmulateScale(2), chromedp.EmulateMobile, chromedp.EmulateTouch}
	}
	setUp := []chromedp.Action[chromedp.Void]{
		chromedp.EmulateViewport(int64(orDefault(o.Width, 1280)), int64(orDefault(o.Height, 800)), view...),
		chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
			_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}},
			})
			return err
		}),
	}
	if !o.ProcessAudio {
		setUp = append(setUp, inEachPage(rawMicrophone))
	}
	if o.Flash {
		setUp = append(setUp, inEachPage(flashScript), chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
			_, err := chromedp.Call(ctx, page.SetBypassCSP, page.SetBypassCSPParams{Enabled: true}) // its worker is no file of the site
			return err
		}))
	}
	// Chromium puts a limit on WebRTC only where one was set before the connection was made.
	setUp = append(setUp, setLink(Link{}))
	tooLate := time.AfterFunc(startTimeout, cancelAlloc)
	err = chromedp.Do(tab, setUp...)
	if !tooLate.Stop() || err != nil {
		return fail(fmt.Errorf("starting Chromium: %w", err))
	}
	return b, nil
}

// inEachPage has a script run in each page before those of its own.
func inEachPage(script string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
		return err
	})
}

// rawMicrophone takes the voice processing out of what a page asks for.
const rawMicrophone = `if (navigator.mediaDevices) {
  const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = (c) => {
    if (c && c.audio) c = {...c, audio: {...(c.audio === true ? {} : c.audio), echoCancellation: false, noiseSuppression: false, autoGainControl: false}};
    return ask(c);
  };
}`

// hear keeps what the page says in the console.
func (b *Browser) hear(ev any) {
	var line string
	switch e := ev.(type) {
	case *runtime.EventConsoleAPICalled:
		line = string(e.Type) + ":"
		for _, a := range e.Args {
			line += " " + strings.Trim(string(a.Value), `"`) + a.Description
		}
	case *runtime.EventExceptionThrown:
		line = "exception: " + e.ExceptionDetails.Text
		if x := e.ExceptionDetails.Exception; x != nil {
			line += " " + x.Description
		}
	case *log.EventEntryAdded:
		line = "log: " + e.Entry.Text + " " + e.Entry.URL
	default:
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.log = append(b.log, line); len(b.log) > 500 {
		b.log = b.log[1:]
	}
}

// Console returns what the page has said in the console, exceptions included.
func (b *Browser) Console() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.log...)
}

// Close ends the browser and removes its files. Twice is the same as once.
func (b *Browser) Close() error {
	b.once.Do(func() { b.closed = b.close() })
	return b.closed
}

func (b *Browser) close() error {
	if b.ctx != nil {
		_ = chromedp.Cancel(b.ctx) // ends the process in good order; the cancels below do it otherwise
	}
	for _, c := range b.cancel {
		c()
	}
	// Chromium's helpers may still be writing to the profile.
	var err error
	for range 20 {
		if err = os.RemoveAll(b.dir); err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return err
}

// Do does chromedp actions, for what has no method here.
func (b *Browser) Do(timeout time.Duration, actions ...chromedp.Action[chromedp.Void]) error {
	ctx, cancel := context.WithTimeout(b.ctx, timeout)
	defer cancel()
	return chromedp.Do(ctx, actions...)
}

// Open loads a page.
func (b *Browser) Open(url string) error {
	if err := b.Do(time.Minute, chromedp.Navigate(url)); err != nil {
		return fmt.Errorf("opening %s: %w", url, err)
	}
	return nil
}

// Eval evaluates a JavaScript expression, waiting for promises. The value comes by way of
// JSON into v; nil leaves it.
func (b *Browser) Eval(expr string, v any) error {
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("(async () => JSON.stringify((await ("+expr+")) ?? null))()", chromedp.EvalAwaitPromise,
		func(p *runtime.EvaluateParams) { yes := true; p.UserGesture = &yes }))
	if err == nil && v != nil {
		err = json.Unmarshal([]byte(text), v)
	}
	if err != nil {
		return fmt.Errorf("evaluating %.80q: %w", expr, err)
	}
	return nil
}

// WaitFor waits until a JavaScript expression is true.
func (b *Browser) WaitFor(expr string, timeout time.Duration) error {
	deadline := time.Now().Add(timeout)
	for {
		var ok bool
		err := b.Eval("(async () => Boolean(await ("+expr+")))()", &ok)
		if ok && err == nil {
			return nil
		}
		if time.Now().After(deadline) || b.ctx.Err() != nil {
			text := fmt.Sprintf("after %v it is still not so that %.200s; the page's console: %s", timeout, expr, strings.Join(b.Console(), "\n"))
			return errors.Join(errors.New(text), err, b.ctx.Err())
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// Link is a network as a page sees it, its WebRTC media included. The zero Link is the
// machine's own.
type Link struct {
	Down, Up int           // bit/s; 0: no limit
	Latency  time.Duration // of HTTP
	Loss     float64       // of WebRTC packets, percent
	Queue    int           // of WebRTC packets; 0: no limit
	Offline  bool
}

// SetLink puts a bad network under the page. Chromium does it by itself, so it needs no
// rights and no network namespace.
func (b *Browser) SetLink(l Link) error { return b.Do(10*time.Second, setLink(l)) }

func setLink(l Link) chromedp.Action[chromedp.Void] {
	rate := func(bps int) float64 {
		if bps == 0 {
			bps = 1e9
		}
		return float64(bps) / 8
	}
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
			return err
		}
		_, err := chromedp.Call(ctx, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
			MatchedNetworkConditions: []*network.Conditions{{
				DownloadThroughput: rate(l.Down), UploadThroughput: rate(l.Up), Latency: float64(l.Latency.Milliseconds()),
				PacketLoss: l.Loss, PacketQueueLength: int64(l.Queue), Offline: l.Offline,
			}},
		})
		return err
	})
}

// Screenshot writes what the window shows as PNG.
func (b *Browser) Screenshot(path string) error {
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	out, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		return fmt.Errorf("taking a screenshot: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, out, 0o644)
}

// Picture returns the frame that a video element shows now, in its full size.
func (b *Browser) Picture(selector string) (image.Image, error) {
	var data string
	err := b.Eval(fmt.Sprintf(`(() => {
	  const v = document.querySelector(%q);
	  if (!v || !v.videoWidth) return '';
	  const c = document.createElement('canvas');
	  c.width = v.videoWidth; c.height = v.videoHeight;
	  c.getContext('2d').drawImage(v, 0, 0);
	  return c.toDataURL('image/png').split(',')[1];
	})()`, selector), &data)
	if err != nil {
		return nil, err
	}
	if data == "" {
		return nil, fmt.Errorf("no picture in %s", selector)
	}
	raw, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		return nil, err
	}
	return png.Decode(bytes.NewReader(raw))
}

// Listen records what a media element's stream plays, for a while.
func (b *Browser) Listen(selector string, d time.Duration) (sound.Recording, error) {
	var out struct {
		Rate int    `json:"rate"`
		PCM  string `json:"pcm"`
	}
	err := b.Eval(fmt.Sprintf(`(async () => {
	  const stream = document.querySelector(%q).srcObject;
	  const context = new AudioContext();
	  await context.resume();
	  const source = context.createMediaStreamSource(stream);
	  const tap = context.createScriptProcessor(4096, 1, 1);
	  const parts = [];
	  tap.onaudioprocess = (e) => parts.push(new Float32Array(e.inputBuffer.getChannelData(0)));
	  source.connect(tap); tap.connect(context.destination);
	  await new Promise((f) => setTimeout(f, %d));
	  tap.disconnect(); source.disconnect();
	  const rate = context.sampleRate;
	  await context.close();
	  const pcm = new Int16Array(parts.length * 4096);
	  parts.forEach((p, i) => p.forEach((v, j) => { pcm[i * 4096 + j] = Math.max(-1, Math.min(1, v)) * 32767; }));
	  const bytes = new Uint8Array(pcm.buffer);
	  let text = '';
	  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
	  return {rate, pcm: btoa(text)};
	})()`, selector, d.Milliseconds()), &out)
	if err != nil {
		return sound.Recording{}, err
	}
	raw, err := base64.StdEncoding.DecodeString(out.PCM)
	if err != nil {
		return sound.Recording{}, err
	}
	s := sound.Recording{Rate: out.Rate, PCM: make([]float32, len(raw)/2)}
	for i := range s.PCM {
		s.PCM[i] = float32(int16(binary.LittleEndian.Uint16(raw[2*i:]))) / 32768
	}
	return s, nil
}

func orDefault(v, def int) int {
	if v == 0 {
		return def
	}
	return v
}

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rendezvous/internal/lab/browser"
	"rendezvous/internal/lab/phone"
	"rendezvous/signalling/web"
)

const (
	apiSecret  = "a-secret-of-the-tests"
	joinSecret = "a-join-secret-of-the-tests"

	// Of all orders that are given half at least are to take effect within this. A single one may
	// take as long as the ear waits, on a machine that has other work.
	effect = 200 * time.Millisecond
)

// effects measures what orders do.
type effects struct {
	t    *testing.T
	ear  *ear
	took []time.Duration
}

// silences gives an order and measures how long the tones are still heard.
func (m *effects) silences(what string, order func() error, tones ...float64) {
	m.t.Helper()
	m.changes(what, false, order, tones)
}

// restores gives an order and measures until all of the tones are heard.
func (m *effects) restores(what string, order func() error, tones ...float64) {
	m.t.Helper()
	m.changes(what, true, order, tones)
}

func (m *effects) changes(what string, there bool, order func() error, tones []float64) {
	m.t.Helper()
	since := time.Now()
	if err := order(); err != nil {
		m.t.Errorf("%s: %v", what, err)
		return
	}
	d, err := m.ear.after(since, there, tones...)
	if err != nil {
		m.t.Errorf("%s: %v", what, err)
		return
	}
	m.took = append(m.took, d)
	m.t.Logf("%-58s %4d ms", what, d.Milliseconds())
}

// hears waits until tones are heard, before orders about them.
func (m *effects) hears(tones ...float64) {
	m.t.Helper()
	if _, err := m.ear.after(time.Now(), true, tones...); err != nil {
		m.t.Fatal(err)
	}
}

func (m *effects) summary() {
	m.t.Helper()
	if len(m.took) == 0 {
		return
	}
	slices.Sort(m.took)
	median := m.took[len(m.took)/2]
	m.t.Logf("%d orders, from the giving to the last or first packet: median %v, slowest %v", len(m.took), median.Round(time.Millisecond), m.took[len(m.took)-1].Round(time.Millisecond))
	if median > effect {
		m.t.Errorf("the median effect took %v, want at most %v", median, effect)
	}
}

// api gives an order through the control API.
func (h *host) api(order string, args ...any) func() error {
	return func() error {
		req, err := http.NewRequest("POST", fmt.Sprintf("http://localhost:%d/api/v1/rooms/main/orders", h.webPort), strings.NewReader(fmt.Sprintf(order, args...)))
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+apiSecret)
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if body, _ := io.ReadAll(resp.Body); resp.StatusCode/100 != 2 {
			return fmt.Errorf("%s: %s", resp.Status, body)
		}
		return nil
	}
}

// order gives an order from the command line.
func (h *host) order(line ...string) func() error {
	return func() error {
		_, err := h.ask(append([]string{"order", "main"}, line...)...)
		return err
	}
}

// person is a participant's id and what the command line shows of them.
func (h *host) person(t *testing.T, name string) (p struct {
	ID      string
	Waiting bool
}) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		out, err := h.ask("participants", "main", "--json")
		if err != nil {
			t.Fatal(err)
		}
		var list []struct {
			ID, Name string
			Waiting  bool
		}
		if err := json.Unmarshal(out, &list); err != nil {
			t.Fatal(err)
		}
		for _, q := range list {
			if q.Name == name {
				p.ID, p.Waiting = q.ID, q.Waiting
				return p
			}
		}
	}
	t.Fatalf("nobody in the room is called %s", name)
	return p
}

// joinLink is a link whose bearer has a proven identity, "web:" and the subject.
func (h *host) joinLink(subject, name, role string) string {
	token := web.JoinToken{Subject: subject, Name: name, Role: role, Expires: time.Now().Add(time.Hour).Unix()}
	return h.url() + "#token=" + token.Sign([]byte(joinSecret))
}

// withToken is the shipped configuration with a token for the control API.
var withToken = []string{"\n  tokens: {}\n", "\n  tokens:\n    tester: {secret: " + apiSecret + "}\n"}

// press is a button of a page, as an order.
func press(b *browser.Browser, label string) func() error {
	return func() error { return b.Press(label) }
}

// pane opens a part of the page beside the picture, if it is not open.
func pane(b *browser.Browser, name string) error {
	return b.Eval(fmt.Sprintf(`(() => { const b = document.querySelector('[data-pane=%s]'); if (b.getAttribute('aria-expanded') !== 'true') b.click(); })()`, name), nil)
}

// keys are keys of a telephone, as an order.
func keys(ctx context.Context, p *phone.Phone, k string) func() error {
	return func() error { return p.Press(ctx, k) }
}

// watchTile has a page give an order and say after how many milliseconds the middle of a tile has,
// or has no longer, a colour. It looks at what the page itself shows.
const watchTile = `(async () => {
  const video = document.querySelector('.stage video'), canvas = document.createElement('canvas');
  canvas.width = canvas.height = 8;
  const pen = canvas.getContext('2d', {willReadFrequently: true});
  let place = {Min: {X: 0, Y: 0}, Max: {X: 0, Y: 0}}; // where the tile is, or was
  const look = () => {
    const rect = [...call.people.values()].find((p) => p.name === %q)?.streams.find((s) => s.label === 'main').rect;
    if (rect && rect.Max.X > 0) place = rect;
    const sx = video.videoWidth / call.room.width, sy = video.videoHeight / call.room.height;
    pen.drawImage(video, sx * (place.Min.X + place.Max.X) / 2 - 8, sy * (place.Min.Y * 2 + place.Max.Y) / 3 - 8, 16, 16, 0, 0, 8, 8);
    const d = pen.getImageData(4, 4, 1, 1).data;
    return [%d, %d, %d].every((v, i) => Math.abs(v - d[i]) < 45);
  };
  look();
  const began = performance.now();
  %s;
  for (;;) {
    await new Promise((f) => setTimeout(f, 5));
    const t = performance.now() - began;
    if (look() === %v) return t;
    if (t > 10000) return -1;
  }
})()`

// watchTone has a page give an order and say after how many milliseconds a tone is no longer in what
// the page itself plays, behind its own jitter buffer.
const watchTone = `(async () => {
  const context = new AudioContext();
  await context.resume();
  const source = context.createMediaStreamSource(document.querySelector('.stage video').srcObject), tap = context.createAnalyser();
  tap.fftSize = 1024; tap.smoothingTimeConstant = 0;
  source.connect(tap);
  const bins = new Float32Array(tap.frequencyBinCount), bin = Math.round(%f * tap.fftSize / context.sampleRate);
  const there = () => { tap.getFloatFrequencyData(bins); return Math.max(bins[bin - 1], bins[bin], bins[bin + 1]) > -60; };
  for (let tries = 0; !there(); tries++) {
    if (tries > 100) return -2;
    await new Promise((f) => setTimeout(f, 50));
  }
  const began = performance.now();
  %s;
  let last = began;
  for (;;) {
    await new Promise((f) => setTimeout(f, 4));
    const now = performance.now();
    if (there()) last = now;
    if (now - last > 300) { context.close(); return last - began; }
    if (now - began > 10000) return -1;
  }
})()`

// clickMenu is a click in the open menu of a participant, for watchTile and watchTone.
const clickMenu = `[...document.querySelectorAll('.menu button')].find((b) => b.textContent.trim() === %q).click()`

// Every order through each of the doors that offer it, given as a person gives it, and its effect
// measured at somebody else: a telephone that knows each packet, and a browser's own picture.
func TestOrdersThroughEveryDoor(t *testing.T) {
	h := startEdited(t, withToken, "RENDEZVOUS_ROOMS_MAIN_MODERATOR_PIN=4711", "RENDEZVOUS_ROOMS_MAIN_RECORDING=off",
		"RENDEZVOUS_SIP_TONES=false", "RENDEZVOUS_WEB_JOIN_SECRET="+joinSecret)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var ann, ben *browser.Browser
	var carl, lea *phone.Phone
	var starting sync.WaitGroup
	errs := make([]error, 4)
	starting.Go(func() { ann, errs[0] = browser.Start(ctx, browser.Options{Color: red}) })
	starting.Go(func() { ben, errs[1] = browser.Start(ctx, browser.Options{Color: blue, Tone: toneB}) })
	starting.Go(func() {
		carl, errs[2] = phone.Start(ctx, phone.Config{User: "carl", Name: "Carl", Tone: tonePhone, Codecs: []string{"opus/48000/2"}})
	})
	starting.Go(func() {
		lea, errs[3] = phone.Start(ctx, phone.Config{User: "lea", Name: "Lea", Codecs: []string{"PCMU/8000/1"}, DTMFInfo: true})
	})
	starting.Wait()
	for _, b := range []*browser.Browser{ann, ben} {
		if b != nil {
			defer b.Close()
		}
	}
	for _, p := range []*phone.Phone{carl, lea} {
		if p != nil {
			defer p.Close()
		}
	}
	must(errors.Join(errs...))
	must(ann.Join(h.url(), "Ann", "4711"))
	must(ben.Join(h.joinLink("ben", "Ben", "speaker"), "Ben", ""))
	must(carl.Dial(ctx, h.sip()))
	must(lea.Dial(ctx, strings.Replace(h.sip(), "main", "main*4711", 1)))
	e := listen(t, h, "ear", "main*4711", 0) // a moderator: nobody tells them aloud that they are muted
	must(ann.WaitPeople(5, 30*time.Second))
	m := &effects{t: t, ear: e}
	m.hears(toneB, tonePhone)

	// The page, by its buttons. Who is noisy is known after four seconds.
	must(pane(ann, "panel"))
	time.Sleep(4500 * time.Millisecond)
	m.silences("page: mute who is noisy", press(ann, "Mute who is noisy"), toneB, tonePhone)
	m.restores("page: unmute all", press(ann, "Unmute all"), toneB, tonePhone)
	must(pane(ann, "people"))
	menu := func(who string) {
		t.Helper()
		must(ann.Press("Actions for " + who))
		must(ann.WaitFor(`document.querySelector('.menu')`, 5*time.Second))
	}
	menu("Ben")
	m.silences("page: mute one", press(ann, "Mute"), toneB)
	must(ben.WaitFor(`document.querySelector('.control .label').textContent === 'Muted by moderator'`, 10*time.Second))
	menu("Ben")
	m.restores("page: unmute one", press(ann, "Unmute"), toneB)
	menu("Ben")
	var heard float64
	must(ann.Eval(fmt.Sprintf(watchTone, toneB, fmt.Sprintf(clickMenu, "Mute")), &heard))
	t.Logf("page: mute one, as the moderator's own browser plays it: gone after %.0f ms", heard)
	if heard < 0 {
		t.Errorf("the muted tone is in the browser's sound for %.0f ms", heard)
	}
	menu("Ben")
	m.restores("page: unmute one, again", press(ann, "Unmute"), toneB)
	must(ben.WaitFor(`document.querySelector('.control .label').textContent === 'Mute'`, 10*time.Second))
	m.silences("page: Ben's own mute", press(ben, "Mute"), toneB)
	m.restores("page: Ben's own unmute", press(ben, "Unmute"), toneB)

	waitColors(t, ann, "Ben", blue)
	for _, step := range []struct {
		label string
		shown bool
	}{{"Stop video", false}, {"Show video", true}} {
		must(ann.WaitFor(fmt.Sprintf(`Boolean([...call.people.values()].find((p) => p.name === 'Ben').streams.find((s) => s.label === 'main').muted) === %v`, step.shown), 10*time.Second))
		menu("Ben")
		var ms float64
		must(ann.Eval(fmt.Sprintf(watchTile, "Ben", blue.R, blue.G, blue.B, fmt.Sprintf(clickMenu, step.label), step.shown), &ms))
		t.Logf("page: %s: to be seen in the moderator's browser after %.0f ms", step.label, ms)
		if ms < 0 || ms > 3000 {
			t.Errorf("%s is seen after %.0f ms", step.label, ms)
		}
	}

	must(pane(ann, "panel"))
	m.silences("page: mute all", press(ann, "Mute all"), toneB, tonePhone)
	m.restores("page: unmute all", press(ann, "Unmute all"), toneB, tonePhone)
	m.silences("page: lecture", press(ann, "Lecture"), toneB, tonePhone)
	m.restores("API: floor", h.api(`{"action":"floor","target":%q,"on":true}`, h.person(t, "Carl").ID), tonePhone)
	m.silences("API: floor taken back", h.api(`{"action":"floor","target":%q,"on":false}`, h.person(t, "Carl").ID), tonePhone)
	m.restores("page: lecture over", press(ann, "Lecture"), toneB, tonePhone)

	// Programs, the command line, and commands in the chat.
	m.silences("API: mute one", h.api(`{"action":"mute","target":%q,"on":true}`, h.person(t, "Carl").ID), tonePhone)
	m.restores("API: unmute one", h.api(`{"action":"mute","target":%q}`, h.person(t, "Carl").ID), tonePhone)
	m.silences("command line: mute one (a process is started)", h.order("mute", "Carl"), tonePhone)
	m.restores("command line: unmute one", h.order("unmute", "Carl"), tonePhone)
	must(pane(ann, "chat"))
	m.silences("chat: /mute Ben (typed)", func() error { return ann.Type(".chat-form textarea", "/mute Ben\r") }, toneB)
	m.restores("chat: /unmute Ben", func() error { return ann.Type(".chat-form textarea", "/unmute Ben\r") }, toneB)

	// Telephones, by their keys, from the moment the second key goes down; it is held for 120 ms.
	star := func(p *phone.Phone, key string) func() error {
		must(p.Press(ctx, "*"))
		return keys(ctx, p, key)
	}
	m.silences("phone: *6, RTP events, mutes its owner", star(carl, "6"), tonePhone)
	m.restores("phone: *6 unmutes its owner", star(carl, "6"), tonePhone)
	m.silences("phone: *5, SIP INFO, a moderator mutes all", star(lea, "5"), toneB, tonePhone)
	m.restores("phone: *5 unmutes all", star(lea, "5"), toneB, tonePhone)
	must(carl.Press(ctx, "*9"))
	must(pane(ann, "people"))
	must(ann.WaitFor(`[...call.people.values()].some((p) => p.name === 'Carl' && p.hand)`, 10*time.Second))
	must(carl.Press(ctx, "*5")) // not theirs to do
	time.Sleep(300 * time.Millisecond)
	if d, err := e.after(time.Now(), true, toneB); err != nil {
		t.Errorf("an ordinary caller has muted all by *5: %v %v", d, err)
	}

	// Locked: each kind of caller is told why.
	must(lea.Press(ctx, "*7"))
	must(ann.WaitFor(`call.room.locked`, 10*time.Second))
	shut := listen(t, h, "shut", "main", 0)
	reason, _, err := shut.waitEnd(ctx)
	if err != nil || !strings.Contains(reason, `"locked"`) {
		t.Errorf("a phone at the locked room: BYE with reason %q, %v", reason, err)
	}
	if s := shut.said(time.Time{}); s.Loudness() < -40 {
		t.Errorf("a phone at the locked room is told nothing: %.0f dB", s.Loudness())
	}
	for _, kind := range []string{"whip", "whep"} {
		resp, err := http.Post(fmt.Sprintf("http://localhost:%d/%s/main", h.webPort, kind), "application/sdp", bytes.NewReader([]byte("v=0\r\n")))
		must(err)
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden || !strings.Contains(string(body), "locked") {
			t.Errorf("%s at the locked room: %s %s", kind, resp.Status, body)
		}
	}
	t.Logf("locked: the phone hears why and gets a BYE with %s", reason)
	must(lea.Press(ctx, "*7"))
	must(ann.WaitFor(`!call.room.locked`, 10*time.Second))

	// The lobby hears and sees nothing, and is not heard, until they are let in.
	must(h.order("lobby", "on")())
	gus := listen(t, h, "gus", "main", 2300)
	began := time.Now()
	if p := h.person(t, "gus"); !p.Waiting {
		t.Error("gus does not wait in the lobby")
	}
	m.hears(toneB, tonePhone)
	time.Sleep(time.Second) // of waiting, which is what is measured
	gus.never("the lobby hears the meeting", began, toneB)
	gus.never("the lobby hears the meeting", began, tonePhone)
	e.never("the meeting hears the lobby", began, 2300)
	(&effects{t: t, ear: gus}).restores("phone: *4 admits, gus hears the meeting", star(lea, "4"), toneB, tonePhone)
	m.hears(2300)
	must(h.order("lobby", "off")())

	// Taken out, for the right reason.
	m.silences("API: remove", h.api(`{"action":"remove","target":%q}`, h.person(t, "gus").ID), 2300)
	mark := carl.Mark()
	must(pane(ann, "people"))
	menu("Carl")
	must(ann.Press("Remove…"))
	must(ann.WaitFor(`document.querySelector('dialog[open]')`, 5*time.Second))
	m.silences("page: remove", press(ann, "Remove"), tonePhone)
	waitColors(t, ann, "Ben", blue)
	menu("Ben")
	must(ann.Press("Ban…"))
	must(ann.WaitFor(`document.querySelector('dialog[open]')`, 5*time.Second))
	since := time.Now()
	var ms float64
	must(ann.Eval(fmt.Sprintf(watchTile, "Ben", blue.R, blue.G, blue.B,
		`[...document.querySelectorAll('dialog[open] button')].find((b) => b.textContent.trim() === 'Ban').click()`, false), &ms))
	m.silences("page: ban (counted a moment late)", func() error { return nil }, toneB)
	t.Logf("page: ban: the tile is gone in the moderator's browser after %.0f ms", ms)
	if _, err := e.after(since, false, toneB); err != nil || ms < 0 || ms > 3000 {
		t.Errorf("the banned one's tile is gone after %.0f ms; %v", ms, err)
	}
	must(ben.WaitFor(`/removed/.test(document.querySelector('h1').textContent)`, 10*time.Second))
	// The telephones were told, before they were hung up.
	if reason, _, err := gus.waitEnd(ctx); err != nil || !strings.Contains(reason, `"removed"`) {
		t.Errorf("gus was removed: BYE with reason %q, %v", reason, err)
	}
	if ev, err := carl.Wait(ctx, mark, "CALL_CLOSED"); err != nil {
		t.Errorf("Carl was removed and their call goes on: %v", err)
	} else {
		t.Logf("Carl's telephone: %s %s", ev.Type, ev.Param)
	}
	// The same person by the same proof, in another way and under another name.
	req, err := http.NewRequest("POST", fmt.Sprintf("http://localhost:%d/whip/main?name=Robert", h.webPort), strings.NewReader("v=0\r\n"))
	must(err)
	req.Header.Set("Content-Type", "application/sdp")
	req.Header.Set("Authorization", "Bearer "+strings.SplitN(h.joinLink("ben", "", "speaker"), "#token=", 2)[1])
	resp, err := http.DefaultClient.Do(req)
	must(err)
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden || !strings.Contains(string(body), "banned") {
		t.Errorf("the banned one by WHIP: %s %s", resp.Status, body)
	}

	must(h.api(`{"action":"end"}`)())
	if reason, _, err := e.waitEnd(ctx); err != nil || !strings.Contains(reason, `"ended"`) {
		t.Errorf("the meeting was ended: BYE with reason %q, %v", reason, err)
	}
	must(ann.WaitFor(`/ended/.test(document.querySelector('h1').textContent)`, 10*time.Second))
	m.summary()
	for _, b := range []*browser.Browser{ann, ben} {
		must(b.Failures())
	}
	out, err := h.ask("audit", "main")
	must(err)
	t.Logf("the record of it:\n%s", out)
}

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"rendezvous/conference/settings"
	"rendezvous/internal/lab/browser"
	"rendezvous/signalling/web/webtest"
)

// Everything with the keyboard: join, mute, chat, a menu, leave. What has the focus is
// found as a screen reader finds it, by its accessible name.
func TestKeyboardAlone(t *testing.T) {
	h := webtest.Open(t, []settings.Room{{ID: "lab", Title: "Laboratory", ModeratorPIN: "4711"}}, nil)
	b := start(t, browser.Options{Color: red, Tone: 500})
	must(t, b.Open(h.Door.URL()+"/"))
	// The landing page asks for a room, and has the focus in the right place.
	must(t, b.WaitFor(`document.activeElement?.name === 'room'`, 10*time.Second))
	must(t, b.Screenshot(filepath.Join(artefacts(t), "landing.png")))
	must(t, b.Keys("lab\r"))
	must(t, b.WaitFor(`document.activeElement?.name === 'name'`, 20*time.Second))
	must(t, b.WaitFor(`document.querySelector('.preview video')?.videoWidth > 0`, 20*time.Second))
	must(t, b.Keys("Ann"))
	tabTo(t, b, "I have a moderator PIN")
	must(t, b.Keys("\r"))
	must(t, b.WaitFor(`document.activeElement?.name === 'pin'`, 5*time.Second))
	must(t, b.Keys("4711\r"))
	must(t, b.WaitFor(`window.call && call.phase === 'in' && call.moderates`, 30*time.Second))

	// Space presses the focused button; Alt with a letter presses it from anywhere.
	must(t, b.WaitFor(`document.activeElement?.textContent === 'Mute'`, 5*time.Second))
	must(t, b.Keys(" "))
	must(t, b.WaitFor(`!call.mic && call.me?.selfMuted`, 10*time.Second))
	alt(t, b, "m")
	must(t, b.WaitFor(`call.mic && call.me?.selfMuted === false`, 10*time.Second))

	alt(t, b, "c")
	must(t, b.WaitFor(`document.activeElement?.tagName === 'TEXTAREA'`, 5*time.Second))
	must(t, b.Keys("Hello\r"))
	must(t, b.WaitFor(`document.querySelector('.said')?.textContent === 'Hello' && document.activeElement.value === ''`, 10*time.Second))
	alt(t, b, "c")
	must(t, b.WaitFor(`document.querySelector('.side').hidden && document.activeElement?.dataset.pane === 'chat'`, 5*time.Second))

	alt(t, b, "p")
	tabTo(t, b, "Actions for Ann (you)")
	must(t, b.Keys("\r"))
	must(t, b.WaitFor(`document.activeElement?.getAttribute('role') === 'menuitem'`, 5*time.Second))
	must(t, b.Keys(kb.ArrowDown+kb.ArrowDown+kb.ArrowUp))
	must(t, b.WaitFor(`document.activeElement?.textContent === 'Stop video'`, 5*time.Second))
	must(t, b.Keys(kb.Escape))
	must(t, b.WaitFor(`!document.querySelector('.menu') && document.activeElement?.classList.contains('more')`, 5*time.Second))

	tabTo(t, b, "Leave")
	must(t, b.Keys("\r"))
	must(t, b.WaitFor(`/left/.test(document.activeElement?.textContent) && document.activeElement.tagName === 'H1'`, 10*time.Second))
	clean(t, b)
}

// tabTo presses Tab until the focus is on what has this accessible name.
func tabTo(t *testing.T, b *browser.Browser, name string) {
	t.Helper()
	var seen []string
	for range 60 {
		must(t, b.Keys(kb.Tab))
		var at string
		must(t, b.Eval(`(() => { const a = document.activeElement; return a.getAttribute('aria-label') || a.labels?.[0]?.textContent || a.textContent.trim().slice(0, 60); })()`, &at))
		if at == name {
			return
		}
		seen = append(seen, at)
	}
	t.Fatalf("Tab does not come to %q, only to: %s", name, strings.Join(seen, " | "))
}

func alt(t *testing.T, b *browser.Browser, key string) {
	t.Helper()
	must(t, b.Do(10*time.Second, chromedp.KeyEvent(key, chromedp.KeyModifiers(kb.ModifierAlt))))
}

// ownSettings: what the dialog says is so for this person at once, and next time.
func ownSettings(t *testing.T, b *browser.Browser) {
	t.Helper()
	must(t, b.Eval(`(() => { const v = document.querySelector('dialog[open] input[type=range]'); v.value = '40'; v.dispatchEvent(new Event('input')); })()`, nil))
	must(t, b.WaitFor(`document.querySelector('.stage video').volume === 0.4 && localStorage.getItem('rendezvous.volume') === '40'`, 5*time.Second))
	const suppressed = `call.pc.getSenders().find((s) => s.track?.kind === 'audio').track.getSettings().noiseSuppression`
	must(t, b.WaitFor(suppressed+` === true`, 5*time.Second))
	must(t, b.Press("Suppress noise"))
	must(t, b.WaitFor(suppressed+` === false`, 10*time.Second))
	must(t, b.Press("Suppress noise"))
	must(t, b.WaitFor(suppressed+` === true`, 10*time.Second))
}

// A large screen at 400 % is 320 by 256 pixels to the page: it is read by scrolling down alone (WCAG 2.2, 1.4.10), and every control is within reach.
func reflows(t *testing.T, b *browser.Browser, where string) {
	t.Helper()
	must(t, b.Do(10*time.Second, chromedp.EmulateViewport(320, 256, chromedp.EmulateScale(4))))
	must(t, b.WaitFor(`innerWidth === 320`, 5*time.Second))
	var bad []string
	must(t, b.Eval(`(() => {
	  const bad = document.documentElement.scrollWidth > 320 ? ['the page is ' + document.documentElement.scrollWidth + ' pixels wide'] : [];
	  for (const e of document.querySelectorAll('button, input, select, h1')) {
	    if (!e.checkVisibility() || e.closest('.visually-hidden, .tiles')) continue;
	    const r = e.getBoundingClientRect();
	    if (r.left < -1 || r.right > 321) bad.push(Math.round(r.left) + ' to ' + Math.round(r.right) + ': ' + e.outerHTML.slice(0, 90));
	  }
	  return bad;
	})()`, &bad))
	for _, x := range bad {
		t.Errorf("%s, at 400 %%: %s", where, x)
	}
	must(t, b.Screenshot(filepath.Join(artefacts(t), "zoom-"+where+".png")))
	axe(t, b, where+", at 400 %")
	must(t, b.Do(10*time.Second, chromedp.EmulateViewport(1280, 800, chromedp.EmulateScale(1))))
}

// What a screen reader is given: every control has a name, every field a label, colours
// have contrast, and there is one main heading and one main region.
func TestAccessibleNamesAndContrast(t *testing.T) {
	h := webtest.Open(t, []settings.Room{{ID: "lab", Title: "Laboratory", ModeratorPIN: "4711"}}, nil)
	for _, dark := range []bool{false, true} {
		name := map[bool]string{false: "light", true: "dark"}[dark]
		t.Run(name, func(t *testing.T) {
			b := start(t, browser.Options{Color: red, Tone: 500, Dark: dark, ProcessAudio: true})
			must(t, b.Open(h.Door.URL()+"/"))
			must(t, b.WaitFor(`document.querySelector('h1')`, 10*time.Second))
			accessible(t, b, "landing")
			must(t, b.Open(h.Door.Addresses("lab")[0]))
			must(t, b.Ready())
			accessible(t, b, "prejoin")
			if !dark {
				reflows(t, b, "prejoin")
			}
			must(t, b.Enter("Ann", "4711"))
			must(t, b.WaitFor(`window.call?.phase === 'in' && call.moderates && document.querySelector('.stage video')?.videoWidth > 0`, 30*time.Second))
			accessible(t, b, "people")
			for _, opens := range []struct{ where, with, there string }{
				{"menu", "More", ".menu"}, {"reactions", "React", ".menu"},
			} {
				must(t, b.Press(opens.with))
				must(t, b.WaitFor(`document.querySelector('`+opens.there+`')`, 5*time.Second))
				accessible(t, b, opens.where)
				must(t, b.Keys(kb.Escape))
			}
			must(t, b.Press("More"))
			must(t, b.Press("Devices…"))
			must(t, b.WaitFor(`document.querySelector('dialog[open] input[type=range]')`, 5*time.Second))
			accessible(t, b, "devices")
			must(t, b.Screenshot(filepath.Join(artefacts(t), "devices-"+name+".png")))
			ownSettings(t, b)
			must(t, b.Press("Done"))
			must(t, b.Press("React"))
			must(t, b.Press("🎉 Confetti"))
			must(t, b.WaitFor(`document.querySelector('.sign')?.textContent === '🎉You'`, 5*time.Second))
			// What fades in is faint at first.
			must(t, b.WaitFor(`(document.querySelector('.sign')?.getAnimations() ?? []).every((a) => a.playState === 'finished')`, 5*time.Second))
			accessible(t, b, "a reaction")
			for _, pane := range []string{"Chat", "Manage"} {
				must(t, b.Press(pane))
				if pane == "Chat" {
					say(t, b, "Hello https://example.org")
					must(t, b.WaitFor(`document.querySelector('.said')`, 10*time.Second))
				}
				// Colours fade from one state to the next.
				must(t, b.WaitFor(`document.getAnimations().length === 0 || !document.querySelector('.spinner')`, 5*time.Second))
				must(t, b.Eval(`Promise.all(document.getAnimations().filter((a) => a instanceof CSSTransition).map((a) => a.finished.catch(() => {})))`, nil))
				accessible(t, b, pane)
			}
			must(t, b.Screenshot(filepath.Join(artefacts(t), "manage-"+name+".png")))
			if !dark {
				reflows(t, b, "manage")
				must(t, b.Press("Manage"))
				reflows(t, b, "meeting")
			}
			must(t, b.Press("More"))
			must(t, b.Press("Picture in picture"))
			must(t, b.WaitFor(`document.pictureInPictureElement === document.querySelector('.stage video')`, 10*time.Second))
			must(t, b.Press("Leave"))
			must(t, b.WaitFor(`document.querySelector('.landing h1')`, 10*time.Second))
			accessible(t, b, "left")
		})
	}
}

func accessible(t *testing.T, b *browser.Browser, where string) {
	t.Helper()
	var bad []string
	must(t, b.Eval(audit, &bad))
	for _, x := range bad {
		t.Errorf("%s: %s", where, x)
	}
	axe(t, b, where)
}

// axe looks at a page with axe-core, by the rules of WCAG 2.2 A and AA and those that it calls good practice.
func axe(t *testing.T, b *browser.Browser, where string) {
	t.Helper()
	script, err := os.ReadFile("../page/node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Fatalf("this test needs what scripts/npm.sh installs: %v", err)
	}
	var there bool
	must(t, b.Eval(`Boolean(window.axe)`, &there))
	if !there {
		must(t, b.Eval(`(() => { `+string(script)+`; window.axe = axe; return true; })()`, nil))
	}
	var bad []string
	must(t, b.Eval(`axe.run(document, {preload: false, resultTypes: ['violations'],
		runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})
		.then((r) => r.violations.flatMap((v) => v.nodes.map((n) => v.id + ' (' + v.impact + '): ' + n.failureSummary + ' ' + n.html.slice(0, 200))))`, &bad))
	for _, x := range bad {
		t.Errorf("%s: axe: %s", where, x)
	}
}

// audit looks at what is visible: names, labels, headings, and contrast by WCAG 2.2's
// formula, on the nearest background that is not see-through.
const audit = `(() => {
  const bad = [];
  const shown = (e) => e.checkVisibility({opacityProperty: true, visibilityProperty: true}) && e.getClientRects().length;
  const of = (e) => (e.outerHTML || '').slice(0, 90);
  if (document.querySelectorAll('h1').length !== 1) bad.push('there are ' + document.querySelectorAll('h1').length + ' main headings');
  if (document.querySelectorAll('main').length !== 1) bad.push('there is not one main region');
  if (!document.documentElement.lang || !document.title) bad.push('no language or no title');
  const name = (e) => e.getAttribute('aria-label') || (e.getAttribute('aria-labelledby') && document.getElementById(e.getAttribute('aria-labelledby'))?.textContent) || [...(e.labels || [])].map((l) => l.textContent).join(' ') || e.getAttribute('alt') || e.textContent;
  for (const e of document.querySelectorAll('button, a, input, select, textarea, [role=menu], [role=meter], dialog, video')) {
    if (shown(e) && !name(e)?.trim()) bad.push('no name: ' + of(e));
  }
  const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
  for (const id of new Set(ids.filter((x, i) => ids.indexOf(x) !== i))) bad.push('id twice: ' + id);
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = (c) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = c; canvas.fillRect(0, 0, 1, 1); const d = canvas.getImageData(0, 0, 1, 1).data; return [d[0], d[1], d[2], d[3] / 255]; };
  const lum = ([r, g, b]) => { const f = (v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }; return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
  const over = (a, b) => [0, 1, 2].map((i) => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
  const behind = (e) => {
    const layers = [];
    for (let p = e; p; p = p.parentElement) { const c = rgba(getComputedStyle(p).backgroundColor); if (c[3] > 0) layers.push(c); if (c[3] === 1) break; }
    return layers.reverse().reduce((below, c) => over(c, below), rgba(getComputedStyle(document.body).backgroundColor));
  };
  for (const e of document.querySelectorAll('#app *, .toast *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !shown(e) || e.closest('.visually-hidden, :disabled')) continue;
    const back = behind(e);
    const front = over(rgba(getComputedStyle(e).color), back);
    const [hi, lo] = [lum(front), lum(back)].sort((x, y) => y - x);
    const ratio = (hi + 0.05) / (lo + 0.05);
    if (ratio < 4.5) bad.push('contrast ' + ratio.toFixed(2) + ': ' + of(e));
  }
  return bad;
})()`

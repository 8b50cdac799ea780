// A recording, played: its film, and its chapters to go to.

import {h, icon, setAttr} from './dom.js';
import {duration} from './words.js';

/** @import {RecordingLink} from '../protocol.js' */

/**
 * play opens a dialog with the film. Its chapters are a text track, of which browsers make nothing by themselves: the list is made of its cues.
 * @param {RecordingLink} r
 * @param {string} title
 */
export function play(r, title) {
  const track = h('track', {kind: 'chapters', src: r.chapters, srclang: 'en', label: 'Chapters', default: true});
  const video = h('video', {src: r.url, controls: true, autoplay: true, playsinline: true, 'aria-label': title}, track);
  const chapters = h('ol.chapters', {'aria-labelledby': 'v-chapters'});
  const part = h('section', {hidden: true}, h('h3', {id: 'v-chapters'}, 'Chapters'), chapters);
  /** @type {Map<TextTrackCue, HTMLElement>} */
  const buttons = new Map();

  track.track.mode = 'hidden'; // has it loaded
  track.addEventListener('load', () => {
    for (const cue of track.track.cues ?? []) {
      const name = /** @type {VTTCue} */ (cue).getCueAsHTML().textContent ?? '';
      const button = h('button.plain', {type: 'button', onclick: () => { video.currentTime = cue.startTime; video.play().catch(() => {}); }},
        h('span.time', {}, duration(cue.startTime)), h('bdi', {}, name));
      buttons.set(cue, button);
      chapters.append(h('li', {}, button));
    }
    part.hidden = buttons.size === 0;
  });
  track.track.addEventListener('cuechange', () => {
    const now = new Set(track.track.activeCues ?? []);
    for (const [cue, button] of buttons) setAttr(button, 'aria-current', now.has(cue) ? 'true' : null);
  });

  const dialog = h('dialog.dialog.player', {'aria-labelledby': 'v-title'}, h('div.row', {}, h('h2', {id: 'v-title'}, h('bdi', {}, title)),
    h('button.plain', {type: 'button', 'aria-label': 'Close', onclick: () => { dialog.close(); }}, icon('close'))), video, part);
  dialog.addEventListener('close', () => { track.remove(); video.removeAttribute('src'); video.load(); dialog.remove(); });
  document.body.append(dialog);
  dialog.showModal();
}

// The room's recordings: list, play, download.

import {h, icon} from './dom.js';
import {bytes, duration} from './words.js';

/** @import {Recordings as List, RecordingLink} from '../protocol.js' */
/** @import {Call} from './call.js' */

/** Recordings is the pane with the list, which is asked for whenever the pane is shown. */
export class Recordings {
  /** @param {Call} call */
  constructor(call) {
    this.call = call;
    this.list = h('ul.recordings', {'aria-label': 'Recordings'});
    this.text = h('p.muted.empty', {role: 'status'}, 'Loading…');
    this.el = h('div.pane', {}, h('div.row', {}, h('h3', {}, 'Recordings'),
      h('button.small', {type: 'button', onclick: () => this.shown()}, 'Refresh')), h('div.scroll', {}, this.list, this.text));
    call.on('recordings', (m) => this.show(m));
  }

  shown() { this.call.askRecordings(); }

  /** @param {List} m */
  show(m) {
    this.list.replaceChildren(...m.list.map((r) => this.row(r)));
    this.text.hidden = m.list.length > 0;
    this.text.textContent = m.text || 'Nothing has been recorded yet.';
  }

  /** @param {RecordingLink} r */
  row(r) {
    const when = new Date(r.started).toLocaleString([], {dateStyle: 'medium', timeStyle: 'short'});
    const title = r.title || when;
    const lost = r.state === 'damaged' ? 'damaged' : r.state === 'missing' ? 'not there at the moment' : '';
    const length = r.live ? 'being recorded now' : r.state === 'recovering' ? 'being recovered' : duration(r.duration);
    const facts = [r.title ? when : '', lost || length, bytes(r.size)].filter(Boolean).join(' · ');
    const who = h('div.who', {}, h('span.name', {}, title), h('span.sub', {}, facts));
    if (lost) return h('li.recording', {}, who);
    return h('li.recording', {}, who,
      h('button.plain', {type: 'button', 'aria-label': `Play ${title}`, onclick: () => play(r, title)}, icon('play')),
      h('a.plain.button', {href: `${r.url}&save`, download: '', 'aria-label': `Download ${title}`}, icon('down')));
  }
}

/**
 * @param {RecordingLink} r
 * @param {string} title
 */
function play(r, title) {
  const video = h('video', {src: r.url, controls: true, autoplay: true, playsinline: true});
  const dialog = h('dialog.dialog.player', {'aria-label': title}, h('div.row', {}, h('h2', {}, title),
    h('button.plain', {type: 'button', 'aria-label': 'Close', onclick: () => { dialog.close(); }}, icon('close'))), video);
  dialog.addEventListener('close', () => { video.removeAttribute('src'); video.load(); dialog.remove(); });
  document.body.append(dialog);
  dialog.showModal();
}

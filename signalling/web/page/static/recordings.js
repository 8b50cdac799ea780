// The room's recordings: list, play, download.

import {h, icon, promptDialog, toast} from './dom.js';
import {play} from './player.js';
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
      this.call.moderates ? h('button.plain', {type: 'button', 'aria-label': `Rename ${title}`, onclick: () => this.rename(r, title)}, icon('pencil')) : null,
      h('button.plain', {type: 'button', 'aria-label': `Play ${title}`, onclick: () => play(r, title)}, icon('play')),
      h('a.plain.button', {href: `${r.url}&save`, download: '', 'aria-label': `Download ${title}`}, icon('down')));
  }

  /**
   * @param {RecordingLink} r
   * @param {string} title
   */
  async rename(r, title) {
    const name = await promptDialog('Rename the recording', 'Name', title, 'Save');
    if (!name || name === r.title) return;
    const answer = await this.call.nameRecording(r.id, name);
    if (!answer.ok) toast(answer.text ?? '', {urgent: true, kind: 'bad'});
    this.shown();
  }
}

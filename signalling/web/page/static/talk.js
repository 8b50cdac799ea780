// How long each participant has talked. The host says it when something about somebody
// changes, such as that they fall silent; between, whoever talks is counted on here.

import {h} from './dom.js';
import {duration} from './words.js';

const shown = 10; // the others are summed up

/** @import {Participant} from '../protocol.js' */
/** @import {Call} from './call.js' */

/** TalkTimes is a list that counts on by itself while it is on the page. */
export class TalkTimes {
  /** @param {Call} call */
  constructor(call) {
    this.call = call;
    /** @type {Map<string, number>} by id: when the host said what it did, in the page's ms */
    this.told = new Map();
    this.list = h('ol.log', {'aria-label': 'Talk time, most first'});
    this.el = h('div', {}, this.list);
    const note = (/** @type {Iterable<string>} */ ids) => {
      for (const id of ids) {
        if (call.people.has(id)) this.told.set(id, performance.now());
        else this.told.delete(id);
      }
    };
    call.on('people', note);
    note(call.people.keys());
    setInterval(() => { if (this.el.isConnected) this.update(); }, 1000);
    this.update();
  }

  /**
   * seconds somebody has talked by now.
   * @param {Participant} p
   */
  seconds(p) {
    return (p.talkTime || 0) + (p.talking ? (performance.now() - (this.told.get(p.id) ?? performance.now())) / 1000 : 0);
  }

  update() {
    const all = [...this.call.people.values()].filter((p) => !p.waiting)
      .map((p) => ({name: p.name || 'Guest', s: this.seconds(p)})).filter((t) => t.s >= 1).sort((a, b) => b.s - a.s);
    const sum = all.reduce((n, t) => n + t.s, 0);
    const rows = all.slice(0, shown);
    if (all.length > shown) rows.push({name: `${all.length - shown} others`, s: all.slice(shown).reduce((n, t) => n + t.s, 0)});
    this.list.replaceChildren(...rows.map((t) => h('li', {}, h('time', {}, duration(t.s)),
      h('meter', {min: 0, max: 1, value: t.s / sum, 'aria-hidden': 'true'}),
      h('span', {}, h('bdi', {}, t.name), ` – ${Math.round(100 * t.s / sum)} %`))));
    if (!rows.length) this.list.append(h('li', {}, 'Nobody has talked yet.'));
  }
}

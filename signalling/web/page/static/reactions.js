// Reactions: a sign that somebody gives all for a moment. They rise over the picture, and screen readers are told of them politely.

import {h, menu, toast} from './dom.js';
import {isolate} from './words.js';

/** @import {ReactionMessage} from '../protocol.js' */
/** @import {Call} from './call.js' */

/** @type {[sign: string, name: string][]} as moderation.Reactions has them */
const signs = [['👍', 'thumbs up'], ['👏', 'applause'], ['❤️', 'a heart'], ['😂', 'laughter'], ['😮', 'astonishment'], ['🎉', 'confetti']];

const shownFor = 4000;   // ms
const shownMost = 6;     // at once
const gatherFor = 1500;  // ms until screen readers are told, of all that have come meanwhile
const namedMost = 3;

/** Reactions shows those that come, and gives one's own. */
export class Reactions {
  /** @type {Set<string>} what has come, and screen readers have not been told of */
  #untold = new Set();
  #telling = 0;

  /** @param {Call} call */
  constructor(call) {
    this.call = call;
    this.signs = h('div.signs', {'aria-hidden': 'true'});
    this.status = h('p.visually-hidden', {role: 'status'}); // its own: what else is to be said must not be lost
    this.el = h('div.reactions', {}, this.signs, this.status);
    call.on('reaction', (r) => this.show(r));
  }

  close() { clearTimeout(this.#telling); }

  /** @param {HTMLElement} anchor where the choice opens */
  choose(anchor) {
    menu(anchor, 'React', signs.map(([sign, name]) => ({text: `${sign} ${name[0].toUpperCase()}${name.slice(1)}`, run: () => this.give(sign)})));
  }

  /** @param {string} sign */
  async give(sign) {
    const r = await this.call.order({action: 'react', text: sign});
    if (!r.ok) toast(r.text ?? '', {urgent: true, kind: 'bad', key: 'react'});
  }

  /** @param {ReactionMessage} r */
  show(r) {
    const who = r.from !== '' && r.from === this.call.id ? 'You' : r.name || 'Guest';
    const el = h('p.sign', {}, h('span', {}, r.text), h('bdi', {}, who));
    this.signs.append(el);
    while (this.signs.children.length > shownMost) this.signs.firstElementChild?.remove();
    setTimeout(() => el.remove(), shownFor);
    this.#untold.add(`${isolate(who)}: ${signs.find(([sign]) => sign === r.text)?.[1] ?? r.text}`);
    this.#telling ||= setTimeout(() => {
      const all = [...this.#untold];
      this.#untold.clear();
      this.#telling = 0;
      this.status.textContent = all.slice(0, namedMost).join(', ') + (all.length > namedMost ? `, and ${all.length - namedMost} more` : '');
    }, gatherFor);
  }
}

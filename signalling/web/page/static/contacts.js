// Who asks to be a contact of the room's Jami account, for moderators to decide.

import {h, toast} from './dom.js';
import {clock} from './words.js';

/** @import {ContactRequest} from '../protocol.js' */
/** @import {Call} from './call.js' */

/** Contacts is the list of those who ask; hidden when nobody does, or the page's person may not decide. */
export class Contacts {
  /** @param {Call} call */
  constructor(call) {
    this.call = call;
    /** @type {boolean | undefined} not known before the first update */
    this.moderates = undefined;
    this.list = h('ul.people', {'aria-label': 'Contact requests'});
    this.el = h('section.waiting', {'aria-label': 'Contact requests', hidden: true},
      h('div.row', {}, h('h3', {}, 'Contact requests on Jami')), this.list);
    call.on('contacts', (list) => this.show(list));
    call.on('notice', (n) => { if (n.kind === 'contact') this.ask(); });
    call.on('people', () => this.update());
    this.update();
  }

  // update asks for the list when this page's person becomes a moderator.
  update() {
    if (this.moderates === this.call.moderates) return;
    this.moderates = this.call.moderates;
    if (this.moderates) this.ask(); else this.show([]);
  }

  ask() { if (this.call.hasContacts) this.call.askContacts(); }

  /** @param {ContactRequest[]} requests */
  show(requests) {
    this.el.hidden = requests.length === 0;
    this.list.replaceChildren(...requests.map((r) => this.row(r)));
  }

  /** @param {ContactRequest} r */
  row(r) {
    const name = r.name || 'Without a name';
    /**
     * @param {string} text
     * @param {'accept' | 'discard'} what
     * @param {string} kind
     */
    const button = (text, what, kind) => h('button.small', {type: 'button', class: kind, 'aria-label': `${text} ${name}`, onclick: () => this.decide(r, what)}, text);
    return h('li.person.request', {}, h('div.who', {}, h('span.name', {}, name), h('span.sub', {title: r.id}, `${clock(r.received)} · ${r.id}`)),
      button('Accept', 'accept', 'primary'), button('Discard', 'discard', ''));
  }

  /**
   * @param {ContactRequest} r
   * @param {'accept' | 'discard'} what
   */
  async decide(r, what) {
    const answer = await this.call.decideContact(r.id, what);
    if (!answer.ok) toast(answer.text ?? '', {urgent: true, kind: 'bad'});
    this.ask();
  }
}

// Who asks to be a contact of the room's Jami account, for moderators to decide.

import {h, toast} from './dom.js';
import {clock} from './words.js';

export class Contacts {
  constructor(call) {
    this.call = call;
    this.list = h('ul.people', {'aria-label': 'Contact requests'});
    this.el = h('section.waiting', {'aria-label': 'Contact requests', hidden: true},
      h('div.row', {}, h('h3', {}, 'Contact requests on Jami')), this.list);
    call.addEventListener('contacts', (e) => this.show(e.detail));
    call.addEventListener('notice', (e) => { if (e.detail.kind === 'contact') this.ask(); });
    call.addEventListener('people', () => this.update());
    this.update();
  }

  // update asks for the list when this page's person becomes a moderator.
  update() {
    if (this.moderates === this.call.moderates) return;
    this.moderates = this.call.moderates;
    if (this.moderates) this.ask(); else this.show([]);
  }

  ask() { if (this.call.hasContacts) this.call.askContacts(); }

  show(requests) {
    this.el.hidden = requests.length === 0;
    this.list.replaceChildren(...requests.map((r) => this.row(r)));
  }

  row(r) {
    const name = r.name || 'Without a name';
    const button = (text, what, kind) => h('button.small', {type: 'button', class: kind, 'aria-label': `${text} ${name}`, onclick: () => this.decide(r, what)}, text);
    return h('li.person.request', {}, h('div.who', {}, h('span.name', {}, name), h('span.sub', {title: r.id}, `${clock(r.received)} · ${r.id}`)),
      button('Accept', 'accept', 'primary'), button('Discard', 'discard', ''));
  }

  async decide(r, what) {
    const answer = await this.call.decideContact(r.id, what);
    if (!answer.ok) toast(answer.text, {urgent: true, kind: 'bad'});
    this.ask();
  }
}

// Links that let guests and moderators in without a PIN, until they expire or are taken away: for moderators.

import {h, field, setText, confirmDialog} from './dom.js';

/** @import {PageLink} from '../protocol.js' */
/** @import {Call} from './call.js' */

/** @type {[hours: number, text: string][]} */
const lives = [[1, '1 hour'], [24, '1 day'], [7 * 24, '1 week'], [31 * 24, '1 month']];

/** Links is the part of the invitation in which they are made and taken away. */
export class Links {
  /**
   * @param {Call} call
   * @param {(text: string, what: string) => void} copy
   */
  constructor(call, copy) {
    this.call = call;
    this.copy = copy;
    this.role = h('select', {}, h('option', {value: 'guest'}, 'guests'), h('option', {value: 'moderator'}, 'a moderator'));
    this.name = h('input', {type: 'text', maxlength: 64, autocomplete: 'off'});
    this.life = h('select', {}, lives.map(([value, text]) => h('option', {value}, text)));
    this.life.value = '24';
    this.trouble = h('p.error', {role: 'alert', hidden: true});
    this.list = h('ul.links', {'aria-label': 'Links that are good'});
    this.none = h('p.muted', {}, 'There are no links that are good.');
    this.title = h('h3', {id: 'i-links', tabindex: -1}, 'Links without a PIN');
    this.el = h('section.part', {'aria-labelledby': 'i-links'}, this.title,
      h('p.muted', {}, 'Whoever has one comes in without PIN and lobby, until it expires or is taken away. With a name it is for one person.'),
      h('form.linkform', {onsubmit: (e) => { e.preventDefault(); this.make(); }},
        field('For', this.role), field('Good for', this.life), field('Name', this.name, 'May be left empty.'), h('button', {}, 'Make a link')),
      this.trouble, this.list, this.none);
    call.on('links', ({list, made}) => this.show(list, made));
  }

  shown() {
    this.trouble.hidden = true;
    this.call.askLinks();
  }

  /**
   * @param {PageLink[]} list
   * @param {string | undefined} made
   */
  show(list, made) {
    this.none.hidden = list.length > 0;
    this.list.replaceChildren(...list.map((l) => this.row(l)));
    if (made) /** @type {HTMLElement | null} */ (this.list.querySelector(`[data-link="${made}"] button`))?.focus();
  }

  /** @param {PageLink} l */
  row(l) {
    const what = l.role === 'guest' ? 'Guests' : l.role[0].toUpperCase() + l.role.slice(1);
    const at = (/** @type {string} */ time) => new Date(time).toLocaleString([], {dateStyle: 'medium', timeStyle: 'short'});
    const named = l.name ? ` for ${l.name}` : '';
    return h('li', {'data-link': l.id}, h('div.who', {}, h('span.name', {}, what, l.name ? [' · ', h('bdi', {}, l.name)] : null),
      h('span.sub', {}, 'until ', h('time', {datetime: l.expires}, at(l.expires))),
      h('span.sub', {}, 'made ', h('time', {datetime: l.made}, at(l.made)), l.by ? [' by ', h('bdi', {}, l.by)] : null)),
      h('button.small', {type: 'button', 'aria-label': `Copy the link: ${what}${named}`, onclick: () => this.copy(l.url, 'The link')}, 'Copy'),
      h('button.small', {type: 'button', 'aria-label': `Revoke the link: ${what}${named}`, onclick: () => this.revoke(l)}, 'Revoke'));
  }

  async make() {
    const role = this.role.value === 'moderator' ? 'moderator' : 'guest';
    const r = await this.call.makeLink(role, this.name.value.trim(), Number(this.life.value));
    this.tell(r.ok ? '' : r.text ?? '');
    if (r.ok) this.name.value = '';
  }

  /** @param {PageLink} l */
  async revoke(l) {
    if (!await confirmDialog('Revoke the link', 'Nobody comes in by it any more. Who is in the meeting by it stays.', 'Revoke')) return;
    const r = await this.call.revokeLink(l.id);
    this.tell(r.ok ? '' : r.text ?? '');
    this.title.focus();
  }

  /** @param {string} trouble '' for none */
  tell(trouble) {
    this.trouble.hidden = !trouble;
    setText(this.trouble, trouble);
  }
}

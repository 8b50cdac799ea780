// The list of participants, made for five and for five hundred: rows are kept and only
// touched when their participant has changed; those out of sight cost the browser no layout
// (content-visibility in app.css). One Tab stop; arrow keys move between rows.

import {h, icon, setIcon, setText, setAttr, menu, initials, hue, toast, confirmDialog, promptDialog} from './dom.js';
import {remember} from './devices.js';
import {doors, isolate, rank, roles} from './words.js';
import {Contacts} from './contacts.js';

/** @import {MenuItem} from '../elements.js' */
/** @import {Order, Participant} from '../protocol.js' */
/** @import {Call} from './call.js' */
/** @import {Tiles} from './tiles.js' */

const longestName = 64; // characters that the host takes

/** @typedef {ReturnType<People['make']>} Row of one participant */

/** People is the pane with everybody in the room, and in its lobby. */
export class People {
  /**
   * @param {Call} call
   * @param {Tiles} tiles
   */
  constructor(call, tiles) {
    this.call = call;
    this.tiles = tiles;
    /** @type {Map<string, Row>} by the participant's id */
    this.rows = new Map();
    /** @type {Set<string>} ids */
    this.selected = new Set();
    /** @type {boolean | undefined} not known before the first update */
    this.moderates = undefined;
    this.search = h('input', {type: 'search', placeholder: 'Search', 'aria-label': 'Search participants', oninput: () => this.filter()});
    this.count = h('span.muted');
    this.waitingList = h('ul.people', {'aria-label': 'Waiting in the lobby'});
    this.waiting = h('section.waiting', {'aria-label': 'Lobby', hidden: true},
      h('div.row', {}, h('h3', {}, 'Waiting to join'),
        h('button.small.primary', {type: 'button', onclick: () => this.give({action: 'admit-all'})}, 'Admit all')), this.waitingList);
    this.list = h('ul.people', {'aria-label': 'Participants', onkeydown: (e) => this.move(e)});
    this.bulkText = h('span');
    this.bulk = h('div.bulk', {role: 'toolbar', 'aria-label': 'With the selected participants', hidden: true}, this.bulkText,
      this.bulkButton('Mute', () => ({action: 'mute', on: true})), this.bulkButton('Unmute', () => ({action: 'mute', on: false})),
      this.bulkButton('Lower hands', () => ({action: 'hand', on: false})), this.bulkButton('Remove', () => ({action: 'remove'}), true),
      h('button.link', {type: 'button', onclick: () => this.clear()}, 'Clear'));
    this.all = h('button.link', {type: 'button', hidden: true, onclick: () => this.selectShown()}, 'Select all shown');
    this.empty = h('p.muted.empty', {hidden: true}, 'Nobody by that name.');
    this.contacts = new Contacts(call);
    this.el = h('div.pane.people-pane', {}, h('div.row.search', {}, this.search, this.count), h('div.row.select', {}, this.all), this.waiting, this.contacts.el, this.bulk,
      h('div.scroll', {tabindex: -1}, this.list, this.empty));
    /** @type {Set<string> | null} ids that have changed since the last frame */
    this.pending = null;
    call.on('people', (ids) => this.later(ids));
    this.later(new Set(call.people.keys()));
  }

  /**
   * @param {string} text
   * @param {() => Order} order without its targets
   * @param {boolean} danger asks first
   */
  bulkButton(text, order, danger = false) {
    return h('button.small', {type: 'button', class: danger ? 'danger' : '', onclick: async () => {
      const targets = [...this.selected];
      if (danger && !await confirmDialog('Remove participants', `Take ${targets.length} out of the meeting?`, 'Remove')) return;
      if ((await this.give({...order(), targets})).ok) this.clear();
    }}, text);
  }

  /**
   * later gathers changes until the next frame.
   * @param {Set<string>} ids
   */
  later(ids) {
    if (this.pending) { for (const id of ids) this.pending.add(id); return; }
    this.pending = new Set(ids);
    requestAnimationFrame(() => {
      const changed = this.pending;
      this.pending = null;
      if (changed) this.update(changed);
    });
  }

  /** @param {Set<string>} changed ids */
  update(changed) {
    const moderates = this.call.moderates;
    if (this.moderates !== moderates) {
      this.moderates = moderates;
      changed = new Set([...this.call.people.keys(), ...this.rows.keys()]);
    }
    for (const id of changed) {
      const p = this.call.people.get(id);
      const row = this.rows.get(id);
      if (!p) {
        if (row) {
          if (row.el.contains(document.activeElement)) (row.el.nextElementSibling || row.el.previousElementSibling)?.querySelector('button')?.focus();
          row.el.remove();
          this.rows.delete(id);
        }
        this.selected.delete(id);
        continue;
      }
      this.show(row || this.make(p), p);
    }
    const waiting = this.waitingList.children.length;
    this.waiting.hidden = waiting === 0 || !moderates;
    const n = this.list.children.length;
    setText(this.count, n === 1 ? '1 person' : `${n} people`);
    this.filter();
    this.showBulk();
    this.stop();
  }

  /** @param {Participant} p */
  make(p) {
    const avatar = h('span.avatar', {'aria-hidden': 'true'});
    const name = h('bdi.name');
    const sub = h('span.sub');
    const hand = h('span.flag.hand', {}, icon('hand'), h('span.visually-hidden', {}, 'Hand raised'));
    const screen = h('span.flag', {}, icon('screen'), h('span.visually-hidden', {}, 'Shares the screen'));
    const net = h('span.flag', {'data-rating': 'poor', title: 'Poor network'}, h('span.bars', {'aria-hidden': 'true'}, h('i'), h('i'), h('i')), h('span.visually-hidden', {}, 'Poor network'));
    const micText = h('span.visually-hidden');
    const mic = h('span.flag.mic', {}, icon('mic'), micText);
    const check = h('input.pick', {type: 'checkbox', tabindex: -1, onchange: () => {
      if (check.checked) this.selected.add(p.id); else this.selected.delete(p.id);
      this.showBulk();
    }});
    const more = h('button.plain.more', {type: 'button', tabindex: -1, 'aria-haspopup': 'menu', 'aria-expanded': 'false', onclick: () => this.open(p.id)}, icon('more'));
    const admit = h('button.small.primary', {type: 'button', onclick: () => this.give({action: 'admit', target: p.id})}, 'Admit');
    const deny = h('button.small', {type: 'button', onclick: () => this.give({action: 'deny', target: p.id})}, 'Deny');
    const el = h('li.person', {}, check, avatar, h('div.who', {}, name, sub), net, hand, screen, mic, more, admit, deny);
    const row = {el, avatar, name, sub, net, hand, screen, mic, micText, check, more, admit, deny,
      at: /** @type {HTMLElement | null} */ (null), // the list that it is in
      text: '', // to be searched
      label: ''};
    this.rows.set(p.id, row);
    return row;
  }

  /**
   * @param {Row} row
   * @param {Participant} p
   */
  show(row, p) {
    const self = p.id === this.call.id;
    const label = (p.name || 'Guest') + (self ? ' (you)' : '');
    setText(row.avatar, initials(p.name || 'Guest'));
    row.avatar.className = `avatar hue${hue(p.name)}`;
    setText(row.name, label);
    const door = doors[p.door] || {text: p.door, icon: 'globe'};
    const parts = [door.text];
    if (rank(p.role) >= rank('moderator')) parts.unshift(rank(p.role) === rank('host') ? 'Host' : 'Moderator');
    if (rank(p.role) === rank('observer')) parts.unshift('Watching');
    if (p.floor) parts.push('has the floor');
    if (this.moderates && p.door === 'sip' && p.address) parts.push(p.address.replace(/^sips?:/, ''));
    setText(row.sub, parts.join(' · '));
    setAttr(row.sub, 'title', p.connection || null);
    row.el.classList.toggle('talking', Boolean(p.talking));
    row.net.hidden = p.network !== 'poor';
    row.hand.hidden = !p.hand;
    row.screen.hidden = !(p.streams || []).some((s) => s.label === 'screen');
    const silent = p.muted || p.selfMuted;
    row.mic.hidden = rank(p.role) === rank('observer');
    setIcon(row.mic, silent ? 'mic-off' : 'mic');
    row.mic.className = `flag mic ${p.muted ? 'muted' : silent ? 'self' : 'on'}`;
    setText(row.micText, p.muted ? 'Muted by a moderator' : silent ? 'Muted' : p.talking ? 'Talking' : 'Not muted');
    setAttr(row.mic, 'title', row.micText.textContent);
    row.more.hidden = Boolean(p.waiting) || this.actions(p).length === 0;
    setAttr(row.more, 'aria-label', `Actions for ${label}`);
    setAttr(row.check, 'aria-label', `Select ${label}`);
    row.check.hidden = !this.moderates || Boolean(p.waiting) || self;
    row.admit.hidden = row.deny.hidden = !p.waiting;
    setAttr(row.admit, 'aria-label', `Admit ${label}`);
    setAttr(row.deny, 'aria-label', `Deny ${label}`);
    row.text = `${p.name} ${door.text}`.toLowerCase();
    row.label = label;
    const home = p.waiting ? this.waitingList : this.list;
    if (row.at !== home) { home.append(row.el); row.at = home; }
  }

  filter() {
    const q = this.search.value.trim().toLowerCase();
    let shown = 0;
    for (const row of this.rows.values()) {
      const hide = q !== '' && !row.text.includes(q);
      if (row.el.hidden !== hide) row.el.hidden = hide;
      if (!hide && row.at === this.list) shown++;
    }
    this.empty.hidden = shown > 0 || q === '';
    this.all.hidden = !this.moderates || shown < 6;
  }

  /**
   * stop keeps exactly one row in the Tab order.
   * @param {HTMLElement} [el] its button; without it the one that has been, or the first
   */
  stop(el) {
    const all = [.../** @type {NodeListOf<HTMLElement>} */ (this.list.querySelectorAll('.person:not([hidden]) .more:not([hidden])'))];
    const keep = el || all.find((b) => b.tabIndex === 0) || all[0];
    for (const b of all) { if (b.tabIndex !== (b === keep ? 0 : -1)) b.tabIndex = b === keep ? 0 : -1; }
  }

  /** @param {KeyboardEvent} e */
  move(e) {
    const target = /** @type {Element} */ (e.target);
    const row = target.closest('.person');
    if (!row) return;
    const all = [...this.list.querySelectorAll('.person:not([hidden])')].filter((r) => r.querySelector('.more:not([hidden])'));
    const at = all.indexOf(row);
    /** @type {{[key: string]: number}} */
    const places = {ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1, PageDown: at + 10, PageUp: at - 10};
    const to = places[e.key];
    if (to !== undefined) {
      const next = all[Math.max(0, Math.min(all.length - 1, to))];
      const b = /** @type {HTMLElement} */ (next.querySelector('.more'));
      this.stop(b);
      b.focus();
      e.preventDefault();
    } else if (e.key === ' ' && target.matches('.more') && this.moderates) {
      /** @type {HTMLElement | null} */
      const check = row.querySelector('.pick:not([hidden])');
      if (check) { check.click(); e.preventDefault(); }
    }
  }

  /**
   * actions are what the menu of one participant offers.
   * @param {Participant} p
   * @returns {MenuItem[]}
   */
  actions(p) {
    const self = p.id === this.call.id;
    const give = (/** @type {Order} */ o) => () => this.give({target: p.id, ...o});
    /** @type {MenuItem[]} what everybody may, for themselves */
    const own = [];
    if (this.tiles.shows(p.id, 'screen')) own.push({icon: 'expand', text: 'Enlarge the shared screen for me', run: () => this.tiles.enlarge(p.id, 'screen')});
    if (this.tiles.shows(p.id, 'main')) own.push({icon: 'expand', text: 'Enlarge for me', run: () => this.tiles.enlarge(p.id, 'main')});
    if (!this.call.moderates) {
      if (self && rank(p.role) > 0) {
        own.unshift({icon: 'hand', text: p.hand ? 'Lower hand' : 'Raise hand', run: give({action: 'hand', on: !p.hand})},
          {icon: 'gear', text: 'Change your name…', run: () => changeName(this.call)});
      }
      return own;
    }
    const screen = (p.streams || []).find((s) => s.label === 'screen');
    const main = (p.streams || []).find((s) => s.label === 'main');
    /** @type {MenuItem[]} */
    const items = [];
    if (rank(p.role) > 0) {
      items.push({icon: p.muted ? 'mic' : 'mic-off', text: p.muted ? 'Unmute' : 'Mute', run: give({action: 'mute', on: !p.muted})});
      items.push({icon: main?.muted ? 'cam' : 'cam-off', text: main?.muted ? 'Show video' : 'Stop video', run: give({action: 'mute', media: 'video', on: !main?.muted})});
      if (screen) items.push({icon: 'screen', text: screen.muted ? 'Show shared screen' : 'Stop shared screen', run: give({action: 'mute', media: 'screen', on: !screen.muted})});
      items.push({icon: 'pin', text: 'Spotlight for all', checked: Boolean(main?.active), run: give({action: 'pin', on: !main?.active})});
      if (p.hand) items.push({icon: 'hand', text: 'Lower hand', run: give({action: 'hand', on: false})});
      items.push({icon: 'chat', text: p.floor ? 'Take the floor back' : 'Give the floor', run: give({action: 'floor', on: !p.floor})});
    }
    items.push(self ? {icon: 'gear', text: 'Change your name…', run: () => changeName(this.call)} : {icon: 'gear', text: 'Rename…', run: async () => {
      const name = await promptDialog('Rename participant', 'Name', p.name, 'Rename', longestName);
      if (name) this.give({action: 'rename', target: p.id, text: name});
    }});
    items.push(...own);
    if (!self) {
      const mod = rank(p.role) >= rank('moderator');
      items.push({icon: 'shield', text: mod ? 'Make an ordinary participant' : 'Make moderator', run: give({action: 'role', text: mod ? roles[2] : roles[3]})});
      items.push({icon: 'link', text: 'Move to another room…', run: async () => {
        const room = await promptDialog('Move to another room', 'Room', '', 'Move');
        if (room) this.give({action: 'move', target: p.id, text: room});
      }});
      items.push('-');
      items.push({icon: 'leave', text: 'Remove…', danger: true, run: async () => {
        if (await confirmDialog('Remove participant', `Take ${p.name ? isolate(p.name) : 'this guest'} out of the meeting? They can ask to come back.`, 'Remove')) this.give({action: 'remove', target: p.id});
      }});
      items.push({icon: 'lock', text: 'Ban…', danger: true, run: async () => {
        if (await confirmDialog('Ban participant', `Take ${p.name ? isolate(p.name) : 'this guest'} out and keep them out of this meeting?`, 'Ban')) this.give({action: 'ban', target: p.id, on: true, text: 'meeting'});
      }});
    }
    return items;
  }

  /** @param {string} id */
  open(id) {
    const row = this.rows.get(id);
    const p = this.call.people.get(id);
    if (row && p) menu(row.more, `Actions for ${row.label}`, this.actions(p));
  }

  selectShown() {
    for (const [id, row] of this.rows) {
      if (row.at === this.list && !row.el.hidden && !row.check.hidden) { row.check.checked = true; this.selected.add(id); }
    }
    this.showBulk();
  }

  clear() {
    for (const id of this.selected) { const r = this.rows.get(id); if (r) r.check.checked = false; }
    this.selected.clear();
    this.showBulk();
  }

  showBulk() {
    this.bulk.hidden = this.selected.size === 0;
    setText(this.bulkText, `${this.selected.size} selected`);
  }

  /**
   * give has an order carried out, and says why if it is not.
   * @param {Order} order
   */
  async give(order) {
    const r = await this.call.order(order);
    if (!r.ok) toast(r.text ?? '', {urgent: true, kind: 'bad'});
    return r;
  }
}

/**
 * changeName asks a person what they want to be called.
 * @param {Call} call
 */
export async function changeName(call) {
  const name = await promptDialog('Your name', 'Name, as all see it', call.me?.name ?? '', 'Change', longestName);
  if (!name || name === call.me?.name) return;
  const r = await call.rename(name);
  if (!r.ok) { toast(r.text ?? '', {urgent: true, kind: 'bad'}); return; }
  remember.set('name', name);
}

// What is passed on to those who are to come: the ways into the room, all of it as a text and for the calendar, and links.

import {h, icon, field, setText} from './dom.js';
import {Links} from './links.js';

/** @import {Invite as Told, Way} from '../protocol.js' */
/** @import {Call} from './call.js' */

/** @type {{[kind in Way['kind']]: [title: string, hint: string]}} */
const kinds = {
  link: ['Browser', 'Open this link.'],
  telephone: ['Telephone', 'Call this number.'],
  phone: ['SIP phone', 'Call this address.'],
  jami: ['Jami', 'Call this id, or scan it with the Jami app.'],
};

/** @type {[minutes: number, text: string][]} */
const lengths = [[30, '30 minutes'], [60, '1 hour'], [90, '1½ hours'], [120, '2 hours'], [240, '4 hours'], [480, '8 hours']];

/** Invite is the dialog with all that somebody is told who is invited. */
export class Invite {
  /** @param {Call} call */
  constructor(call) {
    this.call = call;
    /** @type {HTMLDialogElement | null} the open one */
    this.dialog = null;
    /** @type {string | undefined} */
    this.calendar = undefined;
    this.saving = false; // the calendar's entry is to be saved when it comes
    this.hush = 0; // clears what was said
    this.text = h('textarea', {readonly: true, rows: 8, spellcheck: 'false'});
    this.status = h('p.muted.outcome', {role: 'status'});
    this.begin = h('input', {type: 'datetime-local', onchange: () => this.ask()});
    this.length = h('select', {onchange: () => this.ask()}, lengths.map(([value, text]) => h('option', {value}, text)));
    this.links = new Links(call, (text, what) => this.copy(text, what));
    call.on('invite', (m) => this.show(m));
  }

  /** open asks for what there is to tell; the dialog opens when it has come. */
  open() {
    this.begin.value = '';
    this.length.value = '60';
    this.saving = false;
    this.call.askInvite();
  }

  // ask wants the text and the calendar's entry of the time that is chosen, or the text alone.
  ask() {
    const at = new Date(this.begin.value);
    if (Number.isNaN(at.getTime())) { this.call.askInvite(); return; }
    this.call.askInvite(`${local(at)}:00${zone(at)}`, Number(this.length.value));
  }

  /** @param {Told} m */
  show(m) {
    setText(this.text, m.text);
    this.text.value = m.text;
    this.calendar = m.calendar;
    if (this.dialog) {
      if (this.saving && m.calendar) this.save(m.calendar);
      this.saving = false;
      return;
    }
    const times = m.from || m.until ? h('p', {}, open(m)) : null;
    const begins = m.from ? null : h('div.when', {}, field('Begins', this.begin), field('Lasts', this.length));
    this.text.id ||= 'i-text';
    /** @type {HTMLDialogElement} */
    const dialog = h('dialog.dialog.invite', {'aria-labelledby': 'i-title'},
      h('div.row', {}, h('h2', {id: 'i-title'}, 'Invite others'),
        h('button.plain', {type: 'button', 'aria-label': 'Close', autofocus: true, onclick: () => dialog.close()}, icon('close'))),
      h('section.part', {'aria-labelledby': 'i-all'}, h('h3', {id: 'i-all'}, 'As a text, and for the calendar'), times, begins,
        h('label.visually-hidden', {for: this.text.id}, 'The invitation as text'), this.text,
        h('div.buttons', {}, h('button.primary', {type: 'button', onclick: () => this.copy(this.text.value, 'The invitation')}, 'Copy the invitation'),
          h('button', {type: 'button', onclick: () => this.toCalendar(Boolean(m.from))}, icon('calendar'), 'Save for the calendar'))),
      m.links ? this.links.el : null, h('section.part', {'aria-labelledby': 'i-ways'}, h('h3', {id: 'i-ways'}, 'One by one')),
      ...m.ways.map((w) => this.row(w)), m.pin ? this.pin(m.pin) : null, this.status);
    dialog.addEventListener('close', () => { dialog.remove(); this.dialog = null; });
    this.dialog = dialog;
    setText(this.status, '');
    if (m.links) this.links.shown();
    document.body.append(dialog);
    dialog.showModal();
  }

  /** @param {Way} way */
  row(way) {
    const [title, hint] = kinds[way.kind];
    if (way.pending) return h('section.way', {'data-kind': way.kind}, h('div.who', {}, h('h3', {}, title), h('p.muted', {}, 'The address is being made. Look again in a few minutes.')));
    const address = way.address.replace(/^tel:/, '');
    const keys = way.keys ? h('p.muted', {}, 'When it has answered, key in ', h('code', {}, way.keys), '.') : null;
    return h('section.way', {'data-kind': way.kind}, way.code ? code(way, title) : null,
      h('div.who', {}, h('h3', {}, title), h('p.muted', {}, hint), h('code', {}, address), keys,
        h('button.small', {type: 'button', 'aria-label': `Copy: ${title}`, onclick: () => this.copy(address, title)}, 'Copy')));
  }

  /** @param {string} pin */
  pin(pin) {
    return h('section.way', {'data-kind': 'pin'}, h('div.who', {}, h('h3', {}, 'PIN'), h('p.muted', {}, 'Whoever comes is asked for it.'), h('code', {}, pin),
      h('button.small', {type: 'button', 'aria-label': 'Copy: PIN', onclick: () => this.copy(pin, 'The PIN')}, 'Copy')));
  }

  /** @param {boolean} fixed the room's own times are in it already */
  toCalendar(fixed) {
    if (fixed && this.calendar) { this.save(this.calendar); return; }
    if (!this.begin.value) {
      const next = new Date(Date.now() + 3600e3);
      next.setMinutes(0, 0, 0);
      this.begin.value = local(next);
    }
    this.saving = true;
    this.ask();
  }

  /** @param {string} calendar */
  save(calendar) {
    const url = URL.createObjectURL(new Blob([calendar], {type: 'text/calendar;charset=utf-8'}));
    const a = h('a', {href: url, download: `${this.call.room.room || 'meeting'}.ics`});
    document.body.append(a);
    a.click();
    a.remove();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
    this.say('The calendar’s file is saved.');
  }

  /**
   * @param {string} text
   * @param {string} what
   */
  async copy(text, what) {
    try {
      await navigator.clipboard.writeText(text);
      this.say(`${what}: copied.`);
    } catch {
      this.say(text, true); // to be copied by hand
    }
  }

  /**
   * say tells it within the dialog: what lies behind it is not there for screen readers.
   * @param {string} text
   * @param {boolean} stays
   */
  say(text, stays = false) {
    setText(this.status, '');
    clearTimeout(this.hush);
    setTimeout(() => setText(this.status, text), 50);
    if (!stays) this.hush = setTimeout(() => setText(this.status, ''), 10000);
  }
}

/** @param {Told} m */
function open(m) {
  const at = (/** @type {string} */ time) => new Date(time).toLocaleString([], {dateStyle: 'medium', timeStyle: 'short'});
  if (m.from && m.until) return `The room is open from ${at(m.from)} to ${at(m.until)}.`;
  return m.from ? `The room opens at ${at(m.from)}.` : `The room is open until ${at(m.until ?? '')}.`;
}

/**
 * local is a time as an input of datetime-local has it.
 * @param {Date} t
 */
function local(t) { return new Date(t.getTime() - t.getTimezoneOffset() * 60000).toISOString().slice(0, 16); }

/**
 * zone is how far a time's zone is from UTC, as RFC 3339 has it.
 * @param {Date} t
 */
function zone(t) {
  const minutes = Math.abs(t.getTimezoneOffset());
  const two = (/** @type {number} */ n) => String(Math.floor(n)).padStart(2, '0');
  return `${t.getTimezoneOffset() > 0 ? '-' : '+'}${two(minutes / 60)}:${two(minutes % 60)}`;
}

/**
 * code draws a QR code, dark on light whatever the page's colours are: cameras want that.
 * @param {Way} way
 * @param {string} title
 */
function code(way, title) {
  const ns = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(ns, 'svg');
  for (const [k, v] of [['viewBox', `0 0 ${way.size} ${way.size}`], ['class', 'qr'], ['role', 'img'], ['aria-label', `QR code: ${title}`], ['shape-rendering', 'crispEdges']]) svg.setAttribute(k, v);
  const dark = document.createElementNS(ns, 'path');
  dark.setAttribute('d', way.code);
  svg.append(dark);
  return svg;
}

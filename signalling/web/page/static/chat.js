// The room's chat.

import {h, icon, initials, hue, toast} from './dom.js';
import {Emitter} from './events.js';
import {clock} from './words.js';

/** @import {Child} from '../elements.js' */
/** @import {Call, CallEvents} from './call.js' */

const keep = 500; // lines

/**
 * Chat says "unread" with a line that nobody has seen, or without when all have been.
 * @extends {Emitter<{unread: {name: string, text: string} | undefined}>}
 */
export class Chat extends Emitter {
  unread = 0;

  /** @param {Call} call */
  constructor(call) {
    super();
    this.call = call;
    /** @type {Set<string>} ids */
    this.seen = new Set();
    this.shift = false; // is held down
    this.log = h('div.chat-log', {role: 'log', 'aria-label': 'Messages', 'aria-live': 'polite', tabindex: 0});
    this.empty = h('p.muted.empty', {}, 'No messages yet. Everybody in the room can read what you write.');
    this.log.append(this.empty);
    this.input = h('textarea', {rows: 1, maxlength: 2000, 'aria-label': 'Write a message', placeholder: 'Write a message', onkeydown: (e) => { this.shift = e.shiftKey; },
      // Phones' keyboards tell of Enter in this way only.
      onbeforeinput: (e) => {
        if ((e.inputType === 'insertLineBreak' || e.inputType === 'insertParagraph') && !this.shift && !e.isComposing) { e.preventDefault(); this.send(); }
      }, oninput: () => this.grow()});
    this.el = h('div.pane.chat-pane', {}, this.log, h('form.chat-form', {onsubmit: (e) => { e.preventDefault(); this.send(); }}, this.input,
      h('button.primary.round', {type: 'submit', 'aria-label': 'Send'}, icon('send'))));
    call.on('chat', (m) => this.add(m));
  }

  grow() {
    this.input.style.height = 'auto';
    this.input.style.height = `${Math.min(120, this.input.scrollHeight)}px`;
  }

  async send() {
    const text = this.input.value.trim();
    if (!text) return;
    this.input.value = '';
    this.grow();
    const r = await this.call.say(text);
    if (!r.ok) {
      this.input.value = text;
      toast(r.text ?? '', {urgent: true, kind: 'bad'});
    }
  }

  /** @param {CallEvents['chat']} m */
  add(m) {
    if (m.id && this.seen.has(m.id)) return;
    this.seen.add(m.id);
    this.empty.remove();
    const own = m.from !== '' && m.from === this.call.id;
    const atEnd = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 60;
    const name = m.from === '' && !m.name ? 'The room' : m.name;
    const last = this.log.lastElementChild;
    const follows = last instanceof HTMLElement && last.dataset.from === `${m.from}/${m.name}`;
    const line = h('article.message', {class: `${own ? 'own' : ''} ${follows ? 'follows' : ''}`},
      own || follows ? null : h('span.avatar', {'aria-hidden': 'true', class: `hue${hue(name)}`}, initials(name)),
      h('div.bubble', {}, h('p.by', {class: follows || own ? 'visually-hidden' : ''}, own ? 'You' : h('bdi', {}, name)), h('p.said', {}, linked(m.text)),
        h('time', {datetime: m.time}, clock(m.time))));
    line.dataset.from = `${m.from}/${m.name}`;
    this.log.append(line);
    while (this.log.children.length > keep) this.log.firstElementChild?.remove();
    if (atEnd || own) this.log.scrollTop = this.log.scrollHeight;
    if (!own && !m.past && !this.el.checkVisibility()) {
      this.unread++;
      this.emit('unread', {name, text: m.text});
    }
  }

  shown() {
    this.unread = 0;
    this.log.scrollTop = this.log.scrollHeight;
    this.emit('unread');
  }
}

/**
 * linked makes web addresses clickable, nothing else.
 * @param {string} text
 */
function linked(text) {
  /** @type {Child[]} */
  const out = [];
  let at = 0;
  for (const m of text.matchAll(/https?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]]/g)) {
    out.push(text.slice(at, m.index), h('a', {href: m[0], target: '_blank', rel: 'noopener noreferrer'}, m[0]));
    at = m.index + m[0].length;
  }
  out.push(text.slice(at));
  return out;
}

// What moderators do with the whole room. What concerns one participant, or several
// chosen ones, is in the list of people.

import {h, setAttr, toast, confirmDialog, field} from './dom.js';
import {TalkTimes} from './talk.js';
import {clock} from './words.js';

// switched are the orders that turn something on or off; off is what is left out of them.
const switched = new Set(['mute', 'mute-all', 'mute-others', 'self-unmute', 'ban', 'lock', 'lobby', 'hand', 'floor', 'lecture', 'pin', 'hide-non-video', 'end-with-host']);

/** @type {[value: string, text: string][]} */
const layouts = [['auto', 'Automatic'], ['grid', 'Grid'], ['one-big-with-small', 'Speaker and others'], ['one-big', 'Speaker only'], ['side-by-side', 'Screen and speaker']];

/** @import {AuditEntry, Head, Order} from '../protocol.js' */
/** @import {Call} from './call.js' */

/** Panel is the pane with which a moderator runs the meeting. */
export class Panel {
  /** @param {Call} call */
  constructor(call) {
    this.call = call;
    this.switches = [
      this.toggle('Lock the room', 'Nobody else can join.', 'locked', (on) => ({action: 'lock', on})),
      this.toggle('Lobby', 'Newcomers wait until you admit them.', 'lobby', (on) => ({action: 'lobby', on})),
      this.toggle('Lecture', 'Only who has the floor is heard.', 'lecture', (on) => ({action: 'lecture', on})),
      this.toggle('Participants may unmute themselves', '', 'selfUnmute', (on) => ({action: 'self-unmute', on})),
      this.toggle('Hide those without video', '', 'hideNonVideo', (on) => ({action: 'hide-non-video', on})),
    ];
    this.layouts = layouts.map(([value, text]) => {
      const input = h('input', {type: 'radio', name: 'layout', value, onchange: () => this.give({action: 'layout', text: value})});
      return {input, value, el: h('label.choice', {}, input, h('span.sketch', {class: value, 'aria-hidden': 'true'}, h('i'), h('i'), h('i'), h('i')), h('span', {}, text))};
    });
    this.record = h('button', {type: 'button', onclick: () => this.give({action: 'record', text: this.call.room.recording === 'off' ? 'start' : 'stop'})});
    this.pause = h('button', {type: 'button', onclick: () => this.give({action: 'record', text: this.call.room.recording === 'on' ? 'pause' : 'resume'})});
    this.log = h('ol.log', {'aria-label': 'Orders, newest first', 'aria-live': 'polite'});
    this.number = h('input', {type: 'text', maxlength: 200, autocomplete: 'off', spellcheck: 'false'});
    this.announcement = h('input', {type: 'text', maxlength: 500});
    this.el = h('div.pane.panel', {}, h('div.scroll', {},
      group('Everybody', h('div.buttons', {},
        this.button('Mute all', {action: 'mute-all', on: true}, 'Everybody but the moderators is muted.', {action: 'mute-all', on: false}),
        this.button('Unmute all', {action: 'mute-all', on: false}, 'Everybody may speak.', {action: 'mute-all', on: true}),
        this.button('Mute all but who talks', {action: 'mute-others', on: true}, 'Everybody but the talkers is muted.', {action: 'mute-all', on: false}),
        this.button('Mute who is noisy', {action: 'mute-noisy'}, 'Noisy microphones are muted.'))),
      group('Room', ...this.switches.map((s) => s.el)),
      group('Layout', h('div.choices', {role: 'radiogroup', 'aria-label': 'Layout'}, this.layouts.map((l) => l.el))),
      group('Recording', h('div.buttons', {}, this.record, this.pause)),
      group('Call somebody', h('form', {onsubmit: (e) => { e.preventDefault(); this.dial(); }},
        field('Phone number, SIP address or Jami id', this.number), h('button', {}, 'Call'))),
      group('Announcement', h('form', {onsubmit: (e) => { e.preventDefault(); this.announce(); }},
        field('Text, shown and spoken to all', this.announcement), h('button', {}, 'Announce'))),
      group('Talk time', new TalkTimes(call).el),
      group('Log', h('button', {type: 'button', onclick: () => call.askAudit()}, 'Show what was ordered'), this.log),
      group('End', h('button.danger', {type: 'button', onclick: () => this.end()}, 'End the meeting for all'))));
    call.on('room', () => this.update());
    call.on('audit', (list) => this.showLog(list));
    this.update();
  }

  /**
   * @param {string} label
   * @param {string} hint
   * @param {keyof Head} key what of the room it shows
   * @param {(on: boolean) => Order} order that changes it
   */
  toggle(label, hint, key, order) {
    const input = h('input', {type: 'checkbox', role: 'switch', onchange: async () => {
      const r = await this.give(order(input.checked));
      if (!r.ok) input.checked = Boolean(this.call.room[key]);
    }});
    return {input, key, el: h('label.switch', {}, h('span', {}, label, hint ? h('small', {}, hint) : null), input)};
  }

  /**
   * @param {string} text
   * @param {Order} order
   * @param {string} done what is said then
   * @param {Order} [undo]
   */
  button(text, order, done, undo) {
    return h('button', {type: 'button', onclick: async () => {
      const r = await this.give(order);
      if (r.ok) toast(done, undo ? {label: 'Undo', action: () => this.give(undo)} : {});
    }}, text);
  }

  update() {
    const room = this.call.room;
    for (const s of this.switches) if (s.input.checked !== Boolean(room[s.key])) s.input.checked = Boolean(room[s.key]);
    for (const l of this.layouts) l.input.checked = room.layout === l.value;
    const on = room.recording === 'on' || room.recording === 'paused';
    this.record.textContent = on ? 'Stop recording' : 'Start recording';
    this.pause.hidden = !on;
    this.pause.textContent = room.recording === 'paused' ? 'Resume' : 'Pause';
    setAttr(this.record, 'class', on ? 'danger' : 'primary');
  }

  /** @param {AuditEntry[]} entries the oldest first */
  showLog(entries) {
    this.log.replaceChildren(...entries.reverse().map((e) => {
      const o = e.order;
      const what = [o.action, o.media, switched.has(o.action) ? (o.on ? 'on' : 'off') : '', o.text].filter(Boolean).join(' ');
      return h('li', {class: e.result}, h('time', {datetime: e.time}, clock(e.time)),
        h('span', {}, h('bdi', {}, e.name || 'The room'), `: ${what}`, e.targetName ? [' – ', h('bdi', {}, e.targetName)] : null,
          e.result === 'refused' ? ` (refused: ${e.reason})` : e.reason ? ` (${e.reason})` : ''));
    }));
    if (!entries.length) this.log.append(h('li', {}, 'Nothing yet.'));
  }

  async dial() {
    const text = this.number.value.trim();
    if (text && (await this.give({action: 'dial', text})).ok) {
      this.number.value = '';
      toast(`Calling ${text}…`);
    }
  }

  async announce() {
    const text = this.announcement.value.trim();
    if (text && (await this.give({action: 'announce', text})).ok) this.announcement.value = '';
  }

  async end() {
    if (await confirmDialog('End the meeting', 'Everybody is disconnected, by whatever way they came.', 'End for all')) this.give({action: 'end'});
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
 * @param {string} title
 * @param {Node[]} children
 */
function group(title, ...children) {
  return h('section.group', {'aria-label': title}, h('h3', {}, title), ...children);
}

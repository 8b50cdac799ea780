// The meeting: the mixed picture, the controls below it and the panes beside it.

import {h, icon, setIcon, setText, setAttr, toast, announce, menu} from './dom.js';
import {duration, isolate, notice} from './words.js';
import {Quality} from './quality.js';
import {People, changeName} from './people.js';
import {Chat} from './chat.js';
import {Recordings} from './recordings.js';
import {Invite} from './invite.js';
import {Panel} from './panel.js';
import {Tiles} from './tiles.js';
import {SelfView} from './selfview.js';
import {Reactions} from './reactions.js';
import {restoreOutput, showSettings} from './settings.js';
import {float, floats} from './float.js';
import {Knock} from './knock.js';

/** @import {Notice} from '../protocol.js' */
/** @import {Call} from './call.js' */
/** @import {Devices} from './devices.js' */

/** @typedef {'people' | 'chat' | 'panel' | 'recordings'} Pane beside the picture */

/** Meeting is the page while its person is in the meeting, or waits to be let in. */
export class Meeting {
  /**
   * @param {HTMLElement} root
   * @param {Call} call
   * @param {Devices} devices
   */
  constructor(root, call, devices) {
    this.call = call;
    this.devices = devices;
    this.started = Date.now();
    this.quality = new Quality(call);
    this.chat = new Chat(call);
    this.recordings = new Recordings(call);
    this.invite = new Invite(call);
    this.panel = new Panel(call);
    /** @type {Pane | ''} the open one */
    this.open = '';
    /** @type {WakeLockSentinel | null | undefined} */
    this.lock = null;
    /** @type {(() => void) | null} writes the figures of the connection where they are shown now */
    this.fillQuality = null;
    this.coverText = '';
    this.chipKey = '';
    this.captionKey = '';
    this.rating = '';

    this.video = h('video', {autoplay: true, playsinline: true, 'aria-label': `The picture of the meeting ${call.title}`});
    this.video.srcObject = call.stream;
    restoreOutput(this.video);
    this.cover = h('div.cover', {hidden: true});
    this.hear = h('button.primary.hear', {type: 'button', hidden: true, onclick: () => this.play()}, 'Turn on sound');
    this.caption = h('p.caption', {'aria-hidden': 'true', hidden: true});
    this.selfView = new SelfView(call, devices);
    this.reactions = new Reactions(call);
    this.knock = new Knock();
    this.stage = h('section.stage', {'aria-label': 'Picture', ondblclick: () => this.fullscreen()});
    this.tiles = new Tiles(call, this.stage, this.video);
    this.stage.append(this.tiles.el, this.tiles.back, this.reactions.el, this.cover, this.selfView.el, this.hear);
    this.people = new People(call, this.tiles);

    this.title = h('h1', {}, call.title);
    this.time = h('span.time', {'aria-label': 'Duration'}, '0:00');
    this.chips = h('div.chips');
    this.qualityText = h('span.visually-hidden', {}, 'Your network');
    this.qualityButton = h('button.plain.quality', {type: 'button', 'aria-haspopup': 'dialog', onclick: () => this.showQuality()},
      h('span.bars', {'aria-hidden': 'true'}, h('i'), h('i'), h('i')), this.qualityText);
    const header = h('header.top', {}, this.title, this.chips, this.caption, h('span.grow'), this.time, this.qualityButton,
      h('button.plain.expand', {type: 'button', 'aria-label': 'Full screen', onclick: () => this.fullscreen()}, icon('expand')),
      h('button.plain', {type: 'button', 'aria-label': 'Copy the link to this room', onclick: () => this.copyLink()}, icon('link')));

    this.micButton = this.control('mic', 'Mute', 'Alt+M', () => call.setMic(!call.mic || Boolean(call.me?.muted)));
    this.camButton = this.control('cam', 'Stop video', 'Alt+V', () => call.setCamera(!call.camera));
    this.screenButton = this.control('screen', 'Share screen', 'Alt+S', () => call.setScreen(!call.screen));
    this.handButton = this.control('hand', 'Raise hand', 'Alt+H', () => this.hand());
    this.reactButton = this.control('smile', 'React', 'Alt+R', () => this.reactions.choose(this.reactButton));
    setAttr(this.reactButton, 'aria-haspopup', 'menu');
    this.peopleButton = this.tab('people', 'People', 'Alt+P', 'people');
    this.chatButton = this.tab('chat', 'Chat', 'Alt+C', 'chat');
    this.badge = h('span.badge', {hidden: true}); // how much is unread
    this.chatButton.append(this.badge);
    this.manageButton = this.tab('shield', 'Manage', 'Alt+G', 'panel');
    this.moreButton = this.control('more', 'More', '', () => this.more());
    setAttr(this.moreButton, 'aria-haspopup', 'menu');
    this.leaveButton = this.control('leave', 'Leave', '', () => this.leave());
    this.leaveButton.classList.add('leave');
    if (call.watching) for (const b of [this.micButton, this.camButton, this.screenButton, this.handButton, this.reactButton]) b.hidden = true;
    if (!navigator.mediaDevices?.getDisplayMedia) this.screenButton.hidden = true;
    const bar = h('nav.bar', {'aria-label': 'Controls'},
      h('div.group-l', {}, this.micButton, this.camButton, this.screenButton, this.handButton, this.reactButton),
      h('div.group-r', {}, this.peopleButton, this.chatButton, this.manageButton, this.moreButton, this.leaveButton));

    this.paneTitle = h('h2');
    this.paneBody = h('div.pane-body');
    this.side = h('aside.side', {hidden: true, 'aria-label': 'Side panel'}, h('header.row', {}, this.paneTitle,
      h('button.plain', {type: 'button', 'aria-label': 'Close the panel', onclick: () => this.pane('')}, icon('close'))), this.paneBody);
    this.main = h('main.meeting', {}, header, this.stage, this.side, bar);
    root.replaceChildren(this.main);

    this.onKey = (/** @type {KeyboardEvent} */ e) => this.key(e);
    this.onVisible = () => { if (document.visibilityState === 'visible') this.wake(); };
    this.timer = setInterval(() => {
      const began = call.room.began ? Date.parse(call.room.began) : this.started;
      setText(this.time, duration((Date.now() - began) / 1000));
    }, 1000);
    this.listen();
    this.show();
    if (matchMedia('(min-width: 1000px)').matches || matchMedia('(max-width: 700px) and (orientation: portrait)').matches) this.pane('people', false);
    this.leaveButton.focus({preventScroll: true});
    this.micButton.focus({preventScroll: true});
  }

  /**
   * @param {string} name its icon's
   * @param {string} label
   * @param {string} keys that press it, '' for none
   * @param {() => unknown} run
   */
  control(name, label, keys, run) {
    return h('button.control', {type: 'button', 'aria-keyshortcuts': keys || null, title: keys ? `${label} (${keys})` : label, onclick: run}, icon(name), h('span.label', {}, label));
  }

  /**
   * @param {string} name its icon's
   * @param {string} label
   * @param {string} keys
   * @param {Pane} id
   */
  tab(name, label, keys, id) {
    const b = this.control(name, label, keys, () => this.pane(this.open === id ? '' : id));
    setAttr(b, 'aria-expanded', 'false');
    b.dataset.pane = id;
    return b;
  }

  listen() {
    const call = this.call;
    call.on('phase', () => this.show());
    call.on('room', () => this.show());
    call.on('media', () => this.show());
    call.on('people', () => this.show());
    call.on('stream', () => this.play());
    call.on('notice', (n) => this.notice(n));
    this.chat.on('unread', (line) => this.unread(line));
    this.quality.on('change', () => this.showRating());
    document.addEventListener('keydown', this.onKey);
    this.video.addEventListener('resize', () => this.show());
    this.video.addEventListener('loadeddata', () => this.show());
    this.wake();
    document.addEventListener('visibilitychange', this.onVisible);
  }

  close() {
    clearInterval(this.timer);
    this.quality.close();
    this.tiles.close();
    this.selfView.close();
    this.reactions.close();
    document.removeEventListener('keydown', this.onKey);
    document.removeEventListener('visibilitychange', this.onVisible);
    this.lock?.release().catch(() => {});
    document.querySelectorAll('dialog, .menu').forEach((d) => d.remove());
    if (document.pictureInPictureElement === this.video) document.exitPictureInPicture().catch(() => {});
    this.video.srcObject = null;
  }

  // wake keeps the screen of a phone on.
  async wake() {
    this.lock = await navigator.wakeLock?.request('screen').catch(() => null);
  }

  async play() {
    try {
      await this.video.play();
      this.hear.hidden = true;
    } catch (err) {
      // Without a click on the page, browsers play nothing aloud.
      if (/** @type {DOMException} */ (err).name === 'NotAllowedError') this.hear.hidden = false;
    }
  }

  show() {
    const call = this.call;
    const me = call.me;
    setText(this.title, call.room.title || call.title);
    document.title = `${call.room.title || call.title} – Rendezvous`;
    const muted = Boolean(me?.muted);
    this.button(this.micButton, call.mic && !muted, muted ? 'Muted by moderator' : call.mic ? 'Mute' : 'Unmute', call.mic && !muted ? 'mic' : 'mic-off');
    this.micButton.classList.toggle('talking', Boolean(me?.talking) && call.mic && !muted);
    this.button(this.camButton, call.camera && Boolean(this.devices.video), call.camera && this.devices.video ? 'Stop video' : 'Start video', call.camera && this.devices.video ? 'cam' : 'cam-off');
    this.pressed(this.screenButton, Boolean(call.screen), call.screen ? 'Stop sharing' : 'Share screen');
    this.pressed(this.handButton, Boolean(me?.hand), me?.hand ? 'Lower hand' : 'Raise hand');
    const lobby = call.phase === 'lobby' || call.phase === 'connecting';
    this.main.classList.toggle('outside', lobby);
    this.reactButton.hidden = lobby || call.watching;
    this.manageButton.hidden = !call.moderates;
    if (this.open === 'panel' && !call.moderates) this.pane('');
    setText(this.peopleButton.querySelector('.label'), 'People');
    this.showCover();
    this.showChips();
    this.showCaption();
  }

  /**
   * button shows a device's state: off is what stands out.
   * @param {Element} b
   * @param {boolean} on
   * @param {string} label
   * @param {string} name its icon's
   */
  button(b, on, label, name) {
    setIcon(b, name);
    setText(b.querySelector('.label'), label);
    b.classList.toggle('off', !on);
    setAttr(b, 'title', b.getAttribute('aria-keyshortcuts') ? `${label} (${b.getAttribute('aria-keyshortcuts')})` : label);
  }

  /**
   * @param {Element} b
   * @param {boolean} on
   * @param {string} label
   */
  pressed(b, on, label) {
    setAttr(b, 'aria-pressed', String(on));
    setText(b.querySelector('.label'), label);
  }

  showCover() {
    const call = this.call;
    /** @type {{[phase: string]: [string, string] | undefined}} */
    const covers = {
      connecting: ['Connecting…', ''],
      lobby: ['You are in the lobby', 'A moderator will let you in soon. Nobody hears or sees you yet.'],
      reconnecting: ['Reconnecting…', 'Please wait a moment; you keep your place in the meeting.'],
    };
    const text = covers[call.phase];
    const waiting = call.phase === 'in' && !this.video.videoWidth;
    const words = text || (waiting ? ['Waiting for the picture…', ''] : null);
    this.cover.hidden = !words;
    this.cover.classList.toggle('solid', call.phase === 'lobby' || call.phase === 'connecting');
    if (!words || this.coverText === words[0]) { if (!words) this.coverText = ''; return; }
    this.coverText = words[0];
    this.cover.replaceChildren(h('div.spinner', {'aria-hidden': 'true'}), h('p.big', {}, words[0]), h('p', {}, words[1]));
    if (!waiting) announce(`${words[0]} ${words[1]}`);
  }

  showChips() {
    const r = this.call.room;
    const want = [];
    if (r.recording === 'on') want.push(['rec', '', 'Recording']);
    if (r.recording === 'paused') want.push(['', '', 'Recording paused']);
    if (r.locked) want.push(['', 'lock', 'Locked']);
    if (r.lecture) want.push(['', '', 'Lecture']);
    if (this.call.moderates) {
      let waiting = 0;
      for (const p of this.call.people.values()) if (p.waiting) waiting++;
      if (waiting) want.push(['call', 'people', `${waiting} waiting`]);
    }
    const key = JSON.stringify(want);
    if (key === this.chipKey) return;
    this.chipKey = key;
    this.chips.replaceChildren(...want.map(([kind, name, text]) => h('span.chip', {class: kind}, name ? icon(name) : null, h('span', {}, text))));
  }

  // showCaption names the talkers, for those who cannot see whose frame lights up.
  showCaption() {
    const names = [];
    for (const p of this.call.people.values()) if (p.talking && p.id !== this.call.id && names.length < 3) names.push(p.name || 'Guest');
    this.caption.hidden = names.length === 0;
    const key = names.join('\n');
    if (key === this.captionKey) return;
    this.captionKey = key;
    this.caption.replaceChildren(...names.flatMap((n, i) => [i ? ', ' : '', h('bdi', {}, n)]));
  }

  showRating() {
    const q = this.quality.now;
    setAttr(this.qualityButton, 'data-rating', q.rating);
    setText(this.qualityText, q.text);
    setAttr(this.qualityButton, 'title', q.text);
    if (q.rating === 'poor' && this.rating !== 'poor') announce('Your network is poor.');
    this.rating = q.rating;
    this.fillQuality?.();
  }

  showQuality() {
    const title = h('h2', {id: 'q-title'});
    const rows = h('dl.figures');
    const dialog = h('dialog.dialog', {'aria-labelledby': 'q-title'}, title, rows,
      h('form.row.end', {method: 'dialog'}, h('button.primary', {autofocus: true}, 'Close')));
    this.fillQuality = () => {
      const q = this.quality.now;
      setText(title, q.text);
      rows.replaceChildren(...q.rows.map(([k, v]) => h('div', {}, h('dt', {}, k), h('dd', {}, v))));
    };
    dialog.addEventListener('close', () => { this.fillQuality = null; this.quality.watched = false; dialog.remove(); });
    this.quality.watched = true;
    this.call.askNetwork();
    this.fillQuality();
    document.body.append(dialog);
    dialog.showModal();
  }

  /**
   * pane opens one of the panes beside the picture, or closes the open one.
   * @param {Pane | ''} id
   * @param {boolean} focus whether the keyboard goes there
   */
  pane(id, focus = true) {
    /** @type {Record<Pane, [string, {el: HTMLElement, shown?: () => void}]>} */
    const panes = {people: ['People', this.people], chat: ['Chat', this.chat], panel: ['Manage the meeting', this.panel], recordings: ['Recordings', this.recordings]};
    const before = this.open;
    this.open = id;
    this.side.hidden = !id;
    this.main.classList.toggle('with-side', Boolean(id));
    for (const b of [this.peopleButton, this.chatButton, this.manageButton]) setAttr(b, 'aria-expanded', String(b.dataset.pane === id));
    if (!id) {
      this.paneBody.replaceChildren();
      /** @type {HTMLElement | null} */
      const tab = this.main.querySelector(`[data-pane="${before}"]`);
      (tab || this.moreButton).focus();
      return;
    }
    const [title, pane] = panes[id];
    if (id === 'chat') document.querySelector('.toast[data-key=chat]')?.remove();
    setText(this.paneTitle, title);
    this.paneBody.replaceChildren(pane.el);
    pane.shown?.();
    if (focus) {
      if (id === 'chat') this.chat.input.focus();
      else /** @type {HTMLElement | null} */ (this.side.querySelector('button, input'))?.focus();
    }
  }

  /** @param {{name: string, text: string} | undefined} m */
  unread(m) {
    const n = this.chat.unread;
    this.badge.hidden = n === 0;
    setText(this.badge, n > 99 ? '99+' : String(n));
    setText(this.chatButton.querySelector('.label'), 'Chat');
    setAttr(this.chatButton, 'aria-label', n ? `Chat, ${n} unread` : null);
    if (m) toast(`${isolate(m.name)}: ${m.text.length > 80 ? `${m.text.slice(0, 80)}…` : m.text}`, {label: 'Open chat', action: () => this.pane('chat'), key: 'chat'});
  }

  /** @param {Notice} n */
  notice(n) {
    if (n.kind === 'knock') this.knock.play();
    const [text, options] = notice(n);
    if (!text) return;
    if (options.quiet) { announce(text); return; }
    const {pane} = options;
    toast(text, pane ? {...options, action: () => this.pane(pane)} : options);
  }

  more() {
    menu(this.moreButton, 'More', [
      {icon: 'gear', text: 'Devices…', run: () => showSettings(this.call, this.devices, this.video, this.selfView, this.knock)},
      {icon: 'sliders', text: 'Connection…', run: () => this.showQuality()},
      this.call.hasRecordings ? {icon: 'film', text: 'Recordings', run: () => this.pane('recordings')} : null,
      this.call.watching ? null : {icon: 'people', text: 'Change your name…', run: () => changeName(this.call)},
      {icon: 'expand', text: 'Full screen', run: () => this.fullscreen()},
      floats(this.video) ? {icon: 'float', text: document.pictureInPictureElement ? 'Picture back into the page' : 'Picture in picture', run: () => float(this.video)} : null,
      {icon: 'link', text: 'Copy the link', run: () => this.copyLink()},
      {icon: 'people', text: 'Invite others…', run: () => this.invite.open()},
    ]);
  }

  async hand() {
    const r = await this.call.raiseHand(!this.call.me?.hand);
    if (!r.ok) toast(r.text ?? '', {urgent: true, kind: 'bad'});
  }

  async copyLink() {
    const link = `${location.origin}/r/${encodeURIComponent(this.call.room.room || location.pathname.split('/').pop() || '')}`;
    try {
      await navigator.clipboard.writeText(link);
      toast('The link is copied.');
    } catch {
      toast(link, {seconds: 15});
    }
  }

  fullscreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.stage.requestFullscreen?.().catch(() => {});
  }

  leave() { this.call.leave(); }

  /** @param {KeyboardEvent} e */
  key(e) {
    if (!e.altKey || e.ctrlKey || e.metaKey || document.querySelector('dialog[open]')) return;
    /** @type {{[code: string]: HTMLElement}} */
    const buttons = {KeyM: this.micButton, KeyV: this.camButton, KeyS: this.screenButton, KeyH: this.handButton,
      KeyR: this.reactButton, KeyP: this.peopleButton, KeyC: this.chatButton, KeyG: this.manageButton};
    const b = buttons[e.code];
    if (!b || b.hidden) return;
    e.preventDefault();
    b.click();
  }
}

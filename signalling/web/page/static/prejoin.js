// Before the meeting: who, and with which camera and microphone.

import {h, icon, setIcon, setText, setAttr, field, announce} from './dom.js';
import {Devices, Meter, fillSelect, remember} from './devices.js';

/** @import {About, Refused} from '../protocol.js' */
/** @import {JoinRequest} from './call.js' */
/** @import {Form} from './embed.js' */
/** @import {Kind} from './devices.js' */

/**
 * landing asks for a room and lists none.
 * @param {HTMLElement} root
 */
export function landing(root) {
  document.title = 'Rendezvous';
  const input = h('input', {type: 'text', name: 'room', required: true, autocomplete: 'off', autocapitalize: 'none', spellcheck: 'false',
    pattern: '[a-z0-9]([a-z0-9\\-]*[a-z0-9])?', maxlength: 64, placeholder: 'for example: standup', autofocus: true,
    title: 'Small letters, digits and hyphens'});
  const form = h('form', {onsubmit: (e) => {
    e.preventDefault();
    location.assign(`/r/${encodeURIComponent(input.value.trim())}`);
  }}, field('Room', input, 'You find it in your invitation, after the last slash of the link.'), h('button.primary.wide', {}, 'Continue'));
  input.addEventListener('input', () => { input.value = input.value.toLowerCase().replace(/\s+/g, '-'); });
  root.replaceChildren(h('main.landing', {}, h('div.card', {},
    h('img.logo', {src: '/assets/icon.svg', alt: '', width: 56, height: 56}),
    h('h1', {}, 'Join a meeting'), h('p.lead', {}, 'By browser, by phone or with Jami: everybody meets in one room.'), form)));
}

/**
 * prejoin shows the form and calls onjoin with the join request and the devices; onjoin answers
 * with a refusal or null.
 * @param {HTMLElement} root
 * @param {About} about
 * @param {(join: JoinRequest, devices: Devices) => Promise<Refused | null>} onjoin
 * @returns {Form} by which another page may join
 */
export function prejoin(root, about, onjoin) {
  const devices = new Devices();
  /** @type {Meter | null} */
  let meter = null;
  const wants = {audio: true, video: true};
  let token = new URLSearchParams(location.hash.slice(1)).get('token') || '';

  const video = h('video', {autoplay: true, playsinline: true, muted: true, 'aria-label': 'Preview of your camera'});
  const placeholder = h('div.novideo', {}, icon('cam-off'), h('span', {}, 'The camera is off'));
  const bar = h('div.meter', {role: 'meter', 'aria-label': 'Microphone level', 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-valuenow': 0});
  const filled = bar.appendChild(h('i'));
  const micButton = toggle('mic', 'Microphone', () => switchDevice('audio'));
  const camButton = toggle('cam', 'Camera', () => switchDevice('video'));
  const micSelect = h('select', {onchange: () => { remember.set('audio', micSelect.value); devices.open('audio', micSelect.value); }});
  const camSelect = h('select', {onchange: () => { remember.set('video', camSelect.value); devices.open('video', camSelect.value); }});
  const micTrouble = h('p.trouble', {hidden: true});
  const camTrouble = h('p.trouble', {hidden: true});

  const name = h('input', {type: 'text', name: 'name', autocomplete: 'name', maxlength: 64, required: true, value: remember.get('name')});
  const pin = h('input', {type: 'text', name: 'pin', inputmode: 'numeric', autocomplete: 'one-time-code', maxlength: 32});
  const pinField = field('PIN', pin, 'It is in your invitation.');
  pinField.hidden = !about.needsPin || Boolean(token);
  const havePin = h('button.link.have-pin', {type: 'button', hidden: Boolean(about.needsPin || token), onclick: () => {
    pinField.hidden = false;
    havePin.hidden = true;
    pin.focus();
  }}, 'I have a moderator PIN');
  const watch = h('input', {type: 'checkbox', name: 'watch', onchange: () => showWatch()});
  const error = h('p.error', {id: 'join-error', tabindex: -1, hidden: true});
  const recorded = h('p.recorded', {id: 'recorded', hidden: !about.recorded}, 'This meeting is recorded. Who joins is heard and seen in the recording.');
  const button = h('button.primary.wide', {type: 'submit', 'aria-describedby': 'recorded'}, 'Join');

  const form = h('form', {novalidate: true, onsubmit: submit}, field('Your name', name), pinField, havePin,
    h('label.check', {}, watch, h('span', {}, 'Only watch and listen')), recorded, error, button);
  const deviceBox = h('div.devices', {}, h('div.preview', {}, video, placeholder, h('div.preview-bar', {}, micButton, camButton)), bar,
    field('Microphone', micSelect), micTrouble, field('Camera', camSelect), camTrouble);

  root.replaceChildren(h('main.prejoin', {},
    h('header.prejoin-head', {}, h('img.logo', {src: '/assets/icon.svg', alt: '', width: 40, height: 40}),
      h('div', {}, h('h1', {}, about.title), h('p.lead', {}, 'Check how you look and sound, then join.'))),
    h('div.prejoin-body', {}, h('section.card', {'aria-label': 'Camera and microphone'}, deviceBox),
      h('section.card.join', {'aria-label': 'Join'}, form))));
  document.title = `${about.title} – Rendezvous`;
  (name.value ? (pinField.hidden ? button : pin) : name).focus();

  devices.on('change', show);
  devices.on('list', fill);
  // One question to the person for both, where the browser allows it.
  const opened = devices.open('audio').then(() => devices.open('video'));

  /**
   * @param {string} what
   * @param {string} label
   * @param {() => void} run
   */
  function toggle(what, label, run) {
    return h('button.round', {type: 'button', 'aria-pressed': 'true', 'aria-label': label, onclick: run}, icon(what));
  }

  /** @param {Kind} kind */
  async function switchDevice(kind) {
    wants[kind] = !devices[kind];
    if (wants[kind]) await devices.open(kind); else devices.close(kind);
    announce(`${kind === 'audio' ? 'Microphone' : 'Camera'} ${devices[kind] ? 'on' : 'off'}`);
  }

  function fill() {
    fillSelect(micSelect, devices, 'audioinput', devices.audio?.getSettings().deviceId);
    fillSelect(camSelect, devices, 'videoinput', devices.video?.getSettings().deviceId);
  }

  /** @param {Kind} kind */
  function show(kind) {
    const track = devices[kind];
    const {btn, on, off, trouble} = kind === 'audio' ? {btn: micButton, on: 'mic', off: 'mic-off', trouble: micTrouble}
      : {btn: camButton, on: 'cam', off: 'cam-off', trouble: camTrouble};
    setIcon(btn, track ? on : off);
    setAttr(btn, 'aria-pressed', String(Boolean(track)));
    trouble.hidden = !devices.trouble[kind];
    setText(trouble, devices.trouble[kind]);
    if (kind === 'video') {
      video.srcObject = track ? new MediaStream([track]) : null;
      video.hidden = !track;
      placeholder.hidden = Boolean(track);
    } else {
      meter?.close();
      meter = track ? new Meter(track, level) : null;
      if (!track) level(0);
    }
  }

  /** @param {number} v 0 to 1 */
  function level(v) {
    filled.style.width = `${Math.round(100 * v)}%`;
    setAttr(bar, 'aria-valuenow', Math.round(100 * v));
  }

  function showWatch() {
    deviceBox.classList.toggle('dim', watch.checked);
  }

  /**
   * @param {string} text
   * @param {HTMLElement | undefined} at what is to be mended
   */
  function fail(text, at) {
    error.hidden = false;
    setText(error, text);
    announce(text, true);
    for (const el of [name, pin]) { setAttr(el, 'aria-invalid', el === at ? 'true' : null); }
    at?.focus();
  }

  /** @param {Event} e */
  async function submit(e) {
    e.preventDefault();
    if (!name.value.trim()) { fail('Please enter your name.', name); return; }
    if (about.needsPin && !pinField.hidden && !pin.value.trim()) { fail('Please enter the PIN.', pin); return; }
    if (await recordedSince()) { fail('The meeting is being recorded now. Press Join again if you want to come in.', button); return; }
    error.hidden = true;
    remember.set('name', name.value.trim());
    button.disabled = true;
    setText(button, 'Joining…');
    meter?.close();
    meter = null;
    if (watch.checked) { devices.close('audio'); devices.close('video'); }
    const refused = await onjoin({room: about.room, name: name.value.trim(), pin: pin.value.trim(), token, watch: watch.checked}, devices);
    if (!refused) return;
    button.disabled = false;
    setText(button, 'Join');
    if (devices.audio) meter = new Meter(devices.audio, level);
    if (refused.code === 'pin') { pinField.hidden = false; pin.value = ''; }
    fail(refused.text, refused.code === 'pin' ? pin : button);
  }

  // recordedSince looks whether a recording has begun of which the page has not told yet.
  async function recordedSince() {
    if (about.recorded) return false;
    const now = await aboutRoom(about.room).catch(() => null);
    about.recorded = Boolean(now?.recorded);
    recorded.hidden = !about.recorded;
    return about.recorded;
  }

  return {
    // Another page may fill in the form. It presses the button, too, unless there is something that the person has to read first.
    join(wish) {
      if (typeof wish.name === 'string' && wish.name) name.value = wish.name;
      if (typeof wish.pin === 'string' && wish.pin) { pin.value = wish.pin; pinField.hidden = false; havePin.hidden = true; }
      if (typeof wish.token === 'string' && wish.token) { token = wish.token; pinField.hidden = true; }
      watch.checked = Boolean(wish.watch);
      showWatch();
      if (about.recorded || button.disabled) { button.focus(); return; }
      opened.finally(() => form.requestSubmit()); // else they would be muted
    },
  };
}

/**
 * aboutRoom is what the host tells before anybody joins, or a refusal.
 * @param {string} room
 * @returns {Promise<About & Partial<Refused> & {found: boolean}>}
 */
export async function aboutRoom(room) {
  const r = await fetch(`/r/${encodeURIComponent(room)}/about`);
  return {...await r.json(), found: r.ok};
}

// What a person sets for themselves while they are in the meeting: devices, and how they hear and are heard and seen.

import {h, field, toast} from './dom.js';
import {fillSelect, remember} from './devices.js';

/** @import {Call} from './call.js' */
/** @import {DeviceKind, Devices} from './devices.js' */
/** @import {Knock} from './knock.js' */
/** @import {SelfView} from './selfview.js' */

/**
 * restoreOutput has a meeting's picture play as the person has set it before: where, and how loud.
 * @param {HTMLMediaElement} media
 */
export function restoreOutput(media) {
  const sink = remember.get('output');
  if (sink && media.setSinkId) media.setSinkId(sink).catch(() => {});
  const volume = remember.get('volume');
  if (volume) media.volume = Math.min(1, Math.max(0, Number(volume) / 100 || 0));
}

// Safari on phones leaves the volume to the buttons at its side.
function takesVolume() {
  const probe = h('video');
  probe.volume = 0.5;
  return probe.volume === 0.5;
}

/**
 * showSettings opens the dialog.
 * @param {Call} call
 * @param {Devices} devices
 * @param {HTMLVideoElement} video that plays the meeting
 * @param {SelfView} selfView
 * @param {Knock} knock
 */
export function showSettings(call, devices, video, selfView, knock) {
  /**
   * @param {DeviceKind} kind
   * @param {(id: string) => void} onpick
   */
  const select = (kind, onpick) => h('select', {onchange: (e) => onpick(e.currentTarget.value), 'data-kind': kind});
  const mic = select('audioinput', (id) => { remember.set('audio', id); devices.open('audio', id); });
  const cam = select('videoinput', (id) => { remember.set('video', id); call.camera = true; devices.open('video', id); });
  const out = select('audiooutput', (id) => { remember.set('output', id); video.setSinkId(id).catch(() => toast('That loudspeaker cannot be used.', {urgent: true})); });

  const volume = h('input', {type: 'range', min: 0, max: 100, step: 5, value: String(Math.round(100 * video.volume)), oninput: () => {
    video.volume = Number(volume.value) / 100;
    remember.set('volume', volume.value);
    tellVolume();
  }});
  const tellVolume = () => volume.setAttribute('aria-valuetext', `${volume.value} percent`);
  tellVolume();

  const noise = toggle('Suppress noise', 'Keyboards, fans. Off for music.', devices.noiseSuppression, (on) => devices.setNoiseSuppression(on));
  const blur = toggle('Blur the background', '', devices.backgroundBlur, (on) => devices.setBackgroundBlur(on));
  const mirror = toggle('Show your own camera', 'As in a mirror, in a corner of the picture.', selfView.wanted, (on) => selfView.want(on));
  const bell = toggle('Sound when somebody knocks', 'Who waits in the lobby.', knock.wanted, (on) => knock.want(on));
  bell.hidden = !call.moderates;

  const fill = () => {
    fillSelect(mic, devices, 'audioinput', devices.audio?.getSettings().deviceId);
    fillSelect(cam, devices, 'videoinput', devices.video?.getSettings().deviceId);
    fillSelect(out, devices, 'audiooutput', video.sinkId || 'default');
    noise.hidden = call.watching || !devices.offers('noiseSuppression');
    blur.hidden = call.watching || !devices.offers('backgroundBlur');
  };
  const dialog = h('dialog.dialog.settings', {'aria-labelledby': 's-title'}, h('h2', {id: 's-title'}, 'Devices'),
    call.watching ? null : field('Microphone', mic), noise, call.watching ? null : field('Camera', cam), blur, call.watching ? null : mirror,
    'setSinkId' in video ? field('Loudspeaker', out) : null, // Safari has one loudspeaker
    takesVolume() ? field('Volume of the others', volume) : null, bell,
    h('form.row.end', {method: 'dialog'}, h('button.primary', {}, 'Done')));
  const deaf = [devices.on('list', fill), devices.on('change', fill)];
  dialog.addEventListener('close', () => { for (const stop of deaf) stop(); dialog.remove(); });
  fill();
  devices.refresh();
  document.body.append(dialog);
  dialog.showModal();
}

/**
 * @param {string} label
 * @param {string} hint
 * @param {boolean} on
 * @param {(on: boolean) => unknown} change
 */
function toggle(label, hint, on, change) {
  const input = h('input', {type: 'checkbox', role: 'switch', checked: on, onchange: (e) => { change(e.currentTarget.checked); }});
  return h('label.switch', {}, h('span', {}, label, hint ? h('small', {}, hint) : null), input);
}

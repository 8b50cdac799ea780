// Cameras, microphones and loudspeakers: which there are, which are used, how loud.

import {Emitter} from './events.js';

/** @typedef {'audio' | 'video'} Kind of a track */
/** @typedef {'audioinput' | 'videoinput' | 'audiooutput'} DeviceKind */

const audioWish = {echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1};
const videoWish = {width: {ideal: 1280}, height: {ideal: 720}, frameRate: {ideal: 30, max: 30}};

/** @typedef {'noiseSuppression' | 'backgroundBlur'} Effect of a browser's on sound or picture */

/** @type {Kind[]} */
const kinds = ['audio', 'video'];

/** remember keeps choices in the browser where it allows that. */
export const remember = {
  /** @param {string} key */
  get(key) { try { return localStorage.getItem(`rendezvous.${key}`) || ''; } catch { return ''; } },
  /**
   * @param {string} key
   * @param {string} value
   */
  set(key, value) { try { localStorage.setItem(`rendezvous.${key}`, value); } catch { /* private window */ } },
};

/**
 * Devices owns the local camera and microphone tracks. It says "change" when either is replaced,
 * lost or switched, with which of them, and "list" when hardware comes or goes.
 * @extends {Emitter<{change: Kind, list: undefined}>}
 */
export class Devices extends Emitter {
  /** @type {MediaStreamTrack | null} */
  audio = null;
  /** @type {MediaStreamTrack | null} */
  video = null;
  /** @type {Record<DeviceKind, MediaDeviceInfo[]>} */
  list = {audioinput: [], videoinput: [], audiooutput: []};
  trouble = {audio: '', video: ''}; // why there is none, for the person; '' if nothing is wrong

  // As the person wants it, where the browser lets them choose.
  noiseSuppression = remember.get('noise') !== 'off';
  backgroundBlur = remember.get('blur') === 'on';

  constructor() {
    super();
    this.onchange = () => this.refresh();
    navigator.mediaDevices?.addEventListener('devicechange', this.onchange);
  }

  async refresh() {
    if (!navigator.mediaDevices) return;
    /** @type {MediaDeviceInfo[]} */
    const all = await navigator.mediaDevices.enumerateDevices().catch(() => []);
    for (const kind of /** @type {DeviceKind[]} */ (Object.keys(this.list))) this.list[kind] = all.filter((d) => d.kind === kind && d.deviceId);
    this.emit('list');
  }

  /**
   * open asks for a camera or a microphone, which takes the place of the former one. If there is none to be had, the
   * former one stays, and trouble says why.
   * @param {Kind} kind
   * @param {string} deviceId '' leaves it to the browser
   * @returns {Promise<MediaStreamTrack | null>} the track in use now
   */
  async open(kind, deviceId = remember.get(kind)) {
    if (!navigator.mediaDevices) {
      this.trouble[kind] = 'This page has no access to devices, as it was not loaded securely (https).';
      this.changed(kind);
      return null;
    }
    /** @type {MediaTrackConstraints} */
    const wish = kind === 'audio' ? {...audioWish, noiseSuppression: this.noiseSuppression} : this.#videoWish;
    if (deviceId) wish.deviceId = {ideal: deviceId};
    try {
      const stream = await navigator.mediaDevices.getUserMedia({[kind]: wish});
      const track = stream.getTracks()[0];
      if (kind === 'video') track.contentHint = 'motion';
      this[kind]?.stop();
      this[kind] = track;
      this.trouble[kind] = '';
      track.addEventListener('ended', () => {
        if (this[kind] !== track) return;
        this[kind] = null;
        this.trouble[kind] = kind === 'audio' ? 'The microphone was disconnected.' : 'The camera was disconnected.';
        this.changed(kind);
      });
      const used = track.getSettings().deviceId;
      if (deviceId && used) remember.set(kind, used);
      this.refresh();
    } catch (err) {
      this.trouble[kind] = explain(kind, /** @type {DOMException} */ (err));
    }
    this.changed(kind);
    return this[kind];
  }

  get #videoWish() { return {...videoWish, ...(this.backgroundBlur ? {backgroundBlur: true} : {})}; }

  /**
   * offers reports whether the browser lets the person choose with the device that is in use.
   * @param {Effect} effect
   */
  offers(effect) {
    const track = effect === 'noiseSuppression' ? this.audio : this.video;
    /** @type {unknown} a list of true and false where both can be had */
    const can = /** @type {{[effect: string]: unknown} | undefined} */ (track?.getCapabilities?.())?.[effect];
    return Array.isArray(can) && can.includes(true) && can.includes(false);
  }

  /**
   * setNoiseSuppression opens the microphone anew: browsers do not change this of one that is open, nor of another beside it.
   * @param {boolean} on
   */
  async setNoiseSuppression(on) {
    this.noiseSuppression = on;
    remember.set('noise', on ? '' : 'off');
    const before = this.audio;
    if (!before) return;
    const {deviceId} = before.getSettings();
    before.stop();
    if (await this.open('audio', deviceId) === before) this.close('audio'); // trouble says why
  }

  /** @param {boolean} on */
  async setBackgroundBlur(on) {
    this.backgroundBlur = on;
    remember.set('blur', on ? 'on' : '');
    try {
      await this.video?.applyConstraints(/** @type {MediaTrackConstraints} */ ({...this.#videoWish, backgroundBlur: on}));
    } catch (err) {
      console.warn('backgroundBlur', err);
    }
  }

  /**
   * close switches a device off: its light goes out.
   * @param {Kind} kind
   */
  close(kind) {
    this[kind]?.stop();
    this[kind] = null;
    this.changed(kind);
  }

  closeAll() {
    for (const kind of kinds) { this[kind]?.stop(); this[kind] = null; }
    navigator.mediaDevices?.removeEventListener('devicechange', this.onchange);
  }

  /** @param {Kind} kind */
  changed(kind) { this.emit('change', kind); }
}

/**
 * @param {Kind} kind
 * @param {DOMException} err of getUserMedia
 */
function explain(kind, err) {
  const what = kind === 'audio' ? 'microphone' : 'camera';
  switch (err.name) {
    case 'NotAllowedError': return `The ${what} is blocked. Allow it in the browser's address bar, or join without.`;
    case 'NotFoundError': case 'OverconstrainedError': return `No ${what} was found. You can join without.`;
    case 'NotReadableError': return `The ${what} is in use by another program.`;
  }
  return `The ${what} could not be opened (${err.name}).`;
}

/** Meter measures how loud a track is, ten times a second, in 0..1. */
export class Meter {
  /**
   * @param {MediaStreamTrack} track
   * @param {(level: number) => void} onlevel
   */
  constructor(track, onlevel) {
    this.context = new AudioContext();
    const source = this.context.createMediaStreamSource(new MediaStream([track]));
    const analyser = this.context.createAnalyser();
    analyser.fftSize = 1024;
    source.connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    this.timer = setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      let sum = 0;
      for (const s of samples) sum += s * s;
      const db = 10 * Math.log10(sum / samples.length + 1e-9);
      onlevel(Math.max(0, Math.min(1, (db + 60) / 50)));
    }, 100);
  }

  close() { clearInterval(this.timer); this.context.close(); }
}

/**
 * fillSelect puts a kind of devices into a select element, keeping the one in use.
 * @param {HTMLSelectElement} select
 * @param {Devices} devices
 * @param {DeviceKind} kind
 * @param {string | undefined} current the id of the device in use
 */
export function fillSelect(select, devices, kind, current) {
  const names = {audioinput: 'Microphone', videoinput: 'Camera', audiooutput: 'Loudspeaker'};
  const wanted = devices.list[kind].map((d, i) => [d.deviceId, d.label || `${names[kind]} ${i + 1}`]);
  if (!wanted.length) wanted.push(['', `No ${names[kind].toLowerCase()}`]);
  select.replaceChildren(...wanted.map(([value, text]) => new Option(text, value, false, value === current)));
  select.disabled = devices.list[kind].length === 0;
}

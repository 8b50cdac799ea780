// Cameras, microphones and loudspeakers: which there are, which are used, how loud.

const audioWish = {echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1};
const videoWish = {width: {ideal: 1280}, height: {ideal: 720}, frameRate: {ideal: 30, max: 30}};

// remember keeps choices in the browser where it allows that.
export const remember = {
  get(key) { try { return localStorage.getItem(`rendezvous.${key}`) || ''; } catch { return ''; } },
  set(key, value) { try { localStorage.setItem(`rendezvous.${key}`, value); } catch { /* private window */ } },
};

// Devices owns the local camera and microphone tracks. It says "change" when either is replaced,
// lost or switched, and "list" when hardware comes or goes.
export class Devices extends EventTarget {
  audio = null; // MediaStreamTrack or null
  video = null;
  list = {audioinput: [], videoinput: [], audiooutput: []};
  trouble = {audio: '', video: ''};

  constructor() {
    super();
    this.onchange = () => this.refresh();
    navigator.mediaDevices?.addEventListener('devicechange', this.onchange);
  }

  async refresh() {
    if (!navigator.mediaDevices) return;
    const all = await navigator.mediaDevices.enumerateDevices().catch(() => []);
    for (const kind of Object.keys(this.list)) this.list[kind] = all.filter((d) => d.kind === kind && d.deviceId);
    this.dispatchEvent(new Event('list'));
  }

  // open asks for a camera or a microphone and takes the place of the former one.
  async open(kind, deviceId = remember.get(kind)) {
    if (!navigator.mediaDevices) {
      this.trouble[kind] = 'This page has no access to devices, as it was not loaded securely (https).';
      this.changed(kind);
      return null;
    }
    const wish = {...(kind === 'audio' ? audioWish : videoWish)};
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
      this.trouble[kind] = explain(kind, err);
    }
    this.changed(kind);
    return this[kind];
  }

  close(kind) {
    this[kind]?.stop();
    this[kind] = null;
    this.changed(kind);
  }

  closeAll() {
    for (const kind of ['audio', 'video']) { this[kind]?.stop(); this[kind] = null; }
    navigator.mediaDevices?.removeEventListener('devicechange', this.onchange);
  }

  changed(kind) { this.dispatchEvent(new CustomEvent('change', {detail: kind})); }
}

function explain(kind, err) {
  const what = kind === 'audio' ? 'microphone' : 'camera';
  switch (err.name) {
    case 'NotAllowedError': return `The ${what} is blocked. Allow it in the browser's address bar, or join without.`;
    case 'NotFoundError': case 'OverconstrainedError': return `No ${what} was found. You can join without.`;
    case 'NotReadableError': return `The ${what} is in use by another program.`;
  }
  return `The ${what} could not be opened (${err.name}).`;
}

// Meter measures how loud a track is, ten times a second, in 0..1.
export class Meter {
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

// fillSelect puts a kind of devices into a select element, keeping the one in use.
export function fillSelect(select, devices, kind, current) {
  const names = {audioinput: 'Microphone', videoinput: 'Camera', audiooutput: 'Loudspeaker'};
  const wanted = devices.list[kind].map((d, i) => [d.deviceId, d.label || `${names[kind]} ${i + 1}`]);
  if (!wanted.length) wanted.push(['', `No ${names[kind].toLowerCase()}`]);
  select.replaceChildren(...wanted.map(([value, text]) => new Option(text, value, false, value === current)));
  select.disabled = devices.list[kind].length === 0;
}

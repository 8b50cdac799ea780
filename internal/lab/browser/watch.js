// Watches what a page of a meeting shows and plays, to the picture: evaluated with the tone in Hz and the spot, a part of the
// canvas of 1280x720 or null, and the selector of notices where it says options. window.watch.take() returns what has come since it was last called.
(() => {
  const {tone, spot, notices} = OPTIONS;
  const now = () => performance.timeOrigin + performance.now();
  let seen = {pictures: [], sounds: [], stats: []};
  window.watch = {
    errors: [],
    take() {
      const all = {...seen, errors: this.errors};
      seen = {pictures: [], sounds: [], stats: []};
      this.errors = [];
      return all;
    },
  };
  const failed = (e) => { watch.errors.push(String(e)); };

  // look returns the mean luma of the spot, and how much it differs from the last time.
  let before = null;
  const look = async (frame) => {
    if (!spot) return [-1, -1];
    const scale = frame.codedWidth / 1280, even = (v) => Math.round(v * scale) & ~1;
    const rect = {x: even(spot.x), y: even(spot.y), width: even(spot.width), height: even(spot.height)};
    const bytes = new Uint8Array(frame.allocationSize({rect}));
    await frame.copyTo(bytes, {rect});
    const luma = bytes.subarray(0, rect.width * rect.height); // the planes of I420 and NV12 begin with it
    let sum = 0, differs = 0;
    for (let i = 0; i < luma.length; i++) {
      sum += luma[i];
      if (before?.length === luma.length) differs += Math.abs(luma[i] - before[i]);
    }
    before = luma;
    return [sum / luma.length, differs / luma.length];
  };

  const picture = async (frame) => {
    const at = now();
    seen.pictures.push([at, frame.displayWidth, frame.displayHeight, ...await look(frame)]);
  };

  const sound = (data) => {
    const at = now(), n = data.numberOfFrames, samples = new Float32Array(n);
    data.copyTo(samples, {planeIndex: 0, format: 'f32-planar'});
    const w = 2 * Math.PI * tone / data.sampleRate;
    let square = 0, re = 0, im = 0;
    samples.forEach((v, i) => { square += v * v; re += v * Math.cos(w * i); im += v * Math.sin(w * i); });
    seen.sounds.push([at, n / data.sampleRate, Math.sqrt(square / n), 2 * Math.hypot(re, im) / n]);
  };

  const follow = async (track) => {
    const reader = new MediaStreamTrackProcessor({track}).readable.getReader();
    for (;;) {
      const {value, done} = await reader.read();
      if (done) return;
      try { await (track.kind === 'video' ? picture(value) : sound(value)); } catch (e) { failed(e); }
      value.close();
    }
  };
  const followed = new WeakSet();
  const followAll = () => {
    for (const t of call.stream.getTracks()) {
      if (followed.has(t)) continue;
      followed.add(t);
      follow(t).catch(failed);
    }
  };
  followAll();
  call.on('stream', followAll);

  const numbers = (s) => Object.fromEntries(Object.entries(s).filter(([, v]) => typeof v === 'number'));
  const shown = (selector) => [...document.querySelectorAll(selector)].some((e) => e.checkVisibility());
  setInterval(async () => {
    const pc = call.pc;
    const s = {at: now(), phase: call.phase, connection: pc?.connectionState ?? '', estimate: call.estimate, notice: shown(notices), in: {}, out: {}};
    seen.stats.push(s);
    for (const r of (await pc?.getStats())?.values() ?? []) {
      if (r.type === 'inbound-rtp') s.in[r.kind] = numbers(r);
      if (r.type === 'outbound-rtp') s.out[r.kind] = numbers(r);
      if (r.type === 'candidate-pair' && r.nominated) s.pair = numbers(r);
    }
  }, 500);
})()

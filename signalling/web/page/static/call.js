// A call: signalling and one RTCPeerConnection, kept alive through network changes, and
// what the host tells of the room.

import {Signalling} from './signalling.js';
import {rank} from './words.js';

const restartAfter = 3000; // of "disconnected" before ICE is restarted
const rejoinAfter = 25000; // of no media before the call is made anew

// Call says: "phase" (connecting, lobby, in, reconnecting, ended), "room", "people" (detail: ids
// that changed), "chat", "notice", "media", "stream", "refused", "ended".
export class Call extends EventTarget {
  phase = 'connecting';
  id = '';
  title = '';
  room = {};            // the newest head of the host's snapshots
  people = new Map();   // by id, in order of arrival
  stream = new MediaStream();
  screen = null;        // the shared screen's track
  mic = true;           // wanted; the host may have muted it besides
  camera = true;
  pc = null;
  hasRecordings = false;
  estimate = 0;

  #sig = null;
  #session = '';
  #devices;
  #join;
  #answer = null;
  #chain = Promise.resolve();
  #senders = {};
  #watchdog = 0;
  #lostAt = 0;
  #restartTimer = 0;
  #tileHeight = 0;
  #rejoining = false;

  constructor(join, devices) {
    super();
    this.#join = join;
    this.#devices = devices;
    this.mic = Boolean(devices.audio);
    this.camera = Boolean(devices.video);
    this.onDevice = (e) => this.#useDevice(e.detail);
    this.onOnline = () => { this.#sig?.hurry(); this.#restartSoon(200); };
    devices.addEventListener('change', this.onDevice);
    // Who closes the page does not mean to come back to it.
    this.onHide = () => this.#sig?.send({type: 'leave'});
    window.addEventListener('online', this.onOnline);
    window.addEventListener('pagehide', this.onHide);
    navigator.connection?.addEventListener?.('change', this.onOnline);
  }

  get me() { return this.people.get(this.id); }
  get watching() { return this.#join.watch; }
  get moderates() { return rank(this.me?.role ?? 0) >= rank('moderator'); }

  // start joins; the answer is the host's refusal, or null.
  async start() {
    const sig = new Signalling();
    this.#sig = sig;
    sig.addEventListener('message', (e) => { if (this.#sig === sig) this.#receive(e.detail); });
    sig.addEventListener('state', () => { if (this.#sig === sig) this.#signallingState(); });
    sig.addEventListener('lost', () => { if (this.#sig === sig) this.#rejoin(); });
    const r = await sig.open({type: 'join', session: this.#session, ...this.#join});
    if (r.type !== 'welcome') { sig.close(); return r; }
    this.#session = r.session;
    await this.#connect(r.ice);
    return null;
  }

  #emit(type, detail) { this.dispatchEvent(new CustomEvent(type, {detail})); }

  #setPhase(phase) {
    if (this.phase === phase || this.phase === 'ended') return;
    this.phase = phase;
    this.#emit('phase');
  }

  #receive(m) {
    switch (m.type) {
      case 'welcome':
        this.id = m.id;
        this.title = m.title;
        this.hasRecordings = m.recordings;
        this.hasContacts = m.contacts;
        if (!m.resumed && this.phase !== 'in') this.#setPhase('lobby');
        this.#tellMedia();
        if (m.resumed && this.pc && this.pc.connectionState !== 'connected') this.#restartSoon(0);
        break;
      case 'admitted':
        this.admitted = true;
        this.#setPhase('in');
        break;
      case 'answer': this.#answer?.(m.sdp); break;
      case 'info': this.#info(m); break;
      case 'chat': this.#emit('chat', {...m.message, past: m.past}); break;
      case 'notice': this.#emit('notice', m.notice); break;
      case 'pong': this.estimate = m.estimate; break;
      case 'result': if (!m.ok) this.#emit('notice', {kind: 'refused', text: m.text}); break;
      case 'audit': this.#emit('audit', m.list); break;
      case 'invite': this.#emit('invite', m.ways); break;
      case 'contacts': this.#emit('contacts', m.list); break;
      case 'recordings': this.#emit('recordings', m); break;
      case 'error': this.#emit('notice', {kind: 'refused', text: m.text}); break;
      case 'ended': this.#end(m.reason); break;
    }
  }

  #info(m) {
    if (m.head) this.room = m.head;
    const changed = new Set();
    if (m.whole) {
      for (const id of this.people.keys()) changed.add(id);
      this.people = new Map();
    }
    for (const id of m.gone || []) { this.people.delete(id); changed.add(id); }
    for (const p of m.set || []) { this.people.set(p.id, p); changed.add(p.id); }
    this.#emit('room');
    if (changed.size) this.#emit('people', changed);
    this.#fitCamera();
  }

  // --- the media connection

  async #connect(ice) {
    const pc = new RTCPeerConnection({iceServers: ice || [], bundlePolicy: 'max-bundle'});
    this.pc = pc;
    this.#senders = {};
    const direction = this.watching ? 'recvonly' : 'sendrecv';
    const audio = pc.addTransceiver('audio', {direction});
    const video = pc.addTransceiver('video', {direction, sendEncodings: [{maxBitrate: 1500000}]});
    if (!this.watching) {
      this.#senders.audio = audio.sender;
      this.#senders.video = video.sender;
      await audio.sender.replaceTrack(this.#devices.audio);
      await video.sender.replaceTrack(this.camera ? this.#devices.video : null);
      if (this.#devices.audio) this.#devices.audio.enabled = this.mic;
    }
    pc.ontrack = (e) => {
      for (const t of this.stream.getTracks()) if (t.kind === e.track.kind) this.stream.removeTrack(t);
      this.stream.addTrack(e.track);
      this.#emit('stream');
    };
    pc.onicecandidate = (e) => {
      if (e.candidate && e.candidate.candidate) this.#sig.send({type: 'candidate', candidate: e.candidate.toJSON()});
    };
    pc.onconnectionstatechange = () => { if (this.pc === pc) this.#mediaState(); };
    clearInterval(this.#watchdog);
    this.#watchdog = setInterval(() => this.#watch(), 2000);
    if (this.screen) await this.#addScreen();
    await this.#negotiate(false);
  }

  // negotiate offers and takes the answer; one at a time.
  #negotiate(iceRestart) {
    const run = async () => {
      const pc = this.pc;
      if (!pc || pc.connectionState === 'closed' || !this.#sig.up) return;
      const offer = await pc.createOffer({iceRestart});
      await pc.setLocalDescription(offer);
      const answer = new Promise((resolve, reject) => {
        this.#answer = resolve;
        setTimeout(() => reject(new Error('no answer')), 10000);
      });
      this.#sig.send({type: 'offer', sdp: offer.sdp});
      try {
        const sdp = await answer;
        if (this.pc === pc && pc.signalingState === 'have-local-offer') await pc.setRemoteDescription({type: 'answer', sdp});
      } catch (err) {
        if (pc.signalingState === 'have-local-offer') await pc.setLocalDescription({type: 'rollback'}).catch(() => {});
        console.warn('negotiation failed', err);
      } finally {
        this.#answer = null;
      }
    };
    this.#chain = this.#chain.then(run, run);
    return this.#chain;
  }

  #mediaState() {
    switch (this.pc.connectionState) {
      case 'connected':
        this.#lostAt = 0;
        clearTimeout(this.#restartTimer);
        if (this.#sig.up && this.admitted) this.#setPhase('in');
        break;
      case 'disconnected':
        this.#lostAt ||= Date.now();
        this.#restartSoon(restartAfter);
        if (this.admitted) this.#setPhase('reconnecting');
        break;
      case 'failed':
        this.#lostAt ||= Date.now();
        this.#restartSoon(0);
        if (this.admitted) this.#setPhase('reconnecting');
        break;
    }
    this.#emit('media');
  }

  #signallingState() {
    if (!this.#sig.up) { this.#setPhase('reconnecting'); return; }
    if (this.pc?.connectionState === 'connected' && this.admitted) this.#setPhase('in');
  }

  // restartSoon restarts ICE unless the connection has come back by then.
  #restartSoon(ms) {
    clearTimeout(this.#restartTimer);
    this.#restartTimer = setTimeout(() => {
      if (!this.pc || !this.#sig?.up) return;
      if (ms === 200 || this.pc.connectionState !== 'connected') this.#negotiate(true);
    }, ms);
  }

  // watch restarts ICE again while it does not help, and at last makes the call anew.
  #watch() {
    if (!this.#lostAt || !this.#sig.up) return;
    const lost = Date.now() - this.#lostAt;
    if (lost > rejoinAfter) this.#rejoin();
    else if (lost > 2 * restartAfter && this.pc.connectionState === 'failed') this.#negotiate(true);
  }

  // rejoin comes in again as if new: the host has forgotten us, or cannot reach us.
  async #rejoin() {
    if (this.phase === 'ended' || this.#rejoining) return;
    this.#rejoining = true;
    this.#setPhase('reconnecting');
    const old = this.#sig;
    this.#sig = null;
    old.close();
    this.pc?.close();
    this.#lostAt = 0;
    this.admitted = false;
    for (let tries = 0; this.phase !== 'ended'; tries++) {
      const refused = await this.start();
      if (!refused) break;
      if (refused.code !== 'network' && refused.code !== 'draining' || tries > 10) { this.#end('timeout', refused.text); break; }
      await new Promise((f) => setTimeout(f, Math.min(8000, 500 * 2 ** tries)));
    }
    this.#rejoining = false;
  }

  // --- what the person does

  async setMic(on) {
    if (on && !this.#devices.audio && !await this.#devices.open('audio')) {
      this.#emit('notice', {kind: 'refused', text: this.#devices.trouble.audio});
      return;
    }
    if (on && this.me?.muted) {
      const r = await this.order({action: 'mute', target: this.id, on: false});
      if (!r.ok) { this.#emit('notice', {kind: 'refused', text: r.text}); return; }
    }
    this.mic = on;
    if (this.#devices.audio) this.#devices.audio.enabled = on;
    this.#tellMedia();
    this.#emit('media');
  }

  async setCamera(on) {
    this.camera = on;
    if (!on) this.#devices.close('video'); // the light goes out
    else if (!await this.#devices.open('video')) {
      this.camera = false;
      this.#emit('notice', {kind: 'refused', text: this.#devices.trouble.video});
    }
    this.#tellMedia();
    this.#emit('media');
  }

  async setScreen(on) {
    if (!on) { this.#stopScreen(); return; }
    let stream;
    try {
      stream = await navigator.mediaDevices.getDisplayMedia({video: {frameRate: {max: 15}}, audio: false});
    } catch (err) {
      if (err.name !== 'NotAllowedError') this.#emit('notice', {kind: 'refused', text: 'The screen could not be shared.'});
      return;
    }
    this.screen = stream.getVideoTracks()[0];
    this.screen.contentHint = 'detail';
    this.screen.addEventListener('ended', () => this.#stopScreen());
    if (this.#senders.screen) await this.#senders.screen.replaceTrack(this.screen);
    else {
      await this.#addScreen();
      await this.#negotiate(false);
    }
    this.#tellMedia();
    this.#emit('media');
  }

  async #addScreen() {
    const t = this.pc.addTransceiver('video', {direction: 'sendonly', sendEncodings: [{maxBitrate: 2500000}]});
    await t.sender.replaceTrack(this.screen);
    this.#senders.screen = t.sender;
  }

  #stopScreen() {
    this.screen?.stop();
    this.screen = null;
    this.#senders.screen?.replaceTrack(null);
    this.#tellMedia();
    this.#emit('media');
  }

  #useDevice(kind) {
    const track = this.#devices[kind];
    if (kind === 'audio') {
      if (track) track.enabled = this.mic;
      else this.mic = false;
      this.#senders.audio?.replaceTrack(track);
    } else {
      if (!track) this.camera = false;
      this.#senders.video?.replaceTrack(track);
      this.#tileHeight = 0;
      this.#fitCamera();
    }
    this.#tellMedia();
    this.#emit('media');
  }

  #tellMedia() {
    if (this.watching) return;
    this.#sig?.send({type: 'media', mic: this.mic, camera: this.camera && Boolean(this.#devices.video), screen: Boolean(this.screen)});
  }

  // fitCamera sends no more of the camera's picture than the room shows of it.
  #fitCamera() {
    const sender = this.#senders.video;
    const rect = this.me?.streams?.find((s) => s.label === 'main')?.rect;
    if (!sender?.track || !rect) return;
    const shown = rect.Max.Y - rect.Min.Y;
    const wanted = shown <= 0 ? 180 : shown;
    if (Math.abs(wanted - this.#tileHeight) < 16) return;
    this.#tileHeight = wanted;
    const full = sender.track.getSettings().height || 720;
    const scale = [1, 1.5, 2, 3, 4].filter((s) => full / s >= wanted * 0.9).pop() || 1;
    const rows = full / scale;
    const p = sender.getParameters();
    if (!p.encodings?.length) return;
    p.encodings[0].scaleResolutionDownBy = scale;
    p.encodings[0].maxBitrate = rows > 540 ? 1500000 : rows > 360 ? 900000 : rows > 200 ? 500000 : 200000;
    sender.setParameters(p).catch((err) => console.warn('setParameters', err));
  }

  order(order) { return this.#sig.request({type: 'order', order}); }
  say(text) { return this.#sig.request({type: 'chat', text}); }
  askAudit() { this.#sig.send({type: 'audit'}); }
  askInvite() { this.#sig.send({type: 'invite'}); }
  askContacts() { this.#sig.send({type: 'contacts'}); }
  decideContact(contact, text) { return this.#sig.request({type: 'contact', contact, text}); }
  askRecordings() { this.#sig.send({type: 'recordings'}); }
  raiseHand(on) { return this.order({action: 'hand', on}); }

  leave() {
    this.#sig?.send({type: 'leave'});
    this.#end('left');
  }

  #end(reason, text = '') {
    if (this.phase === 'ended') return;
    this.#setPhase('ended');
    clearInterval(this.#watchdog);
    clearTimeout(this.#restartTimer);
    this.#devices.removeEventListener('change', this.onDevice);
    window.removeEventListener('online', this.onOnline);
    window.removeEventListener('pagehide', this.onHide);
    navigator.connection?.removeEventListener?.('change', this.onOnline);
    this.screen?.stop();
    this.pc?.close();
    this.#sig?.close();
    this.#devices.closeAll();
    this.#emit('ended', {reason, text});
  }
}

// A call: signalling and one RTCPeerConnection, kept alive through network changes, and
// what the host tells of the room.

import {Signalling} from './signalling.js';
import {Pulse} from './pulse.js';
import {Redundancy} from './redundancy.js';
import {SharedSound} from './sharedsound.js';
import {Emitter} from './events.js';
import {rank} from './words.js';
import {apply} from './roster.js';

/** @import {AuditEntry, ContactRequest, EndReason, FromHost, Head, InfoMessage, Invite, Join, Links, Message, Network, Notice, Order, Participant, ReactionMessage, Recordings, Refused, Request} from '../protocol.js' */
/** @import {Devices, Kind} from './devices.js' */
/** @import {Outcome} from './signalling.js' */

const lookEvery = 200;     // ms between two looks at what has come
const unseenFor = 3000;    // ms that a camera is sent which nobody sees: somebody may just change the layout
const rejoinAfter = 25000; // ms of no media before the call is made anew
const switchEvery = 5000;  // ms between two tries to have sound repeated, or not any more
const namedMost = 3;       // who come at once and are named each
// What is asked for when somebody shares: with the sound of a tab, but not with that of the whole computer, of which the meeting's own
// is a part, and not with this page itself.
const screenWish = /** @type {DisplayMediaStreamOptions} */ ({
  video: {frameRate: {max: 15}}, selfBrowserSurface: 'exclude', systemAudio: 'exclude', windowAudio: 'exclude',
  audio: {echoCancellation: false, noiseSuppression: false, autoGainControl: false, suppressLocalAudioPlayback: false, restrictOwnAudio: true},
});
const tellAfter = 3000;    // ms without a WebSocket before the person is told, if media come

/**
 * What a call says, and with what: people are the ids that changed; past chat was said before the page came.
 * @typedef {object} CallEvents
 * @property {undefined} phase
 * @property {undefined} room
 * @property {Set<string>} people
 * @property {Message & {past?: boolean}} chat
 * @property {Notice} notice
 * @property {ReactionMessage} reaction
 * @property {undefined} media
 * @property {undefined} stream
 * @property {AuditEntry[]} audit
 * @property {Invite} invite
 * @property {Links} links
 * @property {ContactRequest[]} contacts
 * @property {Recordings} recordings
 * @property {{reason: string, text: string}} ended
 */

/** @typedef {'connecting' | 'lobby' | 'in' | 'reconnecting' | 'ended'} Phase of a call; "ended" is the last */

/** @typedef {Omit<Join, 'type' | 'session' | 'inflate'>} JoinRequest what a person says who wants to come in */

/**
 * Call is one person's in one room, from joining to the end.
 * @extends {Emitter<CallEvents>}
 */
export class Call extends Emitter {
  /** @type {Phase} */
  phase = 'connecting';
  id = '';
  title = '';
  /** @type {Partial<Head>} the newest head of the host's snapshots; empty before the first */
  room = {};
  /** @type {Map<string, Participant>} by id, in order of arrival */
  people = new Map();
  stream = new MediaStream(); // the mix
  /** @type {MediaStreamTrack | null} the shared screen's */
  screen = null;
  /** @type {SharedSound | null} the shared tab's, with the microphone's */
  #shared = null;
  mic = true;           // wanted; the host may have muted it besides
  camera = true;
  /** @type {RTCPeerConnection | null} */
  pc = null;
  hasRecordings = false; // there is a catalogue to ask for
  hasContacts = false;   // there are contact requests to ask for
  admitted = false;
  estimate = 0; // bit/s that the host thinks this page can take; 0: not known
  /** @type {Network} what the host knows of the path */
  network = {};

  /** @type {Signalling | null} */
  #sig = null;
  #session = '';
  #devices;
  #join;
  /** @type {{resolve: (sdp: string) => void, reject: (why: Error) => void} | null} what waits for an answer */
  #answer = null;
  #restarting = false; // an offer that restarts ICE is under way
  #pulse = new Pulse(performance.now());
  #redundancy = new Redundancy();
  #switchedAt = 0; // when it was last tried to do as #redundancy says
  /** @type {Promise<void>} */
  #chain = Promise.resolve();
  /** @type {{audio?: RTCRtpSender, video?: RTCRtpSender, screen?: RTCRtpSender}} */
  #senders = {};
  #watchdog = 0;
  #looking = false;
  #lostAt = 0; // Unix ms since which there is no media; 0: there is
  #tileHeight = 0; // rows of the own picture on the canvas
  #unseenAt = 0; // when nobody has seen it since; 0: it is seen
  #sendsCamera = true; // it is not left out because nobody sees it
  #rejoining = false;

  /**
   * @param {JoinRequest} join
   * @param {Devices} devices that the call has from now on, and closes at its end
   */
  constructor(join, devices) {
    super();
    this.#join = join;
    this.#devices = devices;
    this.mic = Boolean(devices.audio);
    this.camera = Boolean(devices.video);
    this.offDevice = devices.on('change', (kind) => this.#useDevice(kind));
    this.networkType = networkChanges()?.type;
    this.onOnline = () => this.#networkChanged(true);
    // Browsers also tell here of each new guess of theirs at how fast the network is.
    this.onNetwork = () => {
      const type = networkChanges()?.type;
      this.#networkChanged(type !== this.networkType);
      this.networkType = type;
    };
    // Who closes the page does not mean to come back to it.
    this.onHide = () => this.#sig?.send({type: 'leave'});
    window.addEventListener('online', this.onOnline);
    window.addEventListener('pagehide', this.onHide);
    networkChanges()?.addEventListener('change', this.onNetwork);
  }

  /** me is this page's participant, once the host has told of it. */
  get me() { return this.people.get(this.id); }
  get watching() { return this.#join.watch; }
  get moderates() { return rank(this.me?.role ?? 0) >= rank('moderator'); }

  /**
   * start joins; the answer is the host's refusal, or null.
   * @returns {Promise<Refused | null>}
   */
  async start() {
    const sig = new Signalling();
    this.#sig = sig;
    sig.on('message', (m) => {
      if (this.#sig !== sig) return;
      this.#pulse.heard(performance.now());
      this.#receive(m);
    });
    sig.on('state', () => { if (this.#sig === sig) this.#signallingState(); });
    sig.on('lost', () => { if (this.#sig === sig) this.#rejoin(); });
    const r = await sig.open({type: 'join', session: this.#session, ...this.#join});
    if (r.type !== 'welcome') { sig.close(); return r; }
    this.#session = r.session;
    await this.#connect(r.ice);
    return null;
  }

  /** @param {Phase} phase */
  #setPhase(phase) {
    if (this.phase === phase || this.phase === 'ended') return;
    this.phase = phase;
    this.emit('phase');
  }

  /** @param {FromHost} m */
  #receive(m) {
    switch (m.type) {
      case 'welcome':
        this.id = m.id;
        this.title = m.title;
        this.hasRecordings = m.recordings;
        this.hasContacts = m.contacts;
        if (!m.resumed && this.phase !== 'in') this.#setPhase('lobby');
        this.#tellMedia();
        if (m.resumed) this.#resumed(m.ice);
        break;
      case 'admitted':
        this.admitted = true;
        this.#setPhase('in');
        break;
      case 'answer': this.#answer?.resolve(m.sdp); break;
      case 'info': this.#info(m); break;
      case 'chat': this.emit('chat', {...m.message, past: m.past}); break;
      case 'notice': this.emit('notice', m.notice); break;
      case 'reaction': this.emit('reaction', m); break;
      case 'pong':
        this.estimate = m.estimate;
        this.network = m.network;
        this.#pulse.hostSees(performance.now(), m.media === 'disconnected' || m.media === 'failed');
        break;
      case 'result': if (!m.ok) this.emit('notice', {kind: 'refused', text: m.text}); break;
      case 'audit': this.emit('audit', m.list); break;
      case 'invite': this.emit('invite', m); break;
      case 'links': this.emit('links', m); break;
      case 'contacts': this.emit('contacts', m.list); break;
      case 'recordings': this.emit('recordings', m); break;
      case 'error': this.emit('notice', {kind: 'refused', text: m.text}); break;
      case 'ended': this.#end(m.reason); break;
    }
  }

  /** @param {InfoMessage} m */
  #info(m) {
    if (m.head) this.room = m.head;
    const {changed, entered, left} = apply(this.people, m);
    this.emit('room');
    if (changed.size) this.emit('people', changed);
    this.#fitCamera();
    entered.delete(this.id);
    this.#passing('entered', [...entered.values()]);
    this.#passing('left', left);
  }

  /**
   * passing says who has come or gone: by their names, or of a crowd how many.
   * @param {'entered' | 'left'} kind
   * @param {string[]} names
   */
  #passing(kind, names) {
    if (names.length > namedMost) this.emit('notice', {kind: `many-${kind}`, text: String(names.length)});
    else for (const text of names) this.emit('notice', {kind, text});
  }

  // --- the media connection

  /** @param {RTCIceServer[]} ice */
  async #connect(ice) {
    const pc = new RTCPeerConnection({iceServers: ice || [], bundlePolicy: 'max-bundle'});
    this.pc = pc;
    this.#senders = {};
    this.#tileHeight = this.#unseenAt = 0;
    this.#sendsCamera = true;
    const direction = this.watching ? 'recvonly' : 'sendrecv';
    const audio = pc.addTransceiver('audio', {direction});
    const video = pc.addTransceiver('video', {direction, sendEncodings: [{maxBitrate: 1500000}]});
    if (!this.watching) {
      this.#senders.audio = audio.sender;
      this.#senders.video = video.sender;
      await audio.sender.replaceTrack(this.#sound);
      await video.sender.replaceTrack(this.camera ? this.#devices.video : null);
      if (this.#devices.audio) this.#devices.audio.enabled = this.mic;
    }
    pc.ontrack = (e) => {
      for (const t of this.stream.getTracks()) if (t.kind === e.track.kind) this.stream.removeTrack(t);
      this.stream.addTrack(e.track);
      this.emit('stream');
    };
    pc.onicecandidate = (e) => {
      if (e.candidate && e.candidate.candidate) this.#sig?.send({type: 'candidate', candidate: e.candidate.toJSON()});
    };
    pc.onconnectionstatechange = () => { if (this.pc === pc) this.#mediaState(); };
    clearInterval(this.#watchdog);
    this.#watchdog = setInterval(() => this.#look(), lookEvery);
    this.#pulse.begin(performance.now());
    this.#redundancy.begin();
    if (this.screen) await this.#addScreen();
    await this.#negotiate(false);
  }

  /**
   * negotiate offers and takes the answer; one at a time.
   * @param {boolean} iceRestart
   */
  #negotiate(iceRestart) {
    const run = async () => {
      const pc = this.pc;
      const sig = this.#sig;
      if (!pc || pc.connectionState === 'closed' || !sig?.up) return;
      const offer = await pc.createOffer({iceRestart});
      await pc.setLocalDescription(offer);
      /** @type {Promise<string>} */
      const answer = new Promise((resolve, reject) => {
        this.#answer = {resolve, reject};
        setTimeout(() => reject(new Error('no answer')), 10000);
      });
      answer.catch(() => {}); // where nobody waits for it
      try {
        if (!sig.send({type: 'offer', sdp: offer.sdp ?? ''})) throw new Error('no connection');
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
    switch (this.pc?.connectionState) {
      case 'connected': this.#lostAt = 0; break;
      case 'disconnected':
      case 'failed': this.#lostAt ||= Date.now(); break;
    }
    this.#step();
    this.emit('media');
  }

  #signallingState() {
    // Its answer will not come; the offer is made again.
    if (!this.#sig?.up) this.#answer?.reject(new Error('the connection was lost'));
    this.#step();
  }

  /**
   * resumed goes on by a new WebSocket: what was sent last by the old one may not have arrived.
   * @param {RTCIceServer[]} ice
   */
  #resumed(ice) {
    try {
      this.pc?.setConfiguration({...this.pc.getConfiguration(), iceServers: ice || []});
    } catch (err) {
      console.warn('setConfiguration', err);
    }
    this.#look();
  }

  /** @param {boolean} another it is for certain */
  #networkChanged(another) {
    this.#pulse.changed(another);
    this.#sig?.hurry();
    this.#look();
  }

  // look counts what has come and what has gone, and does what has to be done.
  async #look() {
    const pc = this.pc;
    if (!pc || this.#looking) return;
    this.#looking = true;
    try {
      let count = 0, rtt = 0, available = 0;
      const sound = {sent: 0, again: 0, lost: 0};
      for (const s of (await pc.getStats()).values()) {
        if (s.type === 'inbound-rtp') count += s.packetsReceived;
        if (s.type === 'outbound-rtp' && s.kind === 'audio') {
          sound.sent = s.packetsSent;
          sound.again = s.retransmittedPacketsSent || 0;
        }
        if (s.type === 'remote-inbound-rtp' && s.kind === 'audio') sound.lost = s.packetsLost;
        if (s.type === 'candidate-pair') {
          count += s.responsesReceived || 0;
          if (s.nominated) {
            rtt = 1000 * (s.currentRoundTripTime || 0);
            available = s.availableOutgoingBitrate || 0;
          }
        }
      }
      if (this.pc !== pc) return;
      this.#repeatSound(this.#redundancy.look(performance.now(), sound, available));
      const was = this.#pulse.gone(performance.now());
      this.#pulse.media(performance.now(), count, rtt);
      if (was && !this.#pulse.gone(performance.now())) this.#sig?.hurry();
    } catch (err) {
      console.warn('getStats', err); // as of a connection that was just closed
    } finally {
      this.#looking = false;
    }
    this.#fitCamera();
    this.#step();
    if (this.#lostAt && Date.now() - this.#lostAt > rejoinAfter && this.#sig?.up) this.#rejoin();
  }

  // step does what the pulse says, and tells the person if the host is out of reach.
  #step() {
    const sig = this.#sig;
    const pc = this.pc;
    if (!sig || !pc || this.phase === 'ended' || this.#rejoining) return;
    const now = performance.now();
    const broken = pc.connectionState === 'disconnected' || pc.connectionState === 'failed';
    switch (this.#pulse.next(now, sig.up, broken)) {
      case 'ask': sig.ask(); break;
      case 'reopen': sig.reopen(); return; // which comes here again
      case 'restart': if (!this.#restarting) this.#restart(); break;
    }
    if (!this.admitted) return;
    if (this.#pulse.gone(now) || sig.downFor > tellAfter) this.#setPhase('reconnecting');
    else if (sig.up && pc.connectionState === 'connected') this.#setPhase('in');
  }

  /**
   * repeatSound has each packet of sound repeated in the next one, or not any more, by an offer whose first codec says so: where
   * the browser can do it, and if it is not so already. What comes to nothing is tried again.
   * @param {boolean} on
   */
  #repeatSound(on) {
    const now = performance.now();
    const sound = this.pc?.getTransceivers().find((t) => t.sender === this.#senders.audio);
    if (!sound?.currentDirection || !this.#sig?.up || now - this.#switchedAt < switchEvery) return;
    if (isRED(sound.sender.getParameters().codecs[0]) === on) return;
    const codecs = RTCRtpReceiver.getCapabilities('audio')?.codecs ?? [];
    if (!sound.setCodecPreferences || !codecs.some(isRED)) return;
    this.#switchedAt = now;
    sound.setCodecPreferences(on ? codecs.toSorted((a, b) => Number(isRED(b)) - Number(isRED(a))) : []);
    this.#negotiate(false);
  }

  async #restart() {
    this.#restarting = true;
    await this.#negotiate(true);
    this.#restarting = false;
  }

  // rejoin comes in again as if new: the host has forgotten us, or cannot reach us.
  async #rejoin() {
    if (this.phase === 'ended' || this.#rejoining) return;
    this.#rejoining = true;
    this.#setPhase('reconnecting');
    const old = this.#sig;
    this.#sig = null;
    old?.close();
    this.pc?.close();
    this.#lostAt = 0;
    this.admitted = false;
    for (let tries = 0; /** @type {Phase} */ (this.phase) !== 'ended'; tries++) { // the person may leave meanwhile
      const refused = await this.start();
      if (!refused) break;
      if (!['network', 'draining', 'busy'].includes(refused.code) || tries > 10) { this.#end('timeout', refused.text); break; }
      await new Promise((f) => setTimeout(f, Math.min(8000, 500 * 2 ** tries)));
    }
    this.#rejoining = false;
  }

  // --- what the person does

  /**
   * setMic opens the microphone if need be, and lifts a moderator's muting where the room allows that. What cannot be
   * done is said in a notice.
   * @param {boolean} on
   */
  async setMic(on) {
    if (on && !this.#devices.audio && !await this.#devices.open('audio')) {
      this.emit('notice', {kind: 'refused', text: this.#devices.trouble.audio});
      return;
    }
    if (on && this.me?.muted) {
      const r = await this.order({action: 'mute', target: this.id, on: false});
      if (!r.ok) { this.emit('notice', {kind: 'refused', text: r.text}); return; }
    }
    this.mic = on;
    if (this.#devices.audio) this.#devices.audio.enabled = on;
    this.#tellMedia();
    this.emit('media');
  }

  /**
   * setCamera opens or closes the camera; a notice says if there is none.
   * @param {boolean} on
   */
  async setCamera(on) {
    this.camera = on;
    if (!on) this.#devices.close('video'); // the light goes out
    else if (!await this.#devices.open('video')) {
      this.camera = false;
      this.emit('notice', {kind: 'refused', text: this.#devices.trouble.video});
    }
    this.#tellMedia();
    this.emit('media');
  }

  /**
   * setScreen asks the person what to share, or ends sharing it.
   * @param {boolean} on
   */
  async setScreen(on) {
    if (!on) { this.#stopScreen(); return; }
    let stream;
    try {
      stream = await navigator.mediaDevices.getDisplayMedia(screenWish);
    } catch (err) {
      if (/** @type {DOMException} */ (err).name !== 'NotAllowedError') this.emit('notice', {kind: 'refused', text: 'The screen could not be shared.'});
      return;
    }
    const track = stream.getVideoTracks()[0];
    track.contentHint = 'detail';
    track.addEventListener('ended', () => this.#stopScreen());
    this.screen = track;
    const sound = stream.getAudioTracks()[0];
    if (sound) this.#shareSound(sound);
    if (this.#senders.screen) await this.#senders.screen.replaceTrack(this.screen);
    else {
      await this.#addScreen();
      await this.#negotiate(false);
    }
    this.#tellMedia();
    this.emit('media');
  }

  async #addScreen() {
    if (!this.pc) return;
    const t = this.pc.addTransceiver('video', {direction: 'sendonly', sendEncodings: [{maxBitrate: 2500000}]});
    await t.sender.replaceTrack(this.screen);
    this.#senders.screen = t.sender;
  }

  // The sound that is sent: the microphone's, or that with a shared tab's.
  get #sound() { return this.#shared?.track ?? this.#devices.audio; }

  /** @param {MediaStreamTrack} track of a shared tab */
  #shareSound(track) {
    this.#shared = new SharedSound(track);
    this.#shared.setMicrophone(this.#devices.audio);
    track.addEventListener('ended', () => { if (this.#shared?.shared === track) this.#stopSound(); });
    this.#senders.audio?.replaceTrack(this.#sound);
  }

  #stopSound() {
    this.#shared?.close();
    this.#shared = null;
    this.#senders.audio?.replaceTrack(this.#sound);
    this.#tellMedia();
  }

  #stopScreen() {
    this.screen?.stop();
    if (this.#shared) this.#stopSound();
    this.screen = null;
    this.#senders.screen?.replaceTrack(null);
    this.#tellMedia();
    this.emit('media');
  }

  /** @param {Kind} kind */
  #useDevice(kind) {
    const track = this.#devices[kind];
    if (kind === 'audio') {
      if (track) track.enabled = this.mic;
      else this.mic = false;
      if (this.#shared) this.#shared.setMicrophone(track);
      else this.#senders.audio?.replaceTrack(track);
    } else {
      if (!track) this.camera = false;
      this.#senders.video?.replaceTrack(track);
      this.#tileHeight = 0;
      this.#fitCamera();
    }
    this.#tellMedia();
    this.emit('media');
  }

  #tellMedia() {
    if (this.watching) return;
    // A tab's sound is heard only of somebody who is not muted.
    this.#sig?.send({type: 'media', mic: this.mic || Boolean(this.#shared), camera: this.camera && Boolean(this.#devices.video), screen: Boolean(this.screen)});
  }

  // fitCamera sends no more of the camera's picture than the room shows of it: nothing, if it shows nothing for a while.
  #fitCamera() {
    const sender = this.#senders.video;
    const rect = this.me?.streams?.find((s) => s.label === 'main')?.rect;
    if (!sender?.track || !rect) return;
    const shown = rect.Max.Y - rect.Min.Y;
    const wanted = shown <= 0 ? 180 : shown;
    this.#unseenAt = shown > 0 ? 0 : this.#unseenAt || performance.now();
    const sends = !this.#unseenAt || performance.now() - this.#unseenAt < unseenFor;
    if (Math.abs(wanted - this.#tileHeight) < 16 && sends === this.#sendsCamera) return;
    this.#tileHeight = wanted;
    this.#sendsCamera = sends;
    const full = sender.track.getSettings().height || 720;
    const scale = [1, 1.5, 2, 3, 4].filter((s) => full / s >= wanted * 0.9).pop() || 1;
    const rows = full / scale;
    const p = sender.getParameters();
    if (!p.encodings?.length) return;
    p.encodings[0].active = sends;
    p.encodings[0].scaleResolutionDownBy = scale;
    p.encodings[0].maxBitrate = rows > 540 ? 1500000 : rows > 360 ? 900000 : rows > 200 ? 500000 : 200000;
    sender.setParameters(p).catch((err) => {
      console.warn('setParameters', err);
      this.#tileHeight = 0; // it is tried again
    });
  }

  /**
   * @param {Request} m
   * @returns {Promise<Outcome>}
   */
  async #request(m) { return this.#sig?.request(m) ?? {ok: false, text: 'There is no connection to the host at the moment.'}; }

  /** @param {Order} order */
  order(order) { return this.#request({type: 'order', order}); }
  /** @param {string} text */
  say(text) { return this.#request({type: 'chat', text}); }
  // askNetwork has the network, and the estimate, of now.
  askNetwork() { this.#sig?.ask(); }
  // What is asked for is said in an event of the same name.
  askAudit() { this.#sig?.send({type: 'audit'}); }
  /**
   * @param {string} [from] when a meeting is to begin, RFC 3339
   * @param {number} [minutes] how long it is to last
   */
  askInvite(from, minutes) { this.#sig?.send({type: 'invite', from, minutes}); }
  askLinks() { this.#sig?.send({type: 'links'}); }
  /**
   * @param {'guest' | 'moderator'} role
   * @param {string} name of the one person that it is for, or ''
   * @param {number} hours
   */
  makeLink(role, name, hours) { return this.#request({type: 'make-link', role, name, hours}); }
  /** @param {string} link its id */
  revokeLink(link) { return this.#request({type: 'revoke-link', link}); }
  /**
   * @param {string} recording its id
   * @param {string} text its new name
   */
  nameRecording(recording, text) { return this.#request({type: 'name-recording', recording, text}); }
  askContacts() { this.#sig?.send({type: 'contacts'}); }
  /**
   * @param {string} contact
   * @param {'accept' | 'discard' | 'ban'} text
   */
  decideContact(contact, text) { return this.#request({type: 'contact', contact, text}); }
  askRecordings() { this.#sig?.send({type: 'recordings'}); }
  /**
   * rename changes one's own name, also for when the call has to be made anew.
   * @param {string} text
   */
  async rename(text) {
    const r = await this.order({action: 'rename', text});
    if (r.ok) this.#join.name = text;
    return r;
  }
  /** @param {boolean} on */
  raiseHand(on) { return this.order({action: 'hand', on}); }

  leave() {
    this.#sig?.send({type: 'leave'});
    this.#end('left');
  }

  /**
   * @param {EndReason} reason
   * @param {string} text that the host gave, if any
   */
  #end(reason, text = '') {
    if (this.phase === 'ended') return;
    this.#setPhase('ended');
    clearInterval(this.#watchdog);
    this.offDevice();
    window.removeEventListener('online', this.onOnline);
    window.removeEventListener('pagehide', this.onHide);
    networkChanges()?.removeEventListener('change', this.onNetwork);
    this.screen?.stop();
    this.#shared?.close();
    this.pc?.close();
    this.#sig?.close();
    this.#devices.closeAll();
    this.emit('ended', {reason, text});
  }
}

/**
 * isRED reports whether a codec is the one that repeats packets of Opus (RFC 2198).
 * @param {RTCRtpCodec | undefined} codec
 */
function isRED(codec) { return codec?.mimeType.toLowerCase() === 'audio/red'; }

/**
 * networkChanges tells of changes of the network (Network Information API), which not every browser has.
 * @returns {EventTarget & {type?: string} | undefined}
 */
function networkChanges() { return /** @type {{connection?: EventTarget & {type?: string}}} */ (navigator).connection; }

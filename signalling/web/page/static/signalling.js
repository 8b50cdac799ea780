// The WebSocket to the host. It comes back by itself after a network change, resuming
// the same place in the meeting.

import {Emitter} from './events.js';
import {Unpacker, unpacks} from './packed.js';

/** @import {FromHost, FromPage, Join, Refused, Request, Resume, Welcome} from '../protocol.js' */

const resumeFor = 60000; // ms: how long to try before giving up
const welcomeWithin = 15000; // ms for the host's first answer to somebody new
// A SYN that gets lost is repeated after 1, 3 and 7 s: a new WebSocket finds the host sooner than one that waits.
const openWithin = 1500; // ms for each of the first tries to open one, and longer for the later ones, on a slow path
const quickTries = 6;
const manyTries = 12; // from which on one pauses for longer: browsers hold back a page that makes many
const slower = 1.4;

/**
 * What became of a request; text says why not.
 * @typedef {{ok: boolean, text?: string}} Outcome
 */

/**
 * Signalling says "message" for what the host sends, "state" when the connection is up or
 * down, and "lost" when there is nothing to resume, with the host's refusal.
 * @extends {Emitter<{message: FromHost, state: undefined, lost: Refused}>}
 */
export class Signalling extends Emitter {
  up = false;
  /** @type {WebSocket | null} */
  #ws = null;
  #session = '';
  #closed = false;
  /** @type {Map<number, (r: Outcome) => void>} what waits for a result, by its n */
  #pending = new Map();
  #n = 0;
  #retry = 0;
  #downSince = 0;
  /** @type {(() => void) | null} gives up the try that is being made */
  #abandon = null;
  #triedAt = 0; // when it was begun
  #try = 0;     // which one that is

  /** downFor is for how long there has been no WebSocket, in ms; 0: there is one, or has been none yet. */
  get downFor() { return this.#downSince ? Date.now() - this.#downSince : 0; }

  /**
   * open sends the first message and answers with the host's reply to it: welcome or refused.
   * It is refused with the code "network" if there is no connection within the time, or no reply within that or 15 seconds.
   * @param {Omit<Join, 'inflate'> | Omit<Resume, 'inflate'>} first
   * @param {number} within ms
   * @returns {Promise<Welcome | Refused>}
   */
  open(first, within = welcomeWithin) {
    return new Promise((resolve) => {
      const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
      const ws = new WebSocket(`${scheme}//${location.host}/ws`);
      ws.binaryType = 'arraybuffer';
      let answered = false;
      /** @param {Welcome | Refused} m */
      const answer = (m) => {
        answered = true;
        clearTimeout(timer);
        if (this.#abandon === giveUp) this.#abandon = null;
        resolve(m);
      };
      const giveUp = () => {
        if (answered) return;
        ws.close(); // tells of it long after, where nobody answers
        answer({type: 'refused', code: 'network', text: 'The host cannot be reached.'});
      };
      let timer = setTimeout(giveUp, within);
      this.#abandon = giveUp;
      this.#triedAt = Date.now();
      ws.onopen = () => {
        clearTimeout(timer);
        timer = setTimeout(giveUp, Math.max(within, 2 * (Date.now() - this.#triedAt)));
        ws.send(JSON.stringify({...first, inflate: unpacks}));
      };
      const unpacker = new Unpacker((m) => {
        if (answered) {
          if (this.#ws === ws) this.#receive(m);
          return;
        }
        if (m.type === 'welcome') {
          this.#ws = ws;
          this.#session = m.session;
          this.#downSince = 0;
          this.#setUp(true);
          this.#receive(m);
        }
        answer(/** @type {Welcome | Refused} */ (m)); // nothing else comes first
      }, () => ws.close());
      ws.onmessage = (e) => unpacker.add(e.data);
      ws.onclose = () => {
        giveUp();
        if (this.#ws === ws) this.#down();
      };
    });
  }

  /**
   * send reports whether there was a connection to send by; the message may be lost with it all the same.
   * @param {FromPage} m
   */
  send(m) {
    if (!this.up || !this.#ws) return false;
    this.#ws.send(JSON.stringify(m));
    return true;
  }

  /**
   * request sends a message that the host answers with a result. It is not ok if there is no connection, or no answer
   * within ten seconds.
   * @param {Request} m
   * @returns {Promise<Outcome>}
   */
  request(m) {
    const n = ++this.#n;
    return new Promise((resolve) => {
      if (!this.send(/** @type {FromPage} */ ({...m, n}))) { resolve({ok: false, text: 'There is no connection to the host at the moment.'}); return; }
      const timer = setTimeout(() => { this.#pending.delete(n); resolve({ok: false, text: 'The host has not answered.'}); }, 10000);
      this.#pending.set(n, (r) => { clearTimeout(timer); resolve(r); });
    });
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#retry);
    const ws = this.#ws;
    this.#ws = null;
    this.up = false;
    this.#abandon?.();
    ws?.close(); // after what was sent before has gone out
  }

  // ask wants a sign of life; any message is one.
  ask() { this.send({type: 'ping'}); }

  // reopen gives a WebSocket up that brings nothing any more, and takes another at once.
  reopen() {
    const ws = this.#ws;
    if (!ws) return;
    this.#down();
    ws.close();
  }

  // hurry tries at once, for the network seems to be back: what is being tried has been sent into nothing.
  hurry() {
    if (this.up || !this.#downSince || Date.now() - this.#triedAt < openWithin / 3) return;
    if (this.#abandon) this.#abandon(); // and the next try follows
    clearTimeout(this.#retry);
    this.#resume(0);
  }

  /** @param {FromHost} m */
  #receive(m) {
    const done = m.type === 'result' && this.#pending.get(m.n);
    if (done) {
      this.#pending.delete(m.n);
      done(m);
      return;
    }
    this.emit('message', m);
  }

  /** @param {boolean} up */
  #setUp(up) {
    if (this.up === up) return;
    this.up = up;
    this.emit('state');
  }

  #down() {
    this.#ws = null;
    this.#downSince = Date.now();
    for (const done of this.#pending.values()) done({ok: false, text: 'The connection was lost.'});
    this.#pending.clear();
    this.#setUp(false);
    if (!this.#closed) this.#resume(0);
  }

  /** @param {number} tries that were made before, in vain */
  async #resume(tries) {
    if (this.#closed || this.up || this.#abandon) return;
    const try_ = ++this.#try;
    const began = Date.now();
    const r = await this.open({type: 'resume', session: this.#session}, openWithin * slower ** Math.max(0, tries - quickTries));
    if (this.#closed || r.type === 'welcome' || try_ !== this.#try) return;
    if (r.code !== 'network' || this.downFor > resumeFor) {
      this.emit('lost', r);
      return;
    }
    // Where the system has no way to the host it says so at once.
    const pause = Math.min(tries < manyTries ? 700 : 2000, 250 * 1.5 ** tries) - (Date.now() - began);
    this.#retry = setTimeout(() => this.#resume(tries + 1), Math.max(0, pause));
  }
}

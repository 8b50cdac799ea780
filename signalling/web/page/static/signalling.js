// The WebSocket to the host. It comes back by itself after a network change, resuming
// the same place in the meeting.

import {Emitter} from './events.js';

/** @import {FromHost, FromPage, Join, Refused, Request, Resume, Welcome} from '../protocol.js' */

const pingEvery = 10000; // ms
const resumeFor = 60000; // ms: how long to try before giving up

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
  #ping = 0;
  #retry = 0;
  #downSince = 0;
  #trying = false;

  /**
   * open sends the first message and answers with the host's reply to it: welcome or refused.
   * It is refused with the code "network" if there is no reply within 15 seconds.
   * @param {Join | Resume} first
   * @returns {Promise<Welcome | Refused>}
   */
  open(first) {
    return new Promise((resolve) => {
      const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
      const ws = new WebSocket(`${scheme}//${location.host}/ws`);
      let answered = false;
      const giveUp = setTimeout(() => ws.close(), 15000);
      ws.onopen = () => ws.send(JSON.stringify(first));
      ws.onmessage = (e) => {
        /** @type {FromHost} */
        const m = JSON.parse(e.data);
        if (answered) { this.#receive(m); return; }
        answered = true;
        clearTimeout(giveUp);
        if (m.type === 'welcome') {
          this.#ws = ws;
          this.#session = m.session;
          this.#downSince = 0;
          this.#setUp(true);
          this.#receive(m);
        }
        resolve(/** @type {Welcome | Refused} */ (m)); // nothing else comes first
      };
      ws.onclose = () => {
        clearTimeout(giveUp);
        if (!answered) { answered = true; resolve({type: 'refused', code: 'network', text: 'The host cannot be reached.'}); }
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
    clearInterval(this.#ping);
    clearTimeout(this.#retry);
    const ws = this.#ws;
    this.#ws = null;
    this.up = false;
    ws?.close(); // after what was sent before has gone out
  }

  // hurry tries at once: the browser says that the network is back.
  hurry() {
    if (!this.up && this.#downSince) { clearTimeout(this.#retry); this.#resume(0); }
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
    clearInterval(this.#ping);
    if (up) this.#ping = setInterval(() => this.send({type: 'ping'}), pingEvery);
    this.emit('state');
  }

  #down() {
    this.#ws = null;
    for (const done of this.#pending.values()) done({ok: false, text: 'The connection was lost.'});
    this.#pending.clear();
    this.#setUp(false);
    if (this.#closed) return;
    this.#downSince = Date.now();
    this.#resume(0);
  }

  /** @param {number} tries that were made before, in vain */
  async #resume(tries) {
    if (this.#closed || this.up || this.#trying) return;
    this.#trying = true;
    const r = await this.open({type: 'resume', session: this.#session});
    this.#trying = false;
    if (this.#closed || r.type === 'welcome') return;
    if (r.code !== 'network' || Date.now() - this.#downSince > resumeFor) {
      this.emit('lost', r);
      return;
    }
    this.#retry = setTimeout(() => this.#resume(tries + 1), Math.min(5000, 400 * 2 ** tries));
  }
}

// How good the connection is, from the browser's own figures and the host's, every two seconds.

import {Emitter} from './events.js';
import {bitrate, pictureReason} from './words.js';

/** @import {Call} from './call.js' */

/**
 * @typedef {object} Figures
 * @property {'unknown' | 'lost' | 'good' | 'fair' | 'poor'} rating
 * @property {string} text
 * @property {string[][]} rows names and values, for people
 */

/** @typedef {ReturnType<typeof nothing>} Count */

/**
 * nothing is a count to begin with: of bytes and packets since the connection was made, and of what is so at a moment,
 * in fractions, seconds, lines and pictures a second.
 * @param {RTCPeerConnection} pc
 */
function nothing(pc) {
  return {at: performance.now(), pc, down: 0, up: 0, got: 0, lost: 0, lossUp: 0, rtt: 0, jitter: 0, height: 0, fps: 0, sendHeight: 0, codec: '', path: ''};
}

/**
 * Quality says "change"; now holds the newest figures.
 * @extends {Emitter<{change: undefined}>}
 */
export class Quality extends Emitter {
  /** @type {Figures} */
  now = {rating: 'unknown', text: 'Measuring…', rows: []};
  /** @type {Count | null} */
  #last = null;
  watched = false; // the figures are being looked at

  /** @param {Call} call */
  constructor(call) {
    super();
    this.call = call;
    this.timer = setInterval(() => this.#measure(), 2000);
  }

  close() { clearInterval(this.timer); }

  async #measure() {
    const pc = this.call.pc;
    if (!pc) return;
    if (this.watched) this.call.askNetwork();
    if (pc.connectionState !== 'connected') {
      this.#last = null;
      this.#set({rating: 'lost', text: 'Your network: no connection', rows: []});
      return;
    }
    const n = nothing(pc);
    const stats = await pc.getStats();
    for (const s of stats.values()) {
      switch (s.type) {
        case 'inbound-rtp':
          n.down += s.bytesReceived + (s.headerBytesReceived || 0);
          n.got += s.packetsReceived;
          n.lost += Math.max(0, s.packetsLost);
          if (s.kind === 'video') {
            n.height = s.frameHeight || 0;
            n.fps = s.framesPerSecond || 0;
            n.codec = stats.get(s.codecId)?.mimeType?.split('/')[1] || '';
          } else n.jitter = s.jitter || 0;
          break;
        case 'outbound-rtp':
          n.up += s.bytesSent + (s.headerBytesSent || 0);
          if (s.kind === 'video') n.sendHeight = Math.max(n.sendHeight, s.frameHeight || 0);
          break;
        case 'remote-inbound-rtp':
          n.lossUp = Math.max(n.lossUp, s.fractionLost || 0);
          break;
        case 'transport': {
          const pair = stats.get(s.selectedCandidatePairId);
          if (pair) {
            n.rtt = pair.currentRoundTripTime || 0;
            const local = stats.get(pair.localCandidateId);
            n.path = local ? `${local.relayProtocol || local.protocol}${local.candidateType === 'relay' ? ' (relay)' : ''}`.toUpperCase() : '';
          }
          break;
        }
      }
    }
    const last = this.#last;
    this.#last = n;
    if (!last || last.pc !== pc) return;
    const seconds = (n.at - last.at) / 1000;
    const down = 8 * (n.down - last.down) / seconds;
    const up = 8 * (n.up - last.up) / seconds;
    const lost = Math.max(0, n.lost - last.lost);
    const total = lost + n.got - last.got;
    const loss = total > 0 ? lost / total : 0;
    const worst = Math.max(loss, n.lossUp);
    /** @type {'good' | 'fair' | 'poor'} */
    let rating = 'good';
    if (worst > 0.02 || n.rtt > 0.25 || n.jitter > 0.04) rating = 'fair';
    if (worst > 0.08 || n.rtt > 0.6 || n.jitter > 0.1) rating = 'poor';
    const host = this.call.network; // of the last pong
    const seen = this.call.me?.network; // what others are told: what the way there loses counts, and what the way here holds up
    if (seen === 'poor' || seen === 'fair' && rating === 'good') rating = seen;
    const ms = (/** @type {number} */ v) => `${Math.round(v * 1000)} ms`;
    const percent = (/** @type {number} */ v) => `${(100 * v).toFixed(v < 0.1 ? 1 : 0)} %`;
    this.#set({
      rating, text: `Your network: ${rating} – ${[host.estimate ? bitrate(host.estimate) : '', ms(n.rtt), `${percent(worst)} lost`].filter(Boolean).join(', ')}`,
      rows: [
        ['Receiving', bitrate(down)], ['Sending', bitrate(up)],
        ['Lost on the way here', percent(loss)], ['Lost on the way there', percent(n.lossUp)],
        ['Round trip', ms(n.rtt)], ['Jitter', ms(n.jitter)],
        ['Picture', n.height ? `${n.height} lines, ${Math.round(n.fps)} per second${n.codec ? `, ${n.codec}` : ''}` : 'none'],
        ...(n.sendHeight ? [['Own picture', `${n.sendHeight} lines`]] : []),
        ...(this.call.estimate ? [['Room to receive', bitrate(this.call.estimate)]] : []),
        ...(host.queue !== undefined ? [['Held up on the way here', `${host.queue} ms`]] : []),
        ...(host.width ? [['Picture for you', `${host.width} × ${host.height}, ${bitrate(host.bitrate || 0)}`]] : []),
        ...(host.reason ? [['Why no better picture', pictureReason(host.reason)]] : []),
        ...(n.path ? [['Path', n.path]] : []),
      ],
    });
  }

  /** @param {Figures} now */
  #set(now) {
    this.now = now;
    this.emit('change');
  }
}

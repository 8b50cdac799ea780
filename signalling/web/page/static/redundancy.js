// Whether each packet of sound should be repeated in the next one (RED, RFC 2198), from what the network loses and carries.

const lossOver = 2500;     // ms that packets are counted over
const enough = 50;         // packets that a loss is known from: in silence hardly any are sent
const muchLost = 0.02;     // more of them: repeat
const littleLost = 0.01;   // fewer of them, for
const calm = 10000;        // ms: no more
const carries = 200000;    // bit/s that are left when repetitions begin, which take 40000 of them
const narrow = 150000;     // bit/s: with fewer they only make a queue

/**
 * Sent is what a browser has counted since the connection was made: packets sent, sent again, and lost as the host
 * reports. The host's reports leave out what was sent again in time.
 * @typedef {{sent: number, again: number, lost: number}} Sent
 */

/** Redundancy has no clock and no connection of its own: it is told what was sent, and when, in ms. */
export class Redundancy {
  on = false;
  /** @type {Sent} */
  #last = {sent: 0, again: 0, lost: 0};
  #looked = 0;
  #sent = 0; // packets, of which the newest count most
  #lost = 0;
  #lostAt = 0; // when more than little was lost, or nobody knew

  /** begin is for a connection that is new: it sends no repetitions. */
  begin() {
    this.on = false;
    this.#last = {sent: 0, again: 0, lost: 0};
    this.#sent = this.#lost = 0;
  }

  /**
   * look is whether there should be repetitions.
   * @param {number} now
   * @param {Sent} count
   * @param {number} available bit/s that the network carries, as the browser thinks; 0: not known
   */
  look(now, count, available) {
    const keep = Math.exp(-Math.max(0, now - this.#looked) / lossOver);
    const more = (/** @type {keyof Sent} */ k) => Math.max(0, count[k] - this.#last[k]);
    this.#sent = this.#sent * keep + more('sent');
    this.#lost = this.#lost * keep + more('again') + more('lost');
    this.#looked = now;
    this.#last = count;
    const loss = this.#sent >= enough ? this.#lost / this.#sent : NaN;
    if (!(loss < littleLost)) this.#lostAt = now;
    if (available && available < narrow) this.on = false;
    else if (this.on) this.on = now - this.#lostAt < calm;
    else this.on = loss > muchLost && (!available || available >= carries);
    return this.on;
  }
}

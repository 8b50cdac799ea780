// Messages of the host as they come: JSON as text, or packed, where the same bytes go to many. Unpacking takes its time, and
// none may overtake another.

/** @import {FromHost} from '../protocol.js' */

/** unpacks tells whether this browser can. */
export const unpacks = (() => {
  try {
    return Boolean(new DecompressionStream('deflate-raw'));
  } catch {
    return false;
  }
})();

/** @param {ArrayBuffer} packed */
function unpack(packed) {
  return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate-raw'))).text();
}

/** Unpacker hands on what is added to it, in that order. */
export class Unpacker {
  #take;
  #failed;
  /** @type {Promise<void>} */
  #last = Promise.resolve();
  #waiting = 0;

  /**
   * @param {(m: FromHost) => void} take
   * @param {() => void} failed is called for what cannot be unpacked, and nothing that comes after it is handed on
   */
  constructor(take, failed) {
    this.#take = take;
    this.#failed = failed;
  }

  /** @param {string | ArrayBuffer} data */
  add(data) {
    if (typeof data === 'string' && this.#waiting === 0) {
      this.#take(JSON.parse(data));
      return;
    }
    this.#waiting++; // and stays above 0 after a failure
    this.#last = this.#last.then(async () => {
      const text = typeof data === 'string' ? data : await unpack(data);
      this.#waiting--;
      try {
        this.#take(JSON.parse(text));
      } catch (err) {
        reportError(err); // as if the browser had called
      }
    });
    this.#last.catch(this.#failed);
  }
}

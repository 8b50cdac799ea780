// What of a camera's picture is sent, by what the room shows of it.

const unseenFor = 3000; // ms that a camera is sent which nobody sees: somebody may just change the layout
// Each new size costs a key frame, at the rate of the size before, and what is sent behind it is late. Where many leave at once their tiles
// go through several, so a size counts when it has been the same for so long (ms).
const settles = 250;
const same = 16;        // rows that make no other size

/**
 * Fit is what the encoding of a camera is set to.
 * @typedef {{active: boolean, scaleResolutionDownBy: number, maxBitrate: number}} Fit
 */

/**
 * beginning is what a camera is sent with until the room has said how large it shows it: what it does of one among a few. The whole
 * picture's first key frame would be in front of the sound for seconds where the network is narrow, and another one follows as soon as the size is known.
 * @type {RTCRtpEncodingParameters}
 */
export const beginning = {scaleResolutionDownBy: 2, maxBitrate: 500000};

/** CameraFit has no clock and no camera of its own: it is told what is shown, and when, in ms. */
export class CameraFit {
  #rows = 0; // of the tile that the encoding was set for; 0: of none
  #sends = true;
  #seen = 0; // rows of the tile when it was looked at last
  #since = 0; // when it became so
  #unseenAt = 0; // since when nobody sees it; 0: it is seen

  /** begin is for a connection that is new, whose camera is sent as it is. */
  begin() {
    this.again();
    this.#sends = true;
    this.#unseenAt = 0;
  }

  /** again is for another camera, and when the encoding could not be set. */
  again() { this.#rows = 0; }

  /**
   * look is what the encoding is to be set to, or null if it is as it should be.
   * @param {number} now
   * @param {number} shown rows of the tile; 0: the room does not show it
   * @param {number} full rows of the camera's picture
   * @returns {Fit | null}
   */
  look(now, shown, full) {
    const rows = shown > 0 ? shown : 180;
    this.#unseenAt = shown > 0 ? 0 : this.#unseenAt || now;
    const sends = !this.#unseenAt || now - this.#unseenAt < unseenFor;
    if (Math.abs(rows - this.#seen) >= same) {
      this.#seen = rows;
      this.#since = now;
    }
    const first = this.#rows === 0 || sends !== this.#sends;
    if (!first && (Math.abs(rows - this.#rows) < same || now - this.#since < settles)) return null;
    this.#rows = rows;
    this.#sends = sends;
    const scale = [1, 1.5, 2, 3, 4].filter((s) => full / s >= rows * 0.9).pop() || 1;
    const sent = full / scale;
    return {active: sends, scaleResolutionDownBy: scale, maxBitrate: sent > 540 ? 1500000 : sent > 360 ? 900000 : sent > 200 ? 500000 : 200000};
  }
}

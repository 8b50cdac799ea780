// The sound that tells a moderator that somebody waits in the lobby: they may look elsewhere.

import {remember} from './devices.js';

const notes = [660, 880]; // Hz, one after the other
const length = 0.18;      // s of each
const pause = 3000;       // ms at least between two, when many come at once

/** Knock plays two soft notes by the loudspeaker of the meeting, to this person alone, if they want that. */
export class Knock {
  wanted = remember.get('knock') !== 'off';
  #at = -pause;

  /** @param {boolean} on */
  want(on) {
    this.wanted = on;
    remember.set('knock', on ? '' : 'off');
  }

  async play() {
    if (!this.wanted || performance.now() - this.#at < pause) return;
    this.#at = performance.now();
    const context = /** @type {AudioContext & {setSinkId?: (id: string) => Promise<void>}} */ (new AudioContext());
    const sink = remember.get('output');
    if (sink) await context.setSinkId?.(sink).catch(() => {}); // one that is gone: the usual one
    notes.forEach((frequency, i) => {
      const at = context.currentTime + 0.02 + i * length;
      const gain = new GainNode(context, {gain: 0});
      const tone = new OscillatorNode(context, {frequency});
      tone.connect(gain).connect(context.destination);
      gain.gain.setValueAtTime(0, at);
      gain.gain.linearRampToValueAtTime(0.15, at + 0.02);
      gain.gain.exponentialRampToValueAtTime(0.001, at + length);
      tone.start(at);
      tone.stop(at + length);
      if (i === notes.length - 1) tone.onended = () => context.close();
    });
  }
}

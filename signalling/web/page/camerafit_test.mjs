// Run by scripts/lint.sh: what is sent of a camera.

import assert from 'node:assert/strict';
import {test} from 'node:test';
import {CameraFit} from './static/camerafit.js';

const look = 200; // ms, as the call does, and at each change besides

/**
 * live shows a camera of 720 rows in tiles of several sizes, and returns what was set, with its time.
 * @param {[number, number][]} tiles rows from when on, ms
 * @param {number} end ms
 * @param {(fit: CameraFit, t: number) => void} [happens]
 */
function live(tiles, end, happens = () => {}) {
  const fit = new CameraFit();
  fit.begin();
  /** @type {[number, number, boolean, number][]} */
  const set = [];
  const looks = new Set([...tiles.map(([t]) => t), ...Array.from({length: end / look}, (_, i) => (i + 1) * look)]);
  for (const t of [...looks].sort((a, b) => a - b)) {
    happens(fit, t);
    const f = fit.look(t, tiles.findLast(([from]) => from <= t)?.[1] ?? 0, 720);
    if (f) set.push([t, f.scaleResolutionDownBy, f.active, f.maxBitrate]);
  }
  return set;
}

test('the first size is set at once, and stays', () => {
  assert.deepEqual(live([[10, 360]], 5000), [[10, 2, true, 500000]]);
  assert.deepEqual(live([[10, 720]], 5000), [[10, 1, true, 1500000]]);
  assert.deepEqual(live([[10, 180], [1000, 190]], 5000), [[10, 4, true, 200000]]);
});

test('another size is set when it stays', () => {
  assert.deepEqual(live([[10, 180], [1000, 360]], 5000), [[10, 4, true, 200000], [1400, 2, true, 500000]]);
});

test('of the sizes on the way from sixteen people to two none is set', () => {
  assert.deepEqual(live([[10, 180], [1000, 240], [1090, 360], [1180, 240], [1270, 360]], 5000), [[10, 4, true, 200000], [1600, 2, true, 500000]]);
  assert.deepEqual(live([[10, 180], [1000, 360], [1100, 180]], 5000), [[10, 4, true, 200000]]);
});

test('nothing is sent of a camera that is not shown for three seconds, and all at once when it is again', () => {
  assert.deepEqual(live([[10, 360], [1000, 0], [6010, 360]], 8000).map(([t, , active]) => [t, active]), [[10, true], [1400, true], [4000, false], [6010, true]]);
  assert.deepEqual(live([[10, 180], [1000, 0], [2000, 180]], 8000), [[10, 4, true, 200000]]);
});

test('another camera, and one that could not be set, is set at once', () => {
  assert.deepEqual(live([[10, 360]], 3000, (fit, t) => { if (t === 1000) fit.again(); }), [[10, 2, true, 500000], [1000, 2, true, 500000]]);
});

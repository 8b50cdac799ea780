// Run by scripts/lint.sh: where the picture lies in the stage, whole and enlarged.

import assert from 'node:assert/strict';
import {test} from 'node:test';
import {contain, enlarged} from './static/tiles.js';

const canvas = {width: 1280, height: 720};

test('the whole picture is as large as it can be, and in the middle', () => {
  assert.deepEqual(contain({width: 1000, height: 1000}, canvas), {x: 0, y: 218.75, width: 1000, height: 562.5});
  assert.deepEqual(contain({width: 2000, height: 720}, canvas), {x: 360, y: 0, width: 1280, height: 720});
});

/**
 * @param {number[]} got
 * @param {number[]} want
 */
function near(got, want) { got.forEach((v, i) => assert.ok(Math.abs(v - want[i]) < 1e-6, `${got}, want ${want}`)); }

/**
 * seen is where a point of the canvas is in the box.
 * @param {{width: number, height: number}} box
 * @param {ReturnType<typeof enlarged>} e
 * @param {[number, number]} at
 */
function seen(box, e, [x, y]) {
  const whole = contain(box, canvas), unit = whole.width / canvas.width;
  return [whole.x + e.x + e.scale * unit * x, whole.y + e.y + e.scale * unit * y];
}

test('an enlarged tile fills the box, in its own shape', () => {
  const rect = {Min: {X: 640, Y: 360}, Max: {X: 1280, Y: 720}};
  for (const box of [{width: 1280, height: 720}, {width: 390, height: 220}, {width: 1000, height: 800}]) {
    const e = enlarged(box, canvas, rect);
    const part = contain(box, {width: 640, height: 360});
    near(seen(box, e, [640, 360]), [part.x, part.y]);
    near(seen(box, e, [1280, 720]), [part.x + part.width, part.y + part.height]);
    assert.deepEqual(e.inset, [50, 0, 0, 50]);
  }
});

test('a tile of another shape keeps it', () => {
  const box = {width: 1280, height: 720}, rect = {Min: {X: 1068, Y: 240}, Max: {X: 1280, Y: 360}};
  const e = enlarged(box, canvas, rect);
  const [left, top] = seen(box, e, [1068, 240]), [right, bottom] = seen(box, e, [1280, 360]);
  near([bottom - top, right - left, left], [720, 720 * 212 / 120, 1280 - right]);
});

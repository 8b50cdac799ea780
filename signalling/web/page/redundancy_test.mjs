// Run by scripts/lint.sh: when the page repeats its sound.

import assert from 'node:assert/strict';
import {test} from 'node:test';
import {Redundancy} from './static/redundancy.js';

const look = 200; // ms, as the call does

/**
 * live sends 50 packets a second, looks every 200 ms until the end, and returns when it was switched on and off. What is lost
 * is repaired by repetitions or, without them, sent again; a report comes each second.
 * @param {number} end ms
 * @param {{loss?: (t: number) => number, available?: (t: number) => number, rate?: (t: number) => number, repairs?: boolean}} path
 */
function live(end, {loss = () => 0, available = () => 1000000, rate = () => 50, repairs = true}) {
  const r = new Redundancy();
  r.begin();
  /** @type {[number, boolean][]} */
  const did = [];
  const count = {sent: 0, again: 0, lost: 0};
  let missing = 0, on = false;
  for (let t = look; t <= end; t += look) {
    const packets = rate(t) * look / 1000;
    count.sent += packets;
    if (repairs && !on) count.again += packets * loss(t);
    else missing += packets * loss(t);
    if (t % 1000 === 0) { count.lost += missing; missing = 0; }
    if (r.look(t, {...count}, available(t)) !== on) did.push([t, on = !on]);
  }
  return did;
}

/** @param {[number, boolean][]} did */
const steps = (did) => did.map(([, on]) => on);
const from = (/** @type {number} */ a, /** @type {number} */ v) => (/** @type {number} */ t) => t > a ? v : 0;

test('nothing is lost, or little: no repetitions', () => {
  assert.deepEqual(live(60000, {}), []);
  assert.deepEqual(live(60000, {loss: () => 0.015}), []);
});

test('one packet of twenty is lost: repetitions within three seconds, as long as that is so', () => {
  for (const repairs of [true, false]) {
    const did = live(60000, {loss: from(5000, 0.05), repairs});
    assert.deepEqual(steps(did), [true]);
    assert.ok(did[0][0] <= 8000, String(did));
  }
});

test('it is over: repetitions end ten seconds later', () => {
  const did = live(60000, {loss: (t) => t > 5000 && t <= 20000 ? 0.05 : 0});
  assert.deepEqual(steps(did), [true, false]);
  assert.ok(did[1][0] > 30000 && did[1][0] < 37000, String(did));
});

test('some loss goes on: neither begins nor ends them', () => {
  assert.deepEqual(steps(live(60000, {loss: (t) => t < 10000 ? 0.05 : 0.015})), [true]);
});

test('a network that is narrow: its queue loses packets, and there are no repetitions', () => {
  assert.deepEqual(live(30000, {loss: () => 0.1, available: () => 90000}), []);
  assert.deepEqual(live(30000, {loss: () => 0.1, available: () => 180000}), []);
  const did = live(30000, {loss: () => 0.1, available: (t) => t < 10000 ? 300000 : t < 20000 ? 180000 : 140000});
  assert.deepEqual(did.slice(1), [[20000, false]]);
  assert.deepEqual(steps(live(30000, {loss: () => 0.1, available: () => 0})), [true], 'nobody knows');
});

test('in silence nothing is known: it stays as it is', () => {
  const silence = (/** @type {number} */ t) => t > 10000 && t < 40000 ? 2.5 : 50;
  assert.deepEqual(live(60000, {loss: (t) => silence(t) < 50 ? 0.2 : 0, rate: silence}), []);
  assert.deepEqual(steps(live(60000, {loss: () => 0.05, rate: silence})), [true]);
});

test('another connection counts from nothing, and has none', () => {
  const r = new Redundancy();
  r.begin();
  assert.equal(r.look(1000, {sent: 1000, again: 100, lost: 0}, 0), true);
  r.begin();
  assert.equal(r.look(1200, {sent: 10, again: 0, lost: 0}, 0), false);
  assert.equal(r.look(3200, {sent: 110, again: 0, lost: 0}, 0), false);
});

// Run by scripts/lint.sh: what the page makes of a network that goes.

import assert from 'node:assert/strict';
import {test} from 'node:test';
import {Pulse} from './static/pulse.js';

const look = 250; // ms, as the call does

/**
 * Path is a host at the other end of one: what comes is said by functions of the time in ms.
 * @typedef {{media?: (t: number) => number, answers?: (t: number) => boolean, chatter?: boolean, broken?: (t: number) => boolean, blind?: (t: number) => boolean, changed?: [number, boolean]}} Path
 */

/**
 * live looks every 250 ms until the end: what was done, with its time. A WebSocket that is given up is there again
 * 250 ms after the host can be reached.
 * @param {number} end ms
 * @param {Path} path
 */
function live(end, {media = () => 50, answers = () => true, chatter = false, broken = () => false, blind = () => false, changed}) {
  const p = new Pulse(0);
  p.begin(0);
  /** @type {[number, string][]} */
  const did = [];
  let count = 0, asked = false, up = true;
  for (let t = look; t <= end; t += look) {
    count += media(t) * look / 1000;
    p.media(t, count, 20);
    if (changed?.[0] === t) p.changed(changed[1]);
    if (answers(t)) {
      if (asked || chatter || !up) p.heard(t);
      asked = false;
      up = true;
      p.hostSees(t, blind(t));
    }
    for (;;) {
      const step = p.next(t, up, broken(t));
      if (!step) break;
      did.push([t, step]);
      if (step === 'ask') asked = true;
      if (step === 'reopen') up = asked = false;
    }
  }
  return did;
}

/** @param {[number, string][]} did */
const but = (did) => did.filter(([, step]) => step !== 'ask');
const from = (/** @type {number} */ a) => (/** @type {number} */ t) => t > a;

test('a path that is well is asked every ten seconds, and left alone', () => {
  const did = live(60000, {});
  assert.deepEqual(but(did), []);
  assert.equal(did.length, 6);
});

test('the own address goes: another WebSocket after a second, and ICE by it as soon as it is there', () => {
  for (const chatter of [false, true]) {
    const away = (/** @type {number} */ t) => t > 5000 && t < 6500;
    const did = live(8000, {media: (t) => t > 5000 ? 0 : 50, answers: (t) => !away(t), chatter});
    assert.deepEqual(but(did), [[6000, 'reopen'], [6500, 'restart']]);
  }
});

test('an outage that ends by itself: media go on, and ICE is left alone', () => {
  for (const [from, to] of [[5000, 7000], [5000, 10000]]) {
    const out = (/** @type {number} */ t) => t > from && t <= to;
    const did = live(20000, {media: (t) => out(t) ? 0 : 50, answers: (t) => !out(t)});
    assert.deepEqual(but(did), [[6000, 'reopen']]);
  }
});

test('a short hole is none', () => {
  const did = live(10000, {media: (t) => t > 5000 && t <= 5750 ? 0 : 50});
  assert.deepEqual(but(did), []);
});

test('media alone are gone: ICE is restarted, ever more seldom', () => {
  const times = but(live(40000, {media: (t) => t > 5000 ? 0 : 50}));
  assert.ok(times.every(([, step]) => step === 'restart'), String(times));
  assert.equal(times[0][0], 6000);
  assert.ok(times.length >= 4 && times.length <= 6, String(times));
});

test('a silent room is no lost one', () => {
  const did = but(live(60000, {media: (t) => t > 5000 ? (t % 2500 ? 0 : 4) : 50}));
  assert.ok(did.every(([t, step]) => t < 8000 && step === 'restart'), String(did)); // when it falls silent, once at most
  const silent = live(60000, {media: (t) => t % 2500 ? 0 : 4});
  assert.deepEqual(but(silent), []);
  assert.ok(silent.length < 60, `asked ${silent.length} times in a minute`);
});

test('a silent room that is lost', () => {
  const did = but(live(12000, {media: (t) => t > 5000 || t % 500 ? 0 : 4, answers: (t) => t < 5000 || t > 8000}));
  assert.equal(did[0][1], 'reopen');
  assert.ok(did[0][0] <= 8000, String(did));
  assert.ok(did[1][1] === 'restart' && did[1][0] <= 8500, String(did));
});

test('the browser says that the connection is broken', () => {
  const did = but(live(8000, {broken: from(5000)}));
  assert.equal(did[0][1], 'restart');
  assert.ok(did[0][0] <= 6000, String(did));
});

test('the host says that nothing of ours comes', () => {
  assert.deepEqual(but(live(7000, {blind: from(5000)})), [[6000, 'restart']]);
  assert.deepEqual(but(live(7000, {blind: (t) => t > 5000 && t <= 5500})), []);
});

test('the network is another, or may be', () => {
  assert.deepEqual(live(6000, {changed: [5000, true]}), [[5000, 'ask'], [5250, 'restart']]);
  assert.deepEqual(live(6000, {changed: [5000, false]}), [[5000, 'ask']]);
});

test('a WebSocket that is lost alone', () => {
  const did = live(20000, {answers: (t) => t < 5000});
  assert.deepEqual(but(did), [[15000, 'reopen']]);
});

test('a page that slept asks, and takes the time for none', () => {
  const p = new Pulse(0);
  p.begin(0);
  let count = 0;
  for (let t = look; t <= 5000; t += look) p.media(t, count += 12, 20);
  p.media(65000, count, 20);
  assert.equal(p.next(65000, true, false), 'ask');
  assert.equal(p.next(65250, true, false), '');
  p.media(65500, count, 20);
  assert.equal(p.next(65500, true, false), 'reopen');
});

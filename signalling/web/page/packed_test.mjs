// Run by scripts/lint.sh: packed messages are understood, and none overtakes another.

import assert from 'node:assert/strict';
import {test} from 'node:test';
import {Unpacker} from './static/packed.js';

/**
 * packed packs a text as the host does.
 * @param {string} text
 */
function packed(text) {
  return new Response(new Blob([text]).stream().pipeThrough(new CompressionStream('deflate-raw'))).arrayBuffer();
}

/** @param {number} n */
const result = (n) => JSON.stringify({type: 'result', n, ok: true, text: 'x'.repeat(n * 1000)});

test('in the order in which they came', async () => {
  /** @type {number[]} */
  const got = [];
  const long = await packed(result(900));
  const short = await packed(result(2));
  await new Promise((resolve) => {
    const u = new Unpacker((m) => {
      if (m.type === 'result') got.push(m.n);
      if (got.length === 5) resolve(undefined);
    }, () => assert.fail());
    u.add(result(1));
    assert.deepEqual(got, [1], 'at once where nothing waits');
    u.add(long);
    u.add(result(3));
    u.add(short);
    u.add(result(4));
  });
  assert.deepEqual(got, [1, 900, 3, 2, 4]);
});

test('nothing is handed on after what cannot be unpacked', async () => {
  /** @type {number[]} */
  const got = [];
  const good = await packed(result(1));
  await new Promise((resolve) => {
    const u = new Unpacker((m) => { if (m.type === 'result') got.push(m.n); }, () => resolve(undefined));
    u.add(good);
    u.add(new Uint8Array([0xff, 0xff, 0xff]).buffer);
    u.add(result(2));
    u.add(good);
  });
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(got, [1]);
});

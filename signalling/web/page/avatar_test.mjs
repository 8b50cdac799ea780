// Run by scripts/lint.sh: a person's avatar has the colour that the canvas gives it.

import assert from 'node:assert/strict';
import {readFile} from 'node:fs/promises';
import {test} from 'node:test';
import {hue} from './static/dom.js';

test('the colours of names', async () => {
  const hues = JSON.parse(await readFile(new URL('testdata/hues.json', import.meta.url), 'utf8')); // the canvas's test reads it, too
  for (const [name, want] of Object.entries(hues)) assert.equal(hue(name), want, name);
});

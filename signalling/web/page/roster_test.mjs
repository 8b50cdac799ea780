// Run by scripts/lint.sh: what the page makes of what it is told of people.

import assert from 'node:assert/strict';
import {test} from 'node:test';
import {apply, complete} from './static/roster.js';

const nowhere = {Min: {X: 0, Y: 0}, Max: {X: 0, Y: 0}};

test('what is so for nearly all is filled in', () => {
  assert.deepEqual(complete({id: 'a', name: 'Ann'}), {
    id: 'a', name: 'Ann', door: 'web', connection: 'WebRTC', role: 'speaker', muted: false, selfMuted: false, talking: false, talkTime: 0,
    streams: [{label: 'main', rect: nowhere, video: false}],
  });
  assert.deepEqual(complete({id: 'a', name: 'Ann', role: 'observer'}).streams, []);
  const rect = {Min: {X: 0, Y: 0}, Max: {X: 4, Y: 3}};
  const bob = complete({id: 'b', name: 'Bob', door: 'sip', role: 'moderator', selfMuted: true, streams: [{label: 'main', rect, video: true}, {label: 'screen'}]});
  assert.equal(bob.door, 'sip');
  assert.equal(bob.connection, '');
  assert.equal(bob.role, 'moderator');
  assert.equal(bob.selfMuted, true);
  assert.deepEqual(bob.streams, [{label: 'main', rect, video: true}, {label: 'screen', rect: nowhere, video: false}]);
});

test('the first info names nobody, later ones who comes and goes', () => {
  const people = new Map();
  let told = apply(people, {type: 'info', whole: true, set: [{id: 'a', name: 'Ann'}, {id: 'b', name: 'Bob'}]});
  assert.deepEqual([...people.keys()], ['a', 'b']);
  assert.deepEqual([...told.changed], ['a', 'b']);
  assert.equal(told.entered.size + told.left.length, 0);

  told = apply(people, {type: 'info', set: [{id: 'c', name: 'Cid', waiting: true}, {id: 'a', name: 'Anna'}, {id: 'd', name: 'Dora'}], gone: ['b']});
  assert.deepEqual([...people.keys()], ['a', 'c', 'd'], 'who has changed keeps their place');
  assert.deepEqual([...told.changed], ['b', 'c', 'a', 'd']);
  assert.deepEqual([...told.entered], [['d', 'Dora']]);
  assert.deepEqual(told.left, ['Bob']);

  told = apply(people, {type: 'info', set: [{id: 'c', name: 'Cid'}]});
  assert.deepEqual([...told.entered], [['c', 'Cid']], 'out of the lobby');

  told = apply(people, {type: 'info', whole: true, set: [{id: 'd', name: 'Dora'}]});
  assert.deepEqual([...people.keys()], ['d']);
  assert.deepEqual([...told.changed].sort(), ['a', 'c', 'd']);
  assert.equal(told.entered.size + told.left.length, 0);
});

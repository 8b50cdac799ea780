// Who is in the room, from what the host tells of it: all to begin with, then who has come, has changed and has gone.

/** @import {InfoMessage, Participant, ParticipantTold} from '../protocol.js' */

const nowhere = {Min: {X: 0, Y: 0}, Max: {X: 0, Y: 0}};

/**
 * complete fills in what the host leaves out, as it is so for nearly all.
 * @param {ParticipantTold} told
 * @returns {Participant}
 */
export function complete(told) {
  const role = told.role ?? 'speaker';
  const door = told.door ?? 'web';
  const streams = told.streams ?? (role === 'observer' ? [] : [{label: 'main'}]);
  return {
    connection: door === 'web' ? 'WebRTC' : '', muted: false, selfMuted: false, talking: false, talkTime: 0, ...told, door, role,
    streams: streams.map((s) => ({rect: nowhere, video: false, ...s})),
  };
}

/**
 * apply brings people, by their ids in order of arrival, to what an info says. The answer has the ids that have changed, and
 * the names of those who are in the room (not only in its lobby) since, and no more; nobody is named where the info is whole.
 * @param {Map<string, Participant>} people
 * @param {InfoMessage} m
 */
export function apply(people, m) {
  /** @type {Set<string>} */
  const changed = new Set();
  /** @type {Map<string, string>} by id */
  const entered = new Map();
  /** @type {string[]} */
  const left = [];
  if (m.whole) {
    for (const id of people.keys()) changed.add(id);
    people.clear();
  }
  for (const id of m.gone || []) {
    const p = people.get(id);
    if (p && !p.waiting) left.push(p.name);
    people.delete(id);
    changed.add(id);
  }
  for (const told of m.set || []) {
    const before = people.get(told.id);
    if (!m.whole && !told.waiting && (!before || before.waiting)) entered.set(told.id, told.name);
    people.set(told.id, complete(told));
    changed.add(told.id);
  }
  return {changed, entered, left};
}

// What the host's codes mean, in words for people.

/** @import {Notice} from '../protocol.js' */
/** @import {ToastOptions} from '../elements.js' */

/**
 * How a notice is shown: quiet ones are for screen readers alone; pane is the one in which there is something to do.
 * @typedef {ToastOptions & {quiet?: boolean, pane?: 'people' | 'chat' | 'panel' | 'recordings'}} NoticeOptions
 */

/** roles are the roles' names, the least first. */
export const roles = ['observer', 'listener', 'speaker', 'moderator', 'host'];

/**
 * rank says how much a role, a number or a name, may: the more the higher; -1 for one that is unknown.
 * @param {number | string} role
 */
export function rank(role) {
  return typeof role === 'number' ? role : roles.indexOf(String(role).toLowerCase());
}

/**
 * doors are how people come in, by the door's name.
 * @type {{[door: string]: {text: string, icon: string} | undefined}}
 */
export const doors = {
  web: {text: 'Browser', icon: 'globe'},
  sip: {text: 'Phone', icon: 'phone'},
  jami: {text: 'Jami', icon: 'jami'},
};

/**
 * ended tells why the call is over: a title, and a sentence that may be empty.
 * @param {string} reason an EndReason of the host's, or one that it will have one day
 * @returns {[title: string, text: string]}
 */
export function ended(reason) {
  /** @type {{[reason: string]: [string, string] | undefined}} */
  const words = {
    left: ['You have left the meeting', ''],
    removed: ['You were removed from the meeting', 'A moderator has taken you out.'],
    banned: ['You were removed from the meeting', 'A moderator has taken you out, and you cannot come back to it.'],
    denied: ['You were not let in', 'A moderator has declined your request to join.'],
    ended: ['The meeting has ended', 'Thank you for coming.'],
    shutdown: ['The host is restarting', 'The meeting can go on in a few minutes.'],
    timeout: ['The connection was lost', 'Nothing came through for too long.'],
    moved: ['You were moved to another room', ''],
    replaced: ['You have joined somewhere else', 'This page is no longer part of the meeting.'],
  };
  return words[reason] || ['The call has ended', ''];
}

/**
 * notice puts a notice into words, and says how they are to be shown; without words it is not.
 * @param {Notice} n
 * @returns {[text: string, options: NoticeOptions]}
 */
export function notice(n) {
  const text = n.text || '';
  const name = isolate(text); // of a person, where text is one
  /** @type {{[kind: string]: [string, NoticeOptions] | undefined}} */
  const words = {
    muted: [text || 'A moderator has muted you.', {urgent: true, key: 'mute'}],
    unmuted: [text || 'You may speak again.', {urgent: true, key: 'mute'}],
    moved: [`You are in “${text}” now.`, {urgent: true}],
    knock: [`${text ? name : 'Somebody'} is waiting to join.`, {key: 'lobby', pane: 'people', label: 'Show'}],
    noise: [text, {urgent: true, key: 'noise'}],
    contact: [text ? `${name} asks on Jami to be a contact.` : '', {key: 'contact', pane: 'people', label: 'Show'}],
    hand: [`${name} has raised a hand.`, {key: 'hand'}],
    'recording-started': ['This meeting is being recorded.', {urgent: true, kind: 'rec', key: 'rec'}],
    'recording-stopped': ['The recording has stopped.', {key: 'rec'}],
    'recording-failed': [`The recording has failed: ${text}`, {urgent: true, kind: 'bad'}],
    entered: [`${name} has joined.`, {quiet: true}],
    left: [`${name} has left.`, {quiet: true}],
    'many-entered': [`${text} people have joined.`, {quiet: true}], // these two and the two above are the page's own
    'many-left': [`${text} people have left.`, {quiet: true}],
    announcement: [text, {urgent: true, kind: 'announce', seconds: 20}],
    refused: [text || 'That is not allowed.', {urgent: true, kind: 'bad'}],
    overload: [text, {key: 'overload'}],
    ending: [text || 'The meeting is about to end.', {urgent: true}],
    lobby: ['You are in the lobby.', {quiet: true}],
  };
  return words[n.kind] || [text, {}];
}

/**
 * isolate keeps a name that is written from the right from turning the sentence around it (UAX #9: FSI and PDI, what bdi is to elements).
 * @param {string} name
 */
export function isolate(name) { return `\u2068${name}\u2069`; }

/**
 * duration is h:mm:ss, or m:ss below an hour.
 * @param {number} seconds
 */
export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  const two = (/** @type {number} */ n) => String(n).padStart(2, '0');
  return s >= 3600 ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
}

/**
 * bytes is a size in decimal units.
 * @param {number} n
 */
export function bytes(n) {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let i = 0;
  while (n >= 1000 && i < units.length - 1) { n /= 1000; i++; }
  return `${i === 0 ? n : n.toFixed(n < 10 ? 1 : 0)} ${units[i]}`;
}

/**
 * pictureReason tells why somebody is not sent the room's best picture.
 * @param {string} reason the host's word for it
 */
export function pictureReason(reason) {
  /** @type {{[reason: string]: string | undefined}} */
  const words = {
    bandwidth: 'the network to you carries no more',
    loss: 'too much is lost on the way to you',
    'peer limit': 'this device takes no more',
    host: 'the host has too much to do',
    'sound only': 'you are sent no picture',
  };
  return words[reason] || reason;
}

/** @param {number} bps bit/s */
export function bitrate(bps) {
  return bps >= 1e6 ? `${(bps / 1e6).toFixed(1)} Mbit/s` : `${Math.round(bps / 1000)} kbit/s`;
}

/**
 * clock is the time of day, as is usual where the browser is.
 * @param {string} time RFC 3339
 */
export function clock(time) {
  return new Date(time).toLocaleTimeString([], {hour: '2-digit', minute: '2-digit'});
}

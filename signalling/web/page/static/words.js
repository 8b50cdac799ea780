// What the host's codes mean, in words for people.

export const roles = ['observer', 'listener', 'speaker', 'moderator', 'host'];

// rank takes a role as a number or a name.
export function rank(role) {
  return typeof role === 'number' ? role : roles.indexOf(String(role).toLowerCase());
}

export const doors = {
  web: {text: 'Browser', icon: 'globe'},
  sip: {text: 'Phone', icon: 'phone'},
  jami: {text: 'Jami', icon: 'jami'},
};

export function ended(reason) {
  return {
    left: ['You have left the meeting', ''],
    removed: ['You were removed from the meeting', 'A moderator has taken you out.'],
    banned: ['You were removed from the meeting', 'A moderator has taken you out, and you cannot come back to it.'],
    denied: ['You were not let in', 'A moderator has declined your request to join.'],
    ended: ['The meeting has ended', 'Thank you for coming.'],
    shutdown: ['The host is restarting', 'The meeting can go on in a few minutes.'],
    timeout: ['The connection was lost', 'Nothing came through for too long.'],
    moved: ['You were moved to another room', ''],
    replaced: ['You have joined somewhere else', 'This page is no longer part of the meeting.'],
  }[reason] || ['The call has ended', ''];
}

export function notice(n) {
  const text = n.text || '';
  return {
    muted: [text || 'A moderator has muted you.', {urgent: true, key: 'mute'}],
    unmuted: [text || 'You may speak again.', {urgent: true, key: 'mute'}],
    moved: [`You are in “${text}” now.`, {urgent: true}],
    knock: [`${text || 'Somebody'} is waiting to join.`, {key: 'lobby', pane: 'people', label: 'Show'}],
    noise: [text, {urgent: true, key: 'noise'}],
    contact: [text ? `${text} asks on Jami to be a contact.` : '', {key: 'contact', pane: 'people', label: 'Show'}],
    hand: [`${text} has raised a hand.`, {key: 'hand'}],
    'recording-started': ['This meeting is being recorded.', {urgent: true, kind: 'rec', key: 'rec'}],
    'recording-stopped': ['The recording has stopped.', {key: 'rec'}],
    'recording-failed': [`The recording has failed: ${text}`, {urgent: true, kind: 'bad'}],
    entered: [`${text} has joined.`, {quiet: true}],
    left: [`${text} has left.`, {quiet: true}],
    announcement: [text, {urgent: true, kind: 'announce', seconds: 20}],
    refused: [text || 'That is not allowed.', {urgent: true, kind: 'bad'}],
    ending: [text || 'The meeting is about to end.', {urgent: true}],
    lobby: ['You are in the lobby.', {quiet: true}],
  }[n.kind] || [text, {}];
}

export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  const two = (n) => String(n).padStart(2, '0');
  return s >= 3600 ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
}

export function bytes(n) {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let i = 0;
  while (n >= 1000 && i < units.length - 1) { n /= 1000; i++; }
  return `${i === 0 ? n : n.toFixed(n < 10 ? 1 : 0)} ${units[i]}`;
}

export function bitrate(bps) {
  return bps >= 1e6 ? `${(bps / 1e6).toFixed(1)} Mbit/s` : `${Math.round(bps / 1000)} kbit/s`;
}

export function clock(time) {
  return new Date(time).toLocaleTimeString([], {hour: '2-digit', minute: '2-digit'});
}

// The ways into the room, to be passed on: as text, and as codes for a phone's camera.

import {h, toast} from './dom.js';

/** @import {Way} from '../protocol.js' */

const kinds = {link: ['Browser', 'Open this link.'], phone: ['Phone', 'Call this address.'], jami: ['Jami', 'Call this id, or scan it with the Jami app.']};

/**
 * showInvite opens a dialog with the ways in.
 * @param {Way[]} ways
 */
export function showInvite(ways) {
  const dialog = h('dialog.dialog.invite', {'aria-labelledby': 'i-title'}, h('h2', {id: 'i-title'}, 'Invite others'),
    ...ways.map(row), h('form.row.end', {method: 'dialog'}, h('button.primary', {autofocus: true}, 'Close')));
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

/** @param {Way} way */
function row(way) {
  const [title, hint] = kinds[way.kind];
  if (way.pending) return h('section.way', {'data-kind': way.kind}, h('div.who', {}, h('h3', {}, title), h('p.muted', {}, 'The address is being made. Look again in a few minutes.')));
  return h('section.way', {'data-kind': way.kind}, way.code ? code(way, title) : null,
    h('div.who', {}, h('h3', {}, title), h('p.muted', {}, hint), h('code', {}, way.address),
      h('button.small', {type: 'button', 'aria-label': `Copy: ${title}`, onclick: () => copy(way.address)}, 'Copy')));
}

/**
 * code draws a QR code, dark on light whatever the page's colours are: cameras want that.
 * @param {Way} way
 * @param {string} title
 */
function code(way, title) {
  const ns = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(ns, 'svg');
  for (const [k, v] of [['viewBox', `0 0 ${way.size} ${way.size}`], ['class', 'qr'], ['role', 'img'], ['aria-label', `QR code: ${title}`], ['shape-rendering', 'crispEdges']]) svg.setAttribute(k, v);
  const dark = document.createElementNS(ns, 'path');
  dark.setAttribute('d', way.code);
  svg.append(dark);
  return svg;
}

/** @param {string} text */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast('Copied.');
  } catch {
    toast(text, {seconds: 15});
  }
}

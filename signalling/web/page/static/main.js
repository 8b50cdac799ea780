// The page's three faces: asking for a room, getting ready, the meeting.

import {h, announce, byId} from './dom.js';
import {aboutRoom, landing, prejoin} from './prejoin.js';
import {framed} from './embed.js';
import {Call} from './call.js';
import {Meeting} from './meeting.js';
import {ended} from './words.js';

/** @import {JoinRequest} from './call.js' */
/** @import {Devices} from './devices.js' */
/** @import {Frame} from './embed.js' */

const root = byId('app');

async function start() {
  const m = location.pathname.match(/^\/r\/([^/]+)\/?$/);
  if (!m) { landing(root); return; }
  const room = decodeURIComponent(m[1]);
  let about;
  try {
    about = await aboutRoom(room);
    if (!about.found) { message('There is no such room', about.text || 'Check the link you were given.', false); return; }
  } catch {
    message('The host cannot be reached', 'Check your connection and try again.', true);
    return;
  }
  const frame = framed(about.embed);
  const form = prejoin(root, about, (join, devices) => enter(join, devices, frame));
  frame?.ready(about, form);
}

/**
 * enter joins; it answers with a refusal, or null when the meeting is on the page.
 * @param {JoinRequest} join
 * @param {Devices} devices
 * @param {Frame | null} frame
 */
async function enter(join, devices, frame) {
  const call = new Call(join, devices);
  /** @type {Meeting | null} */
  let meeting = null;
  call.on('ended', ({reason, text: told}) => {
    meeting?.close();
    const [title, text] = ended(reason);
    message(title, told || text, !['banned', 'denied'].includes(reason));
  });
  // For tests, and for the curious: window.call in the console.
  Object.assign(window, {call});
  const refused = await call.start();
  if (refused) { frame?.refused(refused.code, refused.text); return refused; }
  meeting = new Meeting(root, call, devices);
  frame?.follow(call);
  return null;
}

/**
 * message has the page say one thing, and what can be done next.
 * @param {string} title
 * @param {string} text
 * @param {boolean} again whether joining again is offered
 */
function message(title, text, again) {
  document.querySelectorAll('dialog, .menu').forEach((d) => d.remove());
  const heading = h('h1', {tabindex: -1}, title);
  root.replaceChildren(h('main.landing', {}, h('div.card', {}, h('img.logo', {src: '/assets/icon.svg', alt: '', width: 56, height: 56}), heading,
    text ? h('p.lead', {}, text) : null,
    h('div.buttons.center', {}, again ? h('button.primary', {type: 'button', onclick: () => location.reload()}, 'Join again') : null,
      h('a.button', {href: '/'}, 'Another room')))));
  heading.focus();
  announce(`${title}. ${text}`, true);
}

start();

// The page's three faces: asking for a room, getting ready, the meeting.

import {h, announce} from './dom.js';
import {landing, prejoin} from './prejoin.js';
import {Call} from './call.js';
import {Meeting} from './meeting.js';
import {ended} from './words.js';

const root = document.getElementById('app');

async function start() {
  const m = location.pathname.match(/^\/r\/([^/]+)\/?$/);
  if (!m) { landing(root); return; }
  const room = decodeURIComponent(m[1]);
  let about;
  try {
    const r = await fetch(`/r/${encodeURIComponent(room)}/about`);
    about = await r.json();
    if (!r.ok) { message('There is no such room', about.text || 'Check the link you were given.', false); return; }
  } catch {
    message('The host cannot be reached', 'Check your connection and try again.', true);
    return;
  }
  prejoin(root, about, (join, devices) => enter(join, devices));
}

// enter joins; it answers with a refusal, or null when the meeting is on the page.
async function enter(join, devices) {
  const call = new Call(join, devices);
  let meeting = null;
  call.addEventListener('ended', (e) => {
    meeting?.close();
    const [title, text] = ended(e.detail.reason);
    message(title, e.detail.text || text, !['banned', 'denied'].includes(e.detail.reason));
  });
  // For tests, and for the curious: window.call in the console.
  window.call = call;
  const refused = await call.start();
  if (refused) return refused;
  meeting = new Meeting(root, call, devices);
  return null;
}

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

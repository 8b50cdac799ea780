// Small helpers over the DOM. Text always goes in as text, never as markup.

/** @import {Child, Made, MenuItem, Properties, ToastOptions} from '../elements.js' */

/**
 * h makes an element: h('button.primary', {type: 'button', onclick: f}, 'Join').
 * Properties that begin with "on" are listeners, "class" adds classes, false and null leave
 * an attribute out.
 * @template {string} Spec
 * @param {Spec} spec
 * @param {Properties<Made<Spec>>} props
 * @param {(Child | Child[])[]} children
 * @returns {Made<Spec>}
 */
export function h(spec, props = {}, ...children) {
  const [tag, ...classes] = spec.split('.');
  const el = document.createElement(tag || 'div');
  if (classes.length) el.className = classes.join(' ');
  for (const [k, v] of Object.entries(props)) {
    if (v === false || v === null || v === undefined) continue;
    if (k.startsWith('on')) el.addEventListener(k.slice(2), /** @type {EventListener} */ (v));
    else if (k === 'class') el.classList.add(...String(v).split(' ').filter(Boolean));
    else if (k === 'value' || k === 'checked' || k === 'srcObject' || k === 'muted') Object.assign(el, {[k]: v});
    else el.setAttribute(k, v === true ? '' : String(v));
  }
  for (const c of children.flat()) if (c !== null && c !== undefined && c !== false) el.append(typeof c === 'number' ? String(c) : c);
  return /** @type {Made<Spec>} */ (el);
}

const svg = 'http://www.w3.org/2000/svg';

/**
 * icon draws one of the symbols in index.html. It is decoration: names are in text.
 * @param {string} name
 * @param {string} className
 */
export function icon(name, className = '') {
  const el = document.createElementNS(svg, 'svg');
  el.setAttribute('class', `icon ${className}`.trim());
  el.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(svg, 'use');
  use.setAttribute('href', `#i-${name}`);
  el.append(use);
  return el;
}

/**
 * setIcon changes the icon within an element.
 * @param {Element} el
 * @param {string} name
 */
export function setIcon(el, name) {
  const use = el.querySelector('use');
  if (use && use.getAttribute('href') !== `#i-${name}`) use.setAttribute('href', `#i-${name}`);
}

/**
 * setText writes only what is new, so that screen readers are not told twice.
 * @param {Node | null} el null where there is nothing to write to
 * @param {string} text
 */
export function setText(el, text) {
  if (el && el.textContent !== text) el.textContent = text;
}

/**
 * setAttr writes only what is new; null and false take the attribute away.
 * @param {Element} el
 * @param {string} name
 * @param {string | number | false | null} value
 */
export function setAttr(el, name, value) {
  if (value === null || value === false) el.removeAttribute(name);
  else if (el.getAttribute(name) !== String(value)) el.setAttribute(name, String(value));
}

/**
 * field is a labelled control.
 * @param {string} label
 * @param {HTMLInputElement | HTMLSelectElement} control
 * @param {string} hint
 */
export function field(label, control, hint = '') {
  const id = control.id || (control.id = `f${Math.random().toString(36).slice(2, 9)}`);
  /** @type {HTMLElement[]} */
  const parts = [h('label', {for: id}, label), control];
  if (hint) {
    const hintID = `${id}-hint`;
    control.setAttribute('aria-describedby', hintID);
    parts.push(h('p.hint', {id: hintID}, hint));
  }
  return h('div.field', {}, parts);
}

/**
 * announce tells screen readers something; urgent interrupts.
 * @param {string} text
 * @param {boolean} urgent
 */
export function announce(text, urgent = false) {
  const el = byId(urgent ? 'alert' : 'status');
  el.textContent = '';
  setTimeout(() => { el.textContent = text; }, 50);
}

/**
 * byId is an element that index.html has.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const el = document.getElementById(id);
  if (!el) throw new Error(`index.html has no ${id}`);
  return el;
}

/**
 * toast shows a short message, for screen readers too. An action keeps it longer.
 * A key lets a newer message take the place of an older one. It returns what takes the message away.
 * @param {string} text
 * @param {ToastOptions} options
 */
export function toast(text, {urgent = false, kind = '', action = null, label = '', seconds = 0, key = ''} = {}) {
  announce(action ? `${text} ${label} is possible.` : text, urgent);
  const box = byId('toasts');
  if (key) box.querySelector(`[data-key="${key}"]`)?.remove();
  const el = h('div.toast', {class: kind, 'data-key': key || null});
  const close = () => el.remove();
  el.append(h('span', {}, text));
  if (action) el.append(h('button.link', {type: 'button', onclick: () => { close(); action(); }}, label));
  el.append(h('button.plain', {type: 'button', 'aria-label': 'Dismiss', onclick: close}, icon('close')));
  box.append(el);
  while (box.children.length > 3) box.firstElementChild?.remove();
  setTimeout(close, 1000 * (seconds || (action || urgent ? 10 : 5)));
  return close;
}

/**
 * confirmDialog asks before something that cannot be undone.
 * @param {string} title
 * @param {string} text
 * @param {string} yes what the button says that does it
 * @returns {Promise<boolean>}
 */
export function confirmDialog(title, text, yes) {
  return new Promise((resolve) => {
    const dialog = h('dialog.dialog', {'aria-labelledby': 'confirm-title', 'aria-describedby': 'confirm-text'},
      h('h2', {id: 'confirm-title'}, title), h('p', {id: 'confirm-text'}, text),
      h('form.row.end', {method: 'dialog'},
        h('button', {value: 'no', autofocus: true}, 'Cancel'), h('button.danger', {value: 'yes'}, yes)));
    dialog.addEventListener('close', () => { dialog.remove(); resolve(dialog.returnValue === 'yes'); });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/**
 * promptDialog asks for one line of text; null if the person thinks better of it.
 * @param {string} title
 * @param {string} label
 * @param {string} value what is there to begin with
 * @param {string} yes what the button says that takes the text
 * @param {number} most characters
 * @returns {Promise<string | null>}
 */
export function promptDialog(title, label, value, yes, most = 200) {
  return new Promise((resolve) => {
    const input = h('input', {type: 'text', value, maxlength: most, autofocus: true});
    const dialog = h('dialog.dialog', {'aria-labelledby': 'prompt-title'},
      h('h2', {id: 'prompt-title'}, title),
      h('form', {method: 'dialog'}, field(label, input),
        h('div.row.end', {},
          h('button', {type: 'button', onclick: () => { dialog.close(''); }}, 'Cancel'), h('button.primary', {value: 'yes'}, yes))));
    dialog.addEventListener('close', () => { dialog.remove(); resolve(dialog.returnValue === 'yes' ? input.value.trim() : null); });
    document.body.append(dialog);
    dialog.showModal();
    input.select();
  });
}

/**
 * menu opens a list of actions at a button. Arrow keys move, Escape and Tab close, and the
 * focus goes back to where it was.
 * @param {HTMLElement} anchor
 * @param {string} label
 * @param {MenuItem[]} items
 */
export function menu(anchor, label, items) {
  document.querySelector('.menu')?.remove();
  const list = h('div.menu', {role: 'menu', 'aria-label': label});
  const close = (/** @type {boolean} */ refocus) => {
    list.remove();
    anchor.setAttribute('aria-expanded', 'false');
    document.removeEventListener('pointerdown', outside, true);
    if (refocus) anchor.focus();
  };
  const outside = (/** @type {Event} */ e) => { if (!list.contains(/** @type {Node} */ (e.target))) close(false); };
  for (const it of items) {
    if (!it) continue;
    if (it === '-') { list.append(h('hr', {role: 'separator'})); continue; }
    list.append(h('button', {
      type: 'button', role: it.checked === undefined ? 'menuitem' : 'menuitemcheckbox', tabindex: -1,
      'aria-checked': it.checked === undefined ? null : String(it.checked), class: it.danger ? 'danger-text' : '',
      onclick: () => { close(true); it.run(); },
    }, it.icon ? icon(it.icon) : null, h('span', {}, it.text), it.checked ? icon('check') : null));
  }
  list.addEventListener('keydown', (e) => {
    const all = [...list.querySelectorAll('button')];
    const at = all.findIndex((b) => b === document.activeElement);
    /** @type {{[key: string]: number}} */
    const places = {ArrowDown: (at + 1) % all.length, ArrowUp: (at - 1 + all.length) % all.length, Home: 0, End: all.length - 1};
    const to = places[e.key];
    if (to !== undefined) { all[to]?.focus(); e.preventDefault(); }
    if (e.key === 'Escape' || e.key === 'Tab') { close(true); e.preventDefault(); }
    e.stopPropagation();
  });
  (document.querySelector('main') ?? document.body).append(list); // a landmark, for who goes by them
  const a = anchor.getBoundingClientRect();
  const m = list.getBoundingClientRect();
  const top = a.bottom + m.height + 8 < innerHeight ? a.bottom + 4 : Math.max(8, a.top - m.height - 4);
  list.style.top = `${top}px`;
  list.style.left = `${Math.max(8, Math.min(a.right - m.width, innerWidth - m.width - 8))}px`;
  anchor.setAttribute('aria-expanded', 'true');
  document.addEventListener('pointerdown', outside, true);
  list.querySelector('button')?.focus();
}

/**
 * initials and hue give people without a picture one of their own.
 * @param {string} name
 */
export function initials(name) {
  const words = [...name.trim().split(/\s+/)].filter(Boolean);
  const pick = words.length > 1 ? [words[0], words[words.length - 1]] : words;
  return pick.map((w) => [...w][0]).join('').toUpperCase() || '?';
}

/**
 * hue is 0 to 11, the same for the same name, and as on the canvas (FNV-1a, 32 bits): app.css has a colour for each.
 * @param {string} name
 */
export function hue(name) {
  let n = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) n = Math.imul(n ^ byte, 0x01000193) >>> 0;
  return n % 12;
}

// The mixed picture, and its tiles: who looks at it can enlarge one for themselves alone. The picture is the same for all, so
// what is enlarged is cut out of it, in the best quality that the network to this page carries.

import {h, icon, announce, setAttr} from './dom.js';

/** @import {Rectangle} from '../protocol.js' */
/** @import {Call} from './call.js' */

/** @typedef {{width: number, height: number}} Size in pixels */

/** @typedef {{id: string, label: 'main' | 'screen'}} Stream of a participant */

/** @typedef {Stream & {name: string, rect: Rectangle}} Tile on the canvas */

/**
 * contain is where a picture of a shape lies in a box, whole and as large as it can be: in the box's pixels.
 * @param {Size} box
 * @param {Size} shape
 */
export function contain(box, shape) {
  const scale = Math.min(box.width / shape.width, box.height / shape.height);
  const width = shape.width * scale, height = shape.height * scale;
  return {x: (box.width - width) / 2, y: (box.height - height) / 2, width, height};
}

/**
 * enlarged is how a picture that is contained in a box is moved and scaled (from its left upper corner) so that one part of its
 * canvas is: x and y in pixels of the box. inset is how much of each side is cut off, in percent: top, right, bottom, left.
 * @param {Size} box
 * @param {Size} canvas
 * @param {Rectangle} rect of the canvas, in its pixels
 */
export function enlarged(box, canvas, {Min, Max}) {
  const whole = contain(box, canvas), unit = whole.width / canvas.width;
  const part = contain(box, {width: Max.X - Min.X, height: Max.Y - Min.Y});
  const scale = part.width / (Max.X - Min.X) / unit;
  return {
    x: part.x - whole.x - Min.X * unit * scale, y: part.y - whole.y - Min.Y * unit * scale, scale,
    inset: [Min.Y / canvas.height, 1 - Max.X / canvas.width, 1 - Max.Y / canvas.height, Min.X / canvas.width].map((v) => 100 * v),
  };
}

/** Tiles is the picture in the stage, with a button over each tile and one that leads back to all of them. */
export class Tiles {
  /** @type {Stream | null} what is enlarged */
  #chosen = null;
  #name = ''; // of whom that is
  /** @type {Map<string, HTMLButtonElement>} by id and label */
  #buttons = new Map();
  /** @type {Tile[]} as they follow each other: by rows, then from the left */
  #tiles = [];
  #later = 0;

  /**
   * @param {Call} call
   * @param {HTMLElement} stage
   * @param {HTMLVideoElement} video
   */
  constructor(call, stage, video) {
    this.call = call;
    this.stage = stage;
    this.list = h('div.tiles', {role: 'group', 'aria-label': 'Pictures, each to be enlarged for yourself', onkeydown: (e) => this.#move(e)});
    this.el = h('div.picture', {}, video, this.list);
    this.back = h('button.back', {type: 'button', hidden: true, title: 'Escape', onclick: () => this.whole(true)}, icon('shrink'), 'Show everybody');
    this.observer = new ResizeObserver(() => this.#place());
    this.observer.observe(stage);
    this.onKey = (/** @type {KeyboardEvent} */ e) => {
      if (e.key !== 'Escape' || !this.#chosen || e.defaultPrevented || document.querySelector('dialog[open], .menu')) return;
      e.preventDefault();
      this.whole(true);
    };
    document.addEventListener('keydown', this.onKey);
    call.on('people', () => this.#update());
    this.#update();
  }

  close() {
    this.observer.disconnect();
    cancelAnimationFrame(this.#later);
    document.removeEventListener('keydown', this.onKey);
  }

  /**
   * shows reports whether there is a tile to be enlarged: it is on the canvas, and not the only one.
   * @param {string} id
   * @param {Stream['label']} label
   */
  shows(id, label) { return this.#tiles.length > 1 && this.#tiles.some((t) => t.id === id && t.label === label); }

  /**
   * enlarge shows one tile alone, for as long as it is on the canvas.
   * @param {string} id
   * @param {Stream['label']} label
   */
  enlarge(id, label) {
    const tile = this.#tiles.find((t) => t.id === id && t.label === label);
    if (!tile) return;
    this.#chosen = {id, label};
    this.#name = called(tile);
    this.#place();
    this.back.focus({preventScroll: true});
    announce(`${this.#name} is enlarged. Escape shows everybody.`);
  }

  /**
   * whole shows all tiles again.
   * @param {boolean} refocus whether the keyboard goes to the tile that was enlarged
   */
  whole(refocus = false) {
    const was = this.#chosen;
    if (!was) return;
    this.#chosen = null;
    const focused = document.activeElement === this.back;
    this.#place();
    const button = this.#buttons.get(keyOf(was));
    if (focused || refocus) (button ?? this.list.querySelector('button'))?.focus({preventScroll: true});
    if (button) this.#stop(button);
    announce('Everybody is shown.');
  }

  // update gathers changes until the next frame.
  #update() {
    this.#later ||= requestAnimationFrame(() => {
      this.#later = 0;
      this.#list();
    });
  }

  #list() {
    this.#tiles = [];
    for (const p of this.call.people.values()) {
      for (const {label, rect} of p.streams) {
        if (rect.Max.X > rect.Min.X) this.#tiles.push({id: p.id, label, rect, name: p.name || 'Guest'});
      }
    }
    this.#tiles.sort((a, b) => a.rect.Min.Y - b.rect.Min.Y || a.rect.Min.X - b.rect.Min.X);
    const gone = new Map(this.#buttons);
    const {width, height} = this.#canvas;
    for (const t of this.#tiles) {
      const key = keyOf(t);
      gone.delete(key);
      const b = this.#buttons.get(key) ?? this.#make(t, key);
      setAttr(b, 'aria-label', `Enlarge ${called(t)}`);
      b.style.left = `${100 * t.rect.Min.X / width}%`;
      b.style.top = `${100 * t.rect.Min.Y / height}%`;
      b.style.width = `${100 * (t.rect.Max.X - t.rect.Min.X) / width}%`;
      b.style.height = `${100 * (t.rect.Max.Y - t.rect.Min.Y) / height}%`;
    }
    for (const [key, b] of gone) {
      if (b === document.activeElement) this.list.querySelector('button')?.focus({preventScroll: true});
      b.remove();
      this.#buttons.delete(key);
    }
    this.#stop();
    this.#place();
  }

  /**
   * @param {Stream} t
   * @param {string} key
   */
  #make(t, key) {
    const b = h('button.tile', {type: 'button', tabindex: -1, title: 'Enlarge for yourself', onclick: () => this.enlarge(t.id, t.label)}, icon('expand'));
    this.#buttons.set(key, b);
    this.list.append(b);
    return b;
  }

  get #canvas() {
    const {width = 1280, height = 720} = this.call.room;
    return {width, height};
  }

  // place brings the picture where it belongs: whole, or so that what is enlarged fills the stage.
  #place() {
    const box = {width: this.stage.clientWidth, height: this.stage.clientHeight};
    if (!box.width || !box.height) return;
    const canvas = this.#canvas, whole = contain(box, canvas), style = this.el.style;
    style.left = `${whole.x}px`;
    style.top = `${whole.y}px`;
    style.width = `${whole.width}px`;
    style.height = `${whole.height}px`;
    const chosen = this.#chosen;
    const tile = chosen && this.#tiles.find((t) => t.id === chosen.id && t.label === chosen.label);
    if (chosen && !tile) {
      const name = this.#name;
      this.whole();
      announce(`${name} is not in the picture any more.`);
      return;
    }
    this.list.hidden = Boolean(tile) || this.#tiles.length < 2;
    this.back.hidden = !tile;
    if (!tile) {
      style.transform = style.clipPath = '';
      return;
    }
    const {x, y, scale, inset} = enlarged(box, canvas, tile.rect);
    style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
    style.clipPath = `inset(${inset.map((v) => `${v}%`).join(' ')})`;
  }

  /**
   * stop keeps exactly one tile in the Tab order.
   * @param {HTMLButtonElement} [keep] without it the one that has the focus, or the first
   */
  #stop(keep) {
    const all = this.#tiles.map((t) => this.#buttons.get(keyOf(t)));
    keep ??= all.find((b) => b === document.activeElement) ?? all[0];
    for (const b of all) if (b && b.tabIndex !== (b === keep ? 0 : -1)) b.tabIndex = b === keep ? 0 : -1;
  }

  /** @param {KeyboardEvent} e */
  #move(e) {
    const at = this.#tiles.findIndex((t) => this.#buttons.get(keyOf(t)) === e.target);
    /** @type {{[key: string]: number}} */
    const places = {ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: this.#tiles.length - 1};
    const to = this.#tiles[places[e.key]];
    const b = to && this.#buttons.get(keyOf(to));
    if (!b) return;
    this.#stop(b);
    b.focus({preventScroll: true});
    e.preventDefault();
  }
}

/** @param {Stream} s */
function keyOf(s) { return `${s.id}/${s.label}`; }

/** @param {Tile} t */
function called(t) { return t.label === 'screen' ? `${t.name}’s shared screen` : t.name; }

// The page in a frame of another site's page, which web.embed allows: what that may have done, and what it is told. docs/embedding.md
// is for those who write such a page.

/** @import {About} from '../protocol.js' */
/** @import {Call} from './call.js' */

/**
 * What a page asks for. name, pin, token and watch are those of a join.
 * @typedef {{rendezvous: string, name?: string, pin?: string, token?: string, watch?: boolean, on?: boolean}} Wish
 */

/** @typedef {{join: (wish: Wish) => void}} Form what the person joins by */

/** Frame is the page that has this one in a frame. */
export class Frame {
  /** @type {Form | null} */
  #form = null;
  /** @type {About | null} */
  #about = null;
  /** @type {Call | null} */
  #call = null;
  #origin;
  #told = new Map(); // what was told last, by kind

  /**
   * @param {string[]} origins that may have the page in a frame
   * @param {string} origin of the page that has it
   */
  constructor(origins, origin) {
    this.#origin = origins.includes(origin) ? origin : '';
    // From who else sends something, nothing is taken: the browser says who it was.
    if (this.#origin) addEventListener('message', (e) => { if (e.source === parent && e.origin === this.#origin) this.#do(e.data); });
  }

  /**
   * ready tells that the form is there by which the person joins.
   * @param {About} about
   * @param {Form} form
   */
  ready(about, form) {
    this.#form = form;
    this.#about = about;
    this.#greet();
  }

  #greet() {
    const about = this.#about;
    if (about) this.#tell('ready', {room: about.room, title: about.title, needsPin: about.needsPin, recorded: about.recorded});
  }

  /**
   * refused tells why the person was not let in.
   * @param {string} code
   * @param {string} text
   */
  refused(code, text) { this.#tell('refused', {code, text}); }

  /**
   * follow tells of a call, from the beginning to the end.
   * @param {Call} call
   */
  follow(call) {
    this.#call = call;
    this.#told.clear();
    let joined = false;
    const look = () => {
      if (!joined && call.admitted) {
        joined = true;
        this.#tell('joined', {id: call.id, room: call.room.room, title: call.title});
      }
      if (!joined || this.#call !== call) return;
      const byModerator = Boolean(call.me?.muted);
      this.#news('muted', {on: !call.mic || byModerator, byModerator});
      if (call.people.size) {
        this.#news('participants', {list: [...call.people.values()].filter((p) => !p.waiting)
          .map(({id, name, role, door, muted, selfMuted, hand}) => ({id, name, role, door, muted: muted || selfMuted, hand: Boolean(hand)}))});
      }
      this.#news('recording', {on: call.room.recording === 'on'});
    };
    for (const type of /** @type {const} */ (['phase', 'room', 'people', 'media'])) call.on(type, look);
    call.on('ended', ({reason}) => {
      if (this.#call !== call) return;
      this.#call = null;
      this.#tell('left', {reason});
    });
    look();
  }

  /** @param {unknown} data */
  #do(data) {
    if (typeof data !== 'object' || data === null || !('rendezvous' in data)) return;
    const wish = /** @type {Wish} */ (data);
    switch (wish.rendezvous) {
      case 'hello': this.#greet(); break;
      case 'join': if (!this.#call) this.#form?.join(wish); break;
      case 'leave': this.#call?.leave(); break;
      case 'mute': this.#call?.setMic(!wish.on); break;
      case 'camera': this.#call?.setCamera(Boolean(wish.on)); break;
    }
  }

  /**
   * news tells what is other than it was.
   * @param {string} kind
   * @param {object} what
   */
  #news(kind, what) {
    const text = JSON.stringify(what);
    if (this.#told.get(kind) === text) return;
    this.#told.set(kind, text);
    this.#tell(kind, what);
  }

  /**
   * @param {string} kind
   * @param {object} what
   */
  #tell(kind, what) { if (this.#origin) parent.postMessage({rendezvous: kind, ...what}, this.#origin); }
}

/**
 * framed is who has the page in a frame, null if nobody has.
 * @param {string[]} origins that may
 */
export function framed(origins) {
  if (parent === window) return null;
  const ancestors = /** @type {{ancestorOrigins?: ArrayLike<string>}} */ (location).ancestorOrigins; // not in every browser
  return new Frame(origins, ancestors?.[0] ?? (document.referrer ? new URL(document.referrer).origin : ''));
}

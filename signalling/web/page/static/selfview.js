// The own camera as in a mirror, in a corner of the picture. What the others see is in the picture, not mirrored.

import {h, icon} from './dom.js';
import {remember} from './devices.js';

/** @import {Call} from './call.js' */
/** @import {Devices} from './devices.js' */

/** SelfView is there while the camera is on, unless the person does not want it. */
export class SelfView {
  wanted = remember.get('selfview') !== 'off';

  /**
   * @param {Call} call
   * @param {Devices} devices
   */
  constructor(call, devices) {
    this.call = call;
    this.devices = devices;
    this.video = h('video', {autoplay: true, playsinline: true, muted: true, 'aria-label': 'Your own camera, as in a mirror'});
    this.el = h('div.self', {hidden: true}, this.video,
      h('button.plain', {type: 'button', 'aria-label': 'Hide your own camera', onclick: () => this.want(false)}, icon('close')));
    call.on('media', () => this.show());
    this.unlisten = devices.on('change', () => this.show());
    this.show();
  }

  close() {
    this.unlisten();
    this.video.srcObject = null;
  }

  /** @param {boolean} on */
  want(on) {
    this.wanted = on;
    remember.set('selfview', on ? '' : 'off');
    this.show();
  }

  show() {
    const track = this.wanted && this.call.camera && !this.call.watching ? this.devices.video : null;
    this.el.hidden = !track;
    const now = /** @type {MediaStream | null} */ (this.video.srcObject)?.getVideoTracks()[0] ?? null;
    if (now !== track) this.video.srcObject = track && new MediaStream([track]);
  }
}

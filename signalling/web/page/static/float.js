// The picture of the meeting in a small window over all others, where the browser has that (picture-in-picture).

import {toast} from './dom.js';

/** @param {HTMLVideoElement} video */
export function floats(video) { return document.pictureInPictureEnabled && Boolean(video.requestPictureInPicture); }

/**
 * float puts the picture there, or back.
 * @param {HTMLVideoElement} video
 */
export async function float(video) {
  try {
    if (document.pictureInPictureElement) await document.exitPictureInPicture();
    else await video.requestPictureInPicture();
  } catch {
    toast('The browser does not show the picture in a window of its own now.', {urgent: true});
  }
}

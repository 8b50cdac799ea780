// The sound of a shared tab. It goes the microphone's way, mixed with it here: to the room it is its sharer's, whose own mix has
// no sound of theirs, so that they hear the tab as it plays and not once more.

/** SharedSound is one track of two sounds; the microphone's may be missing, or off. */
export class SharedSound {
  /** @type {MediaStreamAudioSourceNode | null} */
  #microphone = null;

  /** @param {MediaStreamTrack} shared that close stops */
  constructor(shared) {
    this.shared = shared;
    this.context = new AudioContext();
    this.out = new MediaStreamAudioDestinationNode(this.context, {channelCount: 1, channelCountMode: 'explicit'}); // as the room is
    this.context.createMediaStreamSource(new MediaStream([shared])).connect(this.out);
    this.track = this.out.stream.getAudioTracks()[0];
    this.track.contentHint = 'music'; // no pauses are made of what is no speech
  }

  /** @param {MediaStreamTrack | null} track that takes the place of the former one */
  setMicrophone(track) {
    this.#microphone?.disconnect();
    this.#microphone = track && this.context.createMediaStreamSource(new MediaStream([track]));
    this.#microphone?.connect(this.out);
  }

  close() {
    this.shared.stop();
    this.track.stop();
    this.context.close();
  }
}

// A camera that flashes and a microphone that beeps at the same moments, for 100 ms each second: who gets both at the other end
// knows how late they are, and how far apart. window.flashes are the times, in ms since 1970.
(() => {
  let made = null;
  const make = () => {
    const canvas = document.createElement('canvas');
    canvas.width = 640;
    canvas.height = 360;
    const draw = canvas.getContext('2d', {alpha: false});
    const context = new AudioContext({sampleRate: 48000, latencyHint: 'interactive'});
    const tone = new OscillatorNode(context, {frequency: 1000}), gain = new GainNode(context, {gain: 0});
    const out = context.createMediaStreamDestination();
    tone.connect(gain).connect(out);
    tone.start();
    context.resume();
    window.flashes = [];
    let last = -1, n = 0;
    const tick = () => { // by the sound's clock
      const second = Math.floor(context.currentTime), on = context.currentTime - second < 0.1;
      if (on && second !== last) {
        last = second;
        gain.gain.value = 0.5;
        window.flashes.push(performance.timeOrigin + performance.now());
      }
      if (!on) gain.gain.value = 0;
      draw.fillStyle = on ? '#fff' : '#102030';
      draw.fillRect(0, 0, 640, 360);
      draw.fillStyle = '#c04040'; // something moves, so that there is always a new picture
      draw.fillRect(7 * n++ % 600, 320, 40, 30);
    };
    // A page's own timers are too slow.
    new Worker(URL.createObjectURL(new Blob(['setInterval(() => postMessage(0), 10)']))).onmessage = tick;
    return {video: canvas.captureStream(30), audio: out.stream};
  };
  if (!navigator.mediaDevices) return;
  navigator.mediaDevices.getUserMedia = async (wish) => {
    made ??= make();
    return new MediaStream([
      ...wish.video ? made.video.getVideoTracks().map((t) => t.clone()) : [],
      ...wish.audio ? made.audio.getAudioTracks().map((t) => t.clone()) : [],
    ]);
  };
})();

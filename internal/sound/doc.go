// Package sound is the sound of tests: what they play, tones and speech, and how they measure
// what comes of it. It knows nothing of the mixer, so that it can judge it.
package sound

// Rate is the sample rate of all sound for which nothing else is said, in Hz.
const Rate = 48000

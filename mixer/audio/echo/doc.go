// Package echo finds microphones that repeat the meeting: a loudspeaker that is heard by
// the microphone next to it, where the caller's own device does not cancel the echo.
//
// Only the loudness of frames of 20 ms is compared, of what a caller was sent and of what comes
// from them. An echo rises and falls as the sound did, a fraction of a second later and always
// equally late. People who talk in turn, or all at once, do not.
package echo

// Package howl finds howling: a loudspeaker that feeds the microphone of its own
// meeting. Such a loop sings one pure tone at the frequency where its gain is greatest, and
// the tone grows with every turn until something cannot go louder.
//
// That, and not a tone as such, is what is looked for: one narrow peak that holds nearly all of the
// sound's power, stays at its frequency for a second, and is near full scale or has grown a good way
// towards it. Speech and music do not stay; keys (DTMF) and ringing tones are two tones,
// pause, or keep well below full scale (ITU-T E.182, Q.23).
package howl

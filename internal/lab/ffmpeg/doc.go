// Package ffmpeg has ffmpeg at the far end of plain RTP on loopback, in real time: as one who sends a
// colour and a tone, and as one that writes down what it is sent. It needs Debian's package of that
// name. What ffmpeg decodes of files needs no laboratory: that is internal/sound's.
package ffmpeg

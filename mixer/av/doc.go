// Package av is the only room of the house that talks to FFmpeg (through
// go-astiav), libvpx and libyuv: decoders, encoders, scaling, resampling and muxing.
// Moving to another FFmpeg major touches this folder and go.mod alone.
package av

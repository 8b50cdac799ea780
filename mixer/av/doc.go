// Package av is the only room of the house that talks to FFmpeg (through
// go-astiav), libvpx and libyuv: decoders, encoders, scaling, resampling and muxing.
// Another major version of FFmpeg touches this folder and the module files alone.
package av

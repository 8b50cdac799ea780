// Package e2e proves a room's mix with ffmpeg at the far end of each caller's media: it sends a colour and a
// tone as real encoders do, and what it is sent of the others is looked at and listened to. It holds tests only.
package e2e

package video

import "rendezvous/mixer/av"

// The canvas's colours.
var (
	background = av.RGB(13, 16, 22)
	card       = av.RGB(30, 35, 46)
	talker     = av.RGB(64, 200, 120)
)

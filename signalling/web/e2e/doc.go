// Package e2e proves the browsers' door with Chromiums that drive its page as people do: they meet,
// moderate, share a screen, lose the network and come back, by mouse and by keyboard, in rooms of two and of
// three hundred. A WHIP publisher of pion's comes with a film of ffmpeg's. It holds tests only.
package e2e

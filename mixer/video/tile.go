package video

import (
	"image"

	"rendezvous/mixer/av"
)

// Layout says how the canvas is divided.
type Layout int

// The layouts.
const (
	Grid            Layout = iota // equal tiles, 1 to 49
	OneBig                        // the active tile alone
	OneBigWithSmall               // the active tile big, the others in a strip
	SideBySide                    // the shared screen and the active tile next to each other, others in a strip
	Auto                          // a grid; a shared screen is large with the others beside, who is pinned with the others in a strip

	besideScreen // what Auto comes to with a shared screen: the active tile large, the others in a column beside it
)

// Source is where a tile's picture comes from.
type Source interface {
	// Picture returns the newest decoded picture, retained for the caller, and its
	// serial number, which grows with every new picture; nil when there is none to show
	// (video off, or stalled).
	Picture() (*av.Picture, uint64)

	// Lacking reports whether that picture is of the past: newer ones cannot be decoded, because something before them was
	// lost, and what they need has been waited for for a while.
	Lacking() bool
}

// Tile is one participant's place on the canvas as the room wants it shown.
type Tile struct {
	ID      string // stable: participant id and stream label
	Source  Source // nil: an avatar is drawn
	Name    string // label, any script
	Muted   bool   // draws the muted mark
	Hand    bool   // draws the raised-hand mark
	Talking bool   // draws the talker's frame, and steers active-speaker switching
	Screen  bool   // a shared screen: keeps its whole picture visible, preferred as the big tile
	Rotate  int    // degrees clockwise, 0, 90, 180, 270, applied before scaling
}

// Placed says where a tile's picture lies on the canvas, in pixels: the picture
// itself, not its cell. An empty rectangle means it is not shown.
type Placed struct {
	ID     string
	Rect   image.Rectangle
	Active bool
	Video  bool // a moving picture is shown, not the avatar
}

package call

import (
	"slices"

	"rendezvous/moderation"
)

// jamiLayouts are the layouts by their numbers on the wire, in conference information and orders.
var jamiLayouts = []moderation.Layout{moderation.LayoutGrid, moderation.LayoutOneBigWithSmall, moderation.LayoutOneBig}

// jamiLayout is the number of the nearest layout that Jami has.
func jamiLayout(l moderation.Layout) int {
	if l == moderation.LayoutSideBySide {
		l = moderation.LayoutOneBigWithSmall
	}
	return max(0, slices.Index(jamiLayouts, l))
}

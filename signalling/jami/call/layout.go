package call

import (
	"slices"

	"rendezvous/conference"
	"rendezvous/moderation"
)

// jamiLayouts are the layouts by their numbers on the wire, in conference information and orders.
var jamiLayouts = []moderation.Layout{moderation.LayoutGrid, moderation.LayoutOneBigWithSmall, moderation.LayoutOneBig}

// jamiLayout is the number of the nearest layout that Jami has. The automatic one is what it has come to: with a large tile, or without.
func jamiLayout(info *conference.Info) int {
	l := info.Layout
	if l == moderation.LayoutSideBySide || l == moderation.LayoutAuto && slices.ContainsFunc(info.Participants, shownLarge) {
		l = moderation.LayoutOneBigWithSmall
	}
	return max(0, slices.Index(jamiLayouts, l))
}

func shownLarge(p conference.Participant) bool {
	return slices.ContainsFunc(p.Streams, func(s conference.Stream) bool { return s.Active })
}

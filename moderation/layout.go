package moderation

// Layout says how a room's picture is divided among those who are seen.
type Layout string

// The layouts.
const (
	LayoutAuto            Layout = "auto"               // a grid; a shared screen is large with the others beside, and so is who is pinned
	LayoutGrid            Layout = "grid"               // equal tiles
	LayoutOneBig          Layout = "one-big"            // the active tile alone
	LayoutOneBigWithSmall Layout = "one-big-with-small" // the active tile big, the others in a strip
	LayoutSideBySide      Layout = "side-by-side"       // the shared screen and the active tile next to each other
)

// Words are all layouts.
func (Layout) Words() []Layout {
	return []Layout{LayoutAuto, LayoutGrid, LayoutOneBig, LayoutOneBigWithSmall, LayoutSideBySide}
}

// MarshalText writes the layout as orders and the configuration name it.
func (l Layout) MarshalText() ([]byte, error) { return []byte(l), nil }

// UnmarshalText reads what MarshalText writes.
func (l *Layout) UnmarshalText(text []byte) error { return ReadWord(l, text) }

package web

import (
	"fmt"
	"strings"

	"github.com/skip2/go-qrcode"
)

// way is one of the ways into a room, as the page shows it to be passed on.
type way struct {
	Kind    string `json:"kind"` // "link", "phone", "jami"
	Address string `json:"address"`
	// Pending says that the address follows, and is empty until then.
	Pending bool `json:"pending,omitempty"`
	// Size and Code are the address as a QR code: so many squares wide, and those that are
	// dark as an SVG path.
	Size int    `json:"size"`
	Code string `json:"code"`
}

// wayKinds are the kinds of ways by door.
var wayKinds = map[string]string{"web": "link", "sip": "phone", "jami": "jami"}

// invite lists the ways into the room, by all doors.
func (s *session) invite() inviteMessage {
	m := inviteMessage{Type: "invite", Ways: []way{}}
	room, _, in := s.member.Role()
	if !in {
		return m // who waits in the lobby has nobody to bring
	}
	for _, a := range s.door.addresses(room.ID()) {
		address := a.Text
		w := way{Kind: wayKinds[a.Door], Address: address, Pending: a.Pending}
		if a.Pending {
			m.Ways = append(m.Ways, w)
			continue
		}
		code, err := qrcode.New(address, qrcode.Medium)
		if err != nil { // too long for one; the text is shown all the same
			s.log.Warn("an address without a QR code", "address", address, "error", err)
			m.Ways = append(m.Ways, w)
			continue
		}
		w.Size, w.Code = draw(code.Bitmap())
		m.Ways = append(m.Ways, w)
	}
	return m
}

// draw makes an SVG path of the dark squares, row by row.
func draw(squares [][]bool) (size int, path string) {
	var b strings.Builder
	for y, row := range squares {
		for x := 0; x < len(row); x++ {
			if !row[x] {
				continue
			}
			from := x
			for x < len(row) && row[x] {
				x++
			}
			fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", from, y, x-from, x-from)
		}
	}
	return len(squares), b.String()
}

package web

import (
	"fmt"
	"strings"
	"sync"

	"github.com/skip2/go-qrcode"
)

// qrCode is a text as a QR code: so many squares wide, and those that are dark as an SVG path.
type qrCode struct {
	size int
	path string
}

// mostCodes bounds the QR codes that are kept, at some 10 kB each.
const mostCodes = 500

// qrCodes keeps the codes that were drawn last: the addresses of rooms are few and stay, and each takes a millisecond or more to draw.
type qrCodes struct {
	mu    sync.Mutex
	drawn map[string]qrCode // by their text; guarded by mu
	order []string          // what was drawn first comes first; guarded by mu
}

func newQRCodes() *qrCodes { return &qrCodes{drawn: make(map[string]qrCode)} }

// of returns the code of a text. It fails for one that is too long.
func (c *qrCodes) of(text string) (qrCode, error) {
	c.mu.Lock()
	code, ok := c.drawn[text]
	c.mu.Unlock()
	if ok {
		return code, nil
	}
	q, err := qrcode.New(text, qrcode.Medium)
	if err != nil {
		return qrCode{}, err
	}
	code = draw(q.Bitmap())
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.drawn[text]; ok { // another session has drawn it meanwhile
		return code, nil
	}
	if len(c.order) == mostCodes {
		delete(c.drawn, c.order[0])
		c.order = append(c.order[:0], c.order[1:]...)
	}
	c.drawn[text] = code
	c.order = append(c.order, text)
	return code, nil
}

// draw makes an SVG path of the dark squares, row by row.
func draw(squares [][]bool) qrCode {
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
	return qrCode{len(squares), b.String()}
}

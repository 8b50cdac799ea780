package vcard

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// PieceType is the content type, without parameters, of a card's pieces in a call.
const PieceType = "x-ring/ring.profile.vcard"

const (
	pieceSize = 4096 // bytes; peers take 8000 for a whole message
	maxPieces = 2048
)

// Piece is a part of a card, as one message of a call carries it.
type Piece struct {
	// Type is the content type with its parameters: for SIP they are one, escaped, as daemons
	// write what their clients call "id=7,part=1,of=3". Unescaped, daemons drop the message.
	Type string
	Body []byte
}

// Cut makes pieces of a written card. id tells them from those of another.
func Cut(card []byte, id uint32) []Piece {
	n := (len(card) + pieceSize - 1) / pieceSize
	out := make([]Piece, 0, n)
	for i := range n {
		body := card[i*pieceSize : min(len(card), (i+1)*pieceSize)]
		out = append(out, Piece{fmt.Sprintf("%s;id=%d%%2Cpart%%3D%d%%2Cof%%3D%d", PieceType, id, i+1, n), body})
	}
	return out
}

// Joiner puts the pieces of one sender together. Its zero value is ready. It holds at most
// MaxSize bytes, of one card: a piece of another drops those of the one before.
type Joiner struct {
	id    string
	parts [][]byte
	have  int
	size  int
}

// Add takes one message of a call. It returns the card when its last piece is there.
func (j *Joiner) Add(contentType string, body []byte) (card []byte, complete bool) {
	id, part, of, ok := pieceOf(contentType)
	if !ok {
		return nil, false
	}
	if j.id != id || len(j.parts) != of {
		*j = Joiner{id: id, parts: make([][]byte, of)}
	}
	if j.parts[part-1] != nil || len(body) == 0 || j.size+len(body) > MaxSize {
		return nil, false
	}
	j.parts[part-1] = append([]byte(nil), body...)
	j.have++
	j.size += len(body)
	if j.have < of {
		return nil, false
	}
	for _, p := range j.parts {
		card = append(card, p...)
	}
	*j = Joiner{}
	return card, true
}

// pieceOf reads the parameters of a piece, escaped or not. Clients part them by commas, by
// semicolons, and with blanks.
func pieceOf(contentType string) (id string, part, of int, ok bool) {
	kind, params, _ := strings.Cut(contentType, ";")
	if !strings.EqualFold(strings.TrimSpace(kind), PieceType) || len(params) > 200 {
		return "", 0, 0, false
	}
	params, err := url.PathUnescape(params)
	if err != nil {
		return "", 0, 0, false
	}
	for _, f := range strings.FieldsFunc(params, func(r rune) bool { return r == ',' || r == ';' }) {
		name, value, _ := strings.Cut(f, "=")
		switch n, err := strconv.Atoi(strings.TrimSpace(value)); strings.TrimSpace(name) {
		case "id":
			id = strings.TrimSpace(value)
		case "part":
			part, ok = n, err == nil
		case "of":
			of = n
		}
	}
	return id, part, of, ok && part >= 1 && part <= of && of <= maxPieces
}

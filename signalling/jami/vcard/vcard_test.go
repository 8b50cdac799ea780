package vcard

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

var png = []byte("\x89PNG\r\n\x1a\nrest")

func TestMarshal(t *testing.T) {
	want := "BEGIN:VCARD\nVERSION:2.1\nFN:A room\nPHOTO;ENCODING=BASE64;TYPE=PNG:iVBORw0KGgpyZXN0\nEND:VCARD"
	if got := string(Card{"A\nroom", png}.Marshal()); got != want {
		t.Errorf("%q", got)
	}
	if got := string(Card{"x", []byte("GIF89a")}.Marshal()); got != "BEGIN:VCARD\nVERSION:2.1\nFN:x\nEND:VCARD" {
		t.Errorf("%q", got)
	}
}

func TestParse(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want Card
	}{
		"ours":            {"BEGIN:VCARD\nVERSION:2.1\nFN:Ann\nPHOTO;ENCODING=BASE64;TYPE=PNG:iVBORw0KGgpyZXN0\nEND:VCARD", Card{"Ann", png}},
		"other line ends": {"BEGIN:VCARD\r\nFN;CHARSET=UTF-8:Bob: the builder\r\nEND:VCARD\r\n", Card{Name: "Bob: the builder"}},
		"version 3":       {"begin:vcard\nFN:Lee\\, Ann\nPHOTO;ENCODING=b;TYPE=PNG:iVBORw0K\n GgpyZXN0\nEND:VCARD", Card{"Lee, Ann", png}},
		"no picture":      {"BEGIN:VCARD\nPHOTO;ENCODING=BASE64;TYPE=PNG:aGVsbG8=\nEND:VCARD", Card{}},
		"by reference":    {"BEGIN:VCARD\nPHOTO;VALUE=URL:http://example.org/x.png\nFN:\nEND:VCARD", Card{}},
		"no text":         {"BEGIN:VCARD\nFN:\xff\xfe\nEND:VCARD", Card{}},
		"name too long":   {"BEGIN:VCARD\nFN:" + strings.Repeat("x", 2000) + "\nEND:VCARD", Card{}},
	} {
		got, err := Parse([]byte(tt.text))
		if err != nil || got.Name != tt.want.Name || !bytes.Equal(got.Picture, tt.want.Picture) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for _, text := range []string{"", "hello", strings.Repeat("x", MaxSize+1)} {
		if _, err := Parse([]byte(text)); !errors.Is(err, ErrCard) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

func TestPieces(t *testing.T) {
	card := Card{"Ann", append(bytes.Clone(png), make([]byte, 9000)...)}.Marshal()
	pieces := Cut(card, 7)
	if len(pieces) != 3 || pieces[1].Type != "x-ring/ring.profile.vcard;id=7%2Cpart%3D2%2Cof%3D3" {
		t.Fatalf("%d pieces, %+v", len(pieces), pieces[1].Type)
	}
	var j Joiner
	j.Add("x-ring/ring.profile.vcard;id=6,part=1,of=3", []byte("of another, never finished"))
	for i, k := range []int{2, 0, 0, 1} { // in any order, and one twice
		got, ok := j.Add(pieces[k].Type, pieces[k].Body)
		if ok != (i == 3) || ok && !bytes.Equal(got, card) {
			t.Errorf("after %d: %v, %q", i, ok, got)
		}
	}
	for _, kind := range []string{"text/plain", PieceType, PieceType + ";id=1,part=0,of=1", PieceType + ";id=1,part=2,of=1", PieceType + ";id=1,part=1,of=99999",
		PieceType + ";id=1,part=x,of=1"} {
		if _, ok := j.Add(kind, []byte("x")); ok {
			t.Errorf("%q is taken for a piece", kind)
		}
	}
	for _, kind := range []string{PieceType + "; id=1,part=1,of=1", PieceType + ";id=1;part=1;of=1"} {
		if got, ok := j.Add(kind, []byte("x")); !ok || string(got) != "x" {
			t.Errorf("%q: %q, %v", kind, got, ok)
		}
	}
}

// However many pieces come, they stay within bounds.
func TestTooManyPieces(t *testing.T) {
	var j Joiner
	for i := range 300 {
		pieces := Cut(make([]byte, 300*pieceSize), 1)
		if _, ok := j.Add(pieces[i].Type, pieces[i].Body); ok {
			t.Fatal("a card of more than the largest size is complete")
		}
	}
	if j.size > MaxSize {
		t.Errorf("%d bytes are kept", j.size)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(Card{"Ann", png}.Marshal())
	f.Add([]byte("BEGIN:VCARD\nFN:a\\\n b\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Parse(b)
		if err != nil {
			return
		}
		if len(c.Name) > maxName || len(c.Picture) > 0 && pictureKind(c.Picture) == "" {
			t.Errorf("%+v", c)
		}
	})
}

func FuzzJoiner(f *testing.F) {
	f.Add("x-ring/ring.profile.vcard;id=7,part=2,of=3", []byte("body"))
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		var j Joiner
		if card, ok := j.Add(kind, body); ok && !bytes.Equal(card, body) {
			t.Errorf("%q became %q", body, card)
		}
		if len(j.parts) > maxPieces {
			t.Errorf("%d parts", len(j.parts))
		}
	})
}

// Package vcard reads and writes people's profiles as Jami clients exchange them: a vCard
// 2.1 with a display name and a picture, sent whole in conversations and in numbered
// pieces within calls.
package vcard

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Bounds of what is read, in bytes. A picture may be as large as the profile leaves room for.
const (
	MaxSize = 1 << 20
	maxName = 1024
)

// ErrCard is wrapped by the errors about what is no vCard.
var ErrCard = errors.New("malformed vCard")

// Card is what a profile says that Jami's clients show: a vCard of version 2.1 or 3.0 (RFC
// 2426) of its kind.
type Card struct {
	Name string // FN, as its owner wrote it: any text
	// Picture is a PNG or JPEG picture, or empty.
	Picture []byte
}

// Marshal writes the card as Jami clients read it. What clients do not show is left out:
// a picture of another format.
func (c Card) Marshal() []byte {
	var b bytes.Buffer
	b.WriteString("BEGIN:VCARD\nVERSION:2.1\n")
	fmt.Fprintf(&b, "FN:%s\n", strings.NewReplacer("\r", " ", "\n", " ").Replace(c.Name))
	if kind := pictureKind(c.Picture); kind != "" {
		fmt.Fprintf(&b, "PHOTO;ENCODING=BASE64;TYPE=%s:%s\n", kind, base64.StdEncoding.EncodeToString(c.Picture))
	}
	b.WriteString("END:VCARD")
	return b.Bytes()
}

// pictureKind is "PNG" or "JPEG", or empty for what clients do not show.
func pictureKind(b []byte) string {
	switch {
	case bytes.HasPrefix(b, []byte("\x89PNG\r\n\x1a\n")):
		return "PNG"
	case bytes.HasPrefix(b, []byte("\xff\xd8\xff")):
		return "JPEG"
	}
	return ""
}

// Parse reads a card of version 2.1 or 3.0. It takes what it knows and skips the rest:
// clients differ in what they write. The error wraps ErrCard: more than MaxSize bytes, or no
// BEGIN:VCARD.
func Parse(b []byte) (Card, error) {
	if len(b) > MaxSize {
		return Card{}, fmt.Errorf("%w: %d bytes", ErrCard, len(b))
	}
	lines := unfold(string(b))
	if len(lines) == 0 || !strings.EqualFold(strings.TrimSpace(lines[0]), "BEGIN:VCARD") {
		return Card{}, fmt.Errorf("%w: no beginning", ErrCard)
	}
	var c Card
	for _, line := range lines[1:] {
		head, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		name, params, _ := strings.Cut(head, ";")
		switch strings.ToUpper(strings.TrimSpace(name)) {
		case "FN":
			if len(value) <= maxName && utf8.ValidString(value) {
				c.Name = strings.TrimSpace(unescape(value))
			}
		case "PHOTO":
			if params = strings.ToUpper(params); !strings.Contains(params, "BASE64") && !strings.Contains(params, "ENCODING=B") {
				continue
			}
			picture, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(value), ""))
			if err == nil && pictureKind(picture) != "" {
				c.Picture = picture
			}
		}
	}
	return c, nil
}

// unfold joins continued lines, which begin with a blank (RFC 2425 §5.8.1).
func unfold(text string) []string {
	var lines [][]string // the parts of each
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if n := len(lines); n > 0 && line != "" && (line[0] == ' ' || line[0] == '\t') {
			lines[n-1] = append(lines[n-1], line[1:])
			continue
		}
		lines = append(lines, []string{line})
	}
	out := make([]string, len(lines))
	for i, parts := range lines {
		out[i] = strings.Join(parts, "")
	}
	return out
}

// unescape takes the backslashes of vCard 3.0 away (RFC 2426 §4).
func unescape(s string) string {
	return strings.NewReplacer(`\\`, `\`, `\,`, `,`, `\;`, `;`, `\n`, " ", `\N`, " ").Replace(s)
}

package call

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"strings"
	"unicode/utf8"

	"github.com/emiago/sipgo/sip"
)

const (
	// textPiece is how much text goes into one message, in bytes: peers take no more than 8000
	// for the whole (docs/jami/calls.md#sip-on-a-channel).
	textPiece = 4096
	maxParts  = 16 // of a message, that are looked at
)

// contentType is a request's content type without parameters. Jami devices write theirs
// always alike.
func contentType(r *sip.Request) string {
	h := r.ContentType()
	if h == nil {
		return ""
	}
	kind, _, _ := strings.Cut(h.Value(), ";")
	return strings.TrimSpace(kind)
}

// textsOf are the lines of chat in a MESSAGE: its text, or those of its parts. What else
// devices send this way, such as their owner's card in pieces, is no chat.
func textsOf(r *sip.Request) []string {
	switch contentType(r) {
	case "text/plain":
		return []string{string(r.Body())}
	case "multipart/mixed":
		_, params, err := mime.ParseMediaType(r.ContentType().Value())
		if err != nil || params["boundary"] == "" {
			return nil
		}
		texts, _ := readParts(r.Body(), params["boundary"]) // what could be read is taken
		return texts
	}
	return nil
}

func readParts(body []byte, boundary string) (texts []string, err error) {
	parts := multipart.NewReader(bytes.NewReader(body), boundary)
	for range maxParts {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return texts, nil
		}
		if err != nil {
			return texts, err
		}
		kind, _, _ := strings.Cut(part.Header.Get("Content-Type"), ";")
		if !strings.EqualFold(strings.TrimSpace(kind), "text/plain") {
			continue
		}
		b, err := io.ReadAll(part) // no more than the message
		if err != nil {
			return texts, err
		}
		texts = append(texts, string(b))
	}
	return texts, nil
}

// pieces cuts a text into messages that peers can take, between characters.
func pieces(text string) []string {
	var out []string
	for len(text) > textPiece {
		n := textPiece
		for n > textPiece-utf8.UTFMax && !utf8.RuneStart(text[n]) {
			n--
		}
		out = append(out, text[:n])
		text = text[n:]
	}
	return append(out, text)
}

// displayName is the name by which a device introduces its owner: in From, or in Contact,
// where a called device has it.
func displayName(m interface {
	From() *sip.FromHeader
	Contact() *sip.ContactHeader
}) string {
	if _, response := m.(*sip.Response); !response && m.From().DisplayName != "" {
		return m.From().DisplayName
	}
	if contact := m.Contact(); contact != nil {
		return contact.DisplayName
	}
	return ""
}

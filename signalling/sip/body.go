package sip

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"strings"

	"github.com/emiago/sipgo/sip"

	"rendezvous/signalling/sdp"
)

// maxParts bounds the parts of a multipart body that are looked at.
const maxParts = 8

// description returns the session description a message carries, nil if there is none.
func description(msg sip.Message) (*sdp.Session, error) {
	body := msg.Body()
	if len(body) == 0 {
		return nil, nil
	}
	switch kind := mediaType(msg); {
	case kind == accept:
	case strings.HasPrefix(kind, "multipart/"):
		var err error
		if body, err = sdpPart(headerValue(msg, "Content-Type", "c"), body); err != nil || body == nil {
			return nil, err
		}
	default:
		return nil, nil
	}
	return sdp.Parse(body)
}

// sdpPart finds the session description in a multipart body (RFC 5621).
func sdpPart(contentType string, body []byte) ([]byte, error) {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil || params["boundary"] == "" {
		return nil, fmt.Errorf("multipart body without boundary")
	}
	r := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for range maxParts {
		part, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("multipart body: %w", err)
		}
		kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type"))
		if kind != accept {
			continue
		}
		text, err := io.ReadAll(part)
		if err != nil {
			return nil, fmt.Errorf("multipart body: %w", err)
		}
		return text, nil
	}
	return nil, nil
}

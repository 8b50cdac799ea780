package sip

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// infoAccept lists the bodies understood in INFO.
const infoAccept = "application/dtmf-relay, application/dtmf, application/media_control+xml"

// infoBodies reads them: a key, or whether a key frame is wanted.
var infoBodies = map[string]func([]byte) (infoMeaning, error){
	"application/dtmf-relay":        parseDTMFRelay,
	"application/dtmf":              parseDTMF,
	"application/media_control+xml": parseMediaControl,
}

// infoMeaning is what an INFO asks for.
type infoMeaning struct {
	key      rune // 0 for none
	keyFrame bool
}

// pictureFastUpdate is the request for a key frame of RFC 5168.
const pictureFastUpdate = `<?xml version="1.0" encoding="utf-8"?>
<media_control><vc_primitive><to_encoder><picture_fast_update/></to_encoder></vc_primitive></media_control>`

// info takes an INFO: a key press or a request for a key frame.
func (c *call) info(req *sip.Request, tx sip.ServerTransaction) {
	if len(req.Body()) == 0 { // a sign of life (RFC 2976 §2.2)
		c.door.respond(req, tx, c.response(req, 200, "OK"))
		return
	}
	read, known := infoBodies[mediaType(req)]
	if !known { // optional, or faultOf had refused it
		c.door.respond(req, tx, c.response(req, 200, "OK"))
		return
	}
	meaning, err := read(req.Body())
	if err != nil {
		c.door.reject(req, tx, *badHeader(err.Error()))
		return
	}
	c.door.respond(req, tx, c.response(req, 200, "OK"))
	if meaning.key != 0 {
		c.leg.Key(meaning.key)
	}
	if meaning.keyFrame {
		c.leg.RequestKeyFrame()
	}
}

var errNoKey = errors.New("no key in DTMF body")

// keyOf reads a key as phones write it: "5", "*", "star", "10" for star, "11" for hash.
func keyOf(s string) (rune, error) {
	s = strings.TrimSpace(s)
	switch strings.ToLower(s) {
	case "10", "star":
		return '*', nil
	case "11", "hash", "pound":
		return '#', nil
	}
	if len(s) == 1 && strings.ContainsAny(s, "0123456789*#ABCDabcd") {
		return rune(strings.ToUpper(s)[0]), nil
	}
	return 0, errNoKey
}

// parseDTMFRelay reads "Signal=5\r\nDuration=160".
func parseDTMFRelay(b []byte) (infoMeaning, error) {
	for line := range strings.Lines(string(b)) {
		name, value, ok := strings.Cut(line, "=")
		if ok && strings.EqualFold(strings.TrimSpace(name), "Signal") {
			key, err := keyOf(value)
			return infoMeaning{key: key}, err
		}
	}
	return infoMeaning{}, errNoKey
}

// parseDTMF reads a bare key.
func parseDTMF(b []byte) (infoMeaning, error) {
	key, err := keyOf(string(b))
	return infoMeaning{key: key}, err
}

// parseMediaControl looks for picture_fast_update; other primitives are taken and ignored.
func parseMediaControl(b []byte) (infoMeaning, error) {
	decoder := xml.NewDecoder(strings.NewReader(string(b)))
	decoder.Strict = false
	var m infoMeaning
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return m, nil
		}
		if err != nil {
			return infoMeaning{}, errors.New("unreadable media control body")
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "picture_fast_update" {
			m.keyFrame = true
		}
	}
}

package call

import (
	"fmt"
	"strconv"
	"strings"
)

// controlType is the content type of SIP INFO bodies that steer media (docs/jami/calls.md#media-control).
const controlType = "application/media_control+xml"

// dtmfType is the content type of the key presses that Jami devices send by SIP INFO.
const dtmfType = "application/dtmf-relay"

// parseKey reads "Signal=5\r\nDuration=250".
func parseKey(body string) (key rune, ok bool) {
	for line := range strings.Lines(body) {
		name, value, _ := strings.Cut(line, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "Signal") {
			continue
		}
		value = strings.ToUpper(strings.TrimSpace(value))
		switch {
		case value == "10":
			return '*', true
		case value == "11":
			return '#', true
		case len(value) == 1 && strings.Contains("0123456789*#ABCD", value):
			return rune(value[0]), true
		}
	}
	return 0, false
}

// Primitive is what one media control body says.
type Primitive uint8

// The primitives, in the order in which peers look for them.
const (
	KeyFrame       Primitive = iota + 1 // send a key frame
	Orientation                         // the sender's picture is to be turned by Value degrees
	RecordingState                      // the sender records, or no longer
	MuteState                           // the sender's microphone is off
	VoiceActivity                       // the sender speaks
)

// Control is one media control message.
type Control struct {
	Primitive Primitive
	Stream    int // index of the m-line, -1 if the message names none
	Value     int // for Orientation: degrees that the receiver is to turn the picture counterclockwise; 0 or 1 for the states
}

const controlHead = `<?xml version="1.0" encoding="utf-8" ?><media_control><vc_primitive>`

// String is the body as jamid writes it. It is no well-formed XML, and peers search
// for these very words.
func (c Control) String() string {
	stream := fmt.Sprintf("<stream_id>%d</stream_id>", c.Stream)
	if c.Stream < 0 {
		stream = ""
	}
	const end = `</vc_primitive></media_control>`
	switch c.Primitive {
	case KeyFrame:
		return controlHead + " " + stream + "<to_encoder><picture_fast_update/></to_encoder>" + end
	case Orientation:
		// The sender writes minus its rotation.
		return fmt.Sprintf("%s<to_encoder><device_orientation=%d/></to_encoder>%s%s", controlHead, -c.Value, stream, end)
	}
	word := map[Primitive]string{RecordingState: "recording_state", MuteState: "mute_state", VoiceActivity: "voice_activity"}[c.Primitive]
	return fmt.Sprintf("%s<to_encoder><%s=%d/></to_encoder>%s%s", controlHead, word, c.Value, stream, end)
}

// ParseControl reads a media control body by looking for the known words, as peers do.
func ParseControl(body string) (Control, bool) {
	c := Control{Stream: -1}
	if v, ok := number(body, "<stream_id>"); ok && v >= 0 && v < 64 {
		c.Stream = v
	}
	if strings.Contains(body, "picture_fast_update") {
		c.Primitive = KeyFrame
		return c, true
	}
	if v, ok := number(body, "device_orientation="); ok {
		c.Primitive = Orientation
		c.Value = ((-v%360)+540)%360 - 180
		if c.Value == -180 {
			c.Value = 180
		}
		return c, true
	}
	for _, p := range []struct {
		word string
		p    Primitive
	}{{"recording_state=", RecordingState}, {"mute_state=", MuteState}, {"voice_activity=", VoiceActivity}} {
		if v, ok := number(body, p.word); ok {
			c.Primitive, c.Value = p.p, min(1, max(0, v))
			return c, true
		}
	}
	return c, false
}

// number reads the decimal number that follows word.
func number(body, word string) (int, bool) {
	_, rest, ok := strings.Cut(body, word)
	if !ok {
		return 0, false
	}
	end := 0
	for end < len(rest) && end < 6 && (rest[end] >= '0' && rest[end] <= '9' || end == 0 && rest[end] == '-') {
		end++
	}
	n, err := strconv.Atoi(rest[:end])
	return n, err == nil
}

package call

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"image"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"rendezvous/conference"
)

// tellTime bounds how long a slow peer keeps its own news waiting.
const tellTime = 10 * time.Second

// callID is a call id as jamid makes them: a random decimal number of up to 16 digits.
func callID() string {
	var b [8]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return strconv.FormatUint(binary.BigEndian.Uint64(b[:])%1e16, 10)
}

func (c *Call) takeAllow(m interface{ GetHeader(string) sip.Header }) {
	if h := m.GetHeader("Allow"); h != nil {
		c.takesMessages.Store(strings.Contains(h.Value(), "MESSAGE"))
	}
}

// The methods below make the call a conference.Listener. They come one at a time,
// from a goroutine of the participant's own, and may wait for the peer.

// Admitted is called when the caller is in the room.
func (c *Call) Admitted() { c.leg.RequestKeyFrame() }

// Info takes the room's state, for the news.
func (c *Call) Info(info *conference.Info) {
	c.latest.Store(info)
	if m := c.member.Load(); m != nil {
		if name := ownName(info, m.ID()); name != "" {
			c.cameAs.CompareAndSwap(nil, &name)
		}
	}
	signal(c.news.changed)
}

// sized takes how large the pictures are that the caller is sent: their client cuts people out of them, and is told anew where they are.
func (c *Call) sized(width, height int) {
	size := image.Pt(width, height)
	first := c.shown.Swap(&size) == nil
	if info := c.latest.Load(); first && info != nil && size == image.Pt(info.Width, info.Height) {
		return // as they were told already
	}
	signal(c.news.changed)
}

func (c *Call) shownSize() image.Point {
	if p := c.shown.Load(); p != nil {
		return *p
	}
	return image.Point{}
}

// tellInfo sends the newest state of the room.
func (c *Call) tellInfo() {
	info := c.latest.Load()
	if info == nil {
		return
	}
	self := ""
	if m := c.member.Load(); m != nil {
		self = m.ID()
	}
	body, err := ConferenceInfo(info, self, c.shownSize())
	if err != nil {
		c.log.Error("conference information", "error", err)
		return
	}
	c.tell(sip.MESSAGE, infoType, body)
	if on := info.Recording == "on"; on != c.recordingTold.Swap(on) {
		state := Control{Primitive: RecordingState, Stream: -1}
		if on {
			state.Value = 1
		}
		c.tell(sip.INFO, controlType, []byte(state.String()))
	}
}

// Chat sends a line of chat with its author's name; the caller's own lines they have already.
func (c *Call) Chat(m conference.Message) {
	if member := c.member.Load(); member != nil && m.From == member.ID() {
		return
	}
	text := m.Text
	if m.Name != "" {
		text = m.Name + ": " + text
	}
	c.say(text)
}

// Notice tells the caller in words what their client has no sign for.
func (c *Call) Notice(n conference.Notice) {
	text := n.Text
	switch n.Kind {
	case conference.NoticeEntered, conference.NoticeLeft, conference.NoticeMuted, conference.NoticeUnmuted:
		return // the conference information shows it
	case conference.NoticeRecordingStarted:
		c.say("This meeting is being recorded.")
		signal(c.recorded)
		return
	case conference.NoticeRecordingStopped:
		text = "The recording has stopped."
		if n.Text != "" {
			text = "The recording is " + n.Text + "."
		}
	case conference.NoticeLobby:
		text = "Please wait: a moderator will let you in."
	case conference.NoticeRefused:
		text = "Not done: " + text
	case conference.NoticeKnock:
		text += " is waiting to join."
	case conference.NoticeHand:
		text += " has raised a hand."
	case conference.NoticeMoved:
		text = "You are in another room now: " + text
	case conference.NoticeContact:
		if text != "" {
			text += " asks to be a contact."
		}
	}
	if text != "" {
		c.say(text)
	}
}

func (c *Call) say(text string) {
	for _, piece := range pieces(text) {
		c.tell(sip.MESSAGE, "text/plain", []byte(piece))
	}
}

// Ended is called when the caller is out of the room.
func (c *Call) Ended(reason conference.EndReason) {
	c.end(fmt.Errorf("%s: %w", reason, errEnded))
}

// tell sends one request and waits for its answer, and reports whether there was one. jamid
// answers MESSAGE with 500 although it has taken it (docs/jami/calls.md#headers), so the code says nothing.
func (c *Call) tell(method sip.RequestMethod, contentType string, body []byte) bool {
	if method == sip.MESSAGE && !c.takesMessages.Load() {
		return false
	}
	select {
	case <-c.acked:
	case <-c.ctx.Done():
		return false
	}
	ctx, cancel := context.WithTimeout(c.ctx, tellTime)
	defer cancel()
	_, err := c.send(ctx, method, contentType, body)
	if err != nil && c.ctx.Err() == nil {
		c.log.Debug("message to the caller", "type", contentType, "error", err)
	}
	return err == nil
}

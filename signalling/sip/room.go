package sip

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"rendezvous/conference"
	"rendezvous/internal/prompts"
)

// roomListener hears what the room tells one caller. It is their conference.Listener.
type roomListener struct {
	call     *call
	admitted chan struct{}             // one token
	ended    chan conference.EndReason // one reason
	recorded chan (<-chan struct{})    // one, closed when the caller has heard that the meeting is recorded

	mu   sync.Mutex // guards busy
	busy time.Time  // until when notices are being played
}

func newRoomListener(c *call) *roomListener {
	return &roomListener{call: c, admitted: make(chan struct{}, 1), ended: make(chan conference.EndReason, 1),
		recorded: make(chan (<-chan struct{}), 1)}
}

// stay is the caller's time in the room.
func (c *call) stay(member *conference.Member, e *roomListener) {
	orders := c.pad.Orders(member, c.latestInfo.Load)
	var told <-chan struct{}
	for {
		select {
		case told = <-e.recorded:
		case <-told:
			told = nil
			member.Informed()
		case key := <-c.pad.Keys():
			orders.Press(key, time.Now())
		case <-e.admitted:
			c.greet(member)
		case reason := <-e.ended:
			c.putOut(reason)
			return
		case <-c.over.Done():
			member.Leave(leaveReason(context.Cause(c.over)))
			<-e.ended
			return
		}
	}
}

func leaveReason(cause error) conference.EndReason {
	switch {
	case errors.Is(cause, errTimedOut), errors.Is(cause, errExpired), errors.Is(cause, errUnreachable):
		return conference.EndTimeout
	case errors.Is(cause, context.Canceled):
		return conference.EndShutdown
	}
	return conference.EndLeft
}

// greet tells a newcomer how many others there are.
func (c *call) greet(member *conference.Member) {
	others := 0
	if info := member.Room().Info(); info != nil {
		for i := range info.Participants {
			if p := &info.Participants[i]; p.ID != member.ID() && !p.Waiting {
				others++
			}
		}
	}
	switch others {
	case 0:
		c.pad.Say(prompts.First)
	case 1:
		c.pad.Say(prompts.OneOther)
	default:
		c.pad.Say(append([]prompts.Prompt{prompts.Others}, prompts.Number(others)...)...)
	}
}

// putOut tells somebody who was taken out of the room why.
func (c *call) putOut(reason conference.EndReason) {
	c.why = string(reason)
	words := map[conference.EndReason]prompts.Prompt{
		conference.EndRemoved:  prompts.Removed,
		conference.EndBanned:   prompts.Removed,
		conference.EndDenied:   prompts.Denied,
		conference.EndMeeting:  prompts.Ended,
		conference.EndShutdown: prompts.Draining,
		conference.EndTimeout:  prompts.Ended,
	}
	word, ok := words[reason]
	if !ok || c.over.Err() != nil {
		return
	}
	c.pad.Outside()
	c.leg.StopPlaying() // what was still to be said does not matter any more
	c.pad.Farewell(c.over, word, prompts.Goodbye)
}

// Admitted is heard when the caller comes into the room.
func (e *roomListener) Admitted() {
	select {
	case e.admitted <- struct{}{}:
	default:
	}
}

// Info keeps the newest snapshot, for the keys.
func (e *roomListener) Info(info *conference.Info) { e.call.latestInfo.Store(info) }

// Chat sends a line to phones that take messages.
func (e *roomListener) Chat(m conference.Message) {
	c := e.call
	if member := c.member.Load(); member != nil && m.From == member.ID() {
		return
	}
	text := m.Text
	if m.Name != "" {
		text = m.Name + ": " + text
	}
	c.sendMessage(text)
}

// sendMessage sends a line of text to phones that take messages.
func (c *call) sendMessage(text string) {
	if !c.dialog.may(sip.MESSAGE) || strings.TrimSpace(text) == "" {
		return
	}
	ctx, cancel := context.WithTimeout(c.over, byeTimeout)
	defer cancel()
	_, err := c.dialog.do(ctx, c.door, sip.MESSAGE, func(req *sip.Request) {
		req.AppendHeader(sip.NewHeader("Content-Type", "text/plain;charset=utf-8"))
		req.SetBody([]byte(text))
	})
	if err != nil {
		c.log.Debug("message not taken", "error", err)
	}
}

// Notice says or sounds what the room has to tell.
func (e *roomListener) Notice(n conference.Notice) {
	c := e.call
	set := c.door.prompts
	tones := c.door.cfg.Chatter == ChatterTones
	switch n.Kind {
	case conference.NoticeEntered:
		if tones {
			e.play(prompts.Entry(), true)
		}
	case conference.NoticeLeft:
		if tones {
			e.play(prompts.Exit(), true)
		}
	case conference.NoticeKnock, conference.NoticeHand:
		e.play(prompts.Beep(), true)
	case conference.NoticeAnnouncement, conference.NoticeRefused, conference.NoticeNoise:
		e.play(prompts.Beep(), true)
		c.sendMessage(n.Text)
	case conference.NoticeRecordingStarted:
		said := e.play(set.Say(prompts.RecordingOn), false)
		select {
		case <-e.recorded: // an older one that nobody has looked at
		default:
		}
		e.recorded <- said
	default:
		if word, ok := noticeWords[n.Kind]; ok {
			e.play(set.Say(word), false)
		}
	}
}

// noticeWords are the notices that are spoken.
var noticeWords = map[conference.NoticeKind]prompts.Prompt{
	conference.NoticeMuted:            prompts.MutedBy,
	conference.NoticeUnmuted:          prompts.UnmutedBy,
	conference.NoticeRecordingStopped: prompts.RecordingOff,
	conference.NoticeRecordingFailed:  prompts.RecordingFailed,
	conference.NoticeEnding:           prompts.Ending,
	conference.NoticeLobby:            prompts.Lobby,
	conference.NoticeMoved:            prompts.Moved,
}

// maxBacklog is how much may wait to be played before tones are left out.
const maxBacklog = 2 * time.Second

// play plays a notice. Tones are left out when much waits already: a hundred
// people who come at once are not worth a minute of ringing. The channel is closed when it has been played.
func (e *roomListener) play(pcm []int16, minor bool) (played <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	if e.busy.Before(now) {
		e.busy = now
	}
	if minor && e.busy.Sub(now) > maxBacklog {
		return nil
	}
	e.busy = e.busy.Add(time.Duration(len(pcm)) * time.Second / prompts.SampleRate)
	return e.call.leg.Play(pcm)
}

// Ended is heard last.
func (e *roomListener) Ended(reason conference.EndReason) { e.ended <- reason }

package conference

import (
	"context"
	"errors"
	"time"

	"rendezvous/moderation"
)

// Recorder makes recordings of rooms' mixes; a room without one records nothing.
type Recorder interface {
	// Start begins a recording. It may take its time; ctx bounds only that. The Recording's
	// methods are called one at a time from a goroutine of the recording's own.
	Start(ctx context.Context, q RecordingRequest) (Recording, error)
}

// Recording is one that a Recorder has begun. What cannot go on is said by Failed; an error of
// Pause or Resume is only of that.
type Recording interface {
	// ID is the recording's name in the catalogue. It may be asked for at any time.
	ID() string
	// Pause leaves out what comes until Resume; the file's time goes on after it without a gap.
	Pause() error
	// Resume goes on after Pause.
	Resume() error
	// Info tells who is there, who is speaking and how the picture is divided: each snapshot
	// of the room, or the newest where several were made meanwhile.
	Info(info *Info)
	// Stop finishes the file and returns when it is safe. ErrNothingRecorded, wrapped or not, says that there is none.
	Stop() error
	// Failed delivers one error if the recording cannot go on (disk full). Stop is still called.
	Failed() <-chan error
}

// ErrNothingRecorded is of a recording that ended before there was anything in it, and is not kept.
var ErrNothingRecorded = errors.New("nothing was recorded")

// Speaker turns text into speech: 48 kHz mono.
type Speaker interface {
	// Speak says text, in the time that ctx gives it. It fails where no voice is there for it.
	Speak(ctx context.Context, text string) ([]int16, error)
}

// Operator is somebody who gives orders without being in the room: through the
// control API, the command line, or a chat command in the room's swarm.
type Operator struct {
	Name     string
	Identity string
	Door     string // "api", "cli", …
	Role     moderation.Role
	// Elsewhere tells whether they may give orders in another room too, by its id; nil: only by what their identity
	// is there.
	Elsewhere func(room string) bool
}

const (
	dialTimeout  = 2 * time.Minute
	mostOutgoing = 8 // calls being made for a room
	speakTimeout = 30 * time.Second
	mostSpeaking = 4 // announcements being spoken in a room
)

// dial finds who can call the address; the call itself goes on after the order.
func (r *Room) dial(by actor, o moderation.Order) (after func() error, err error) {
	switch {
	case r.host.draining.Load():
		return nil, refuse(o, "The host is about to stop.")
	case r.outgoing >= mostOutgoing:
		return nil, refuse(o, "Too many calls are being made already.")
	}
	r.outgoing++
	return func() error {
		d := r.host.dialer(o.Text)
		r.mu.Lock()
		defer r.mu.Unlock()
		if d == nil || r.closed {
			r.outgoing--
			return refuse(o, "There is no way to call %.80q.", o.Text)
		}
		r.wg.Go(func() { r.call(d, by.member, o.Text) })
		return nil
	}, nil
}

// call makes an outgoing call and tells who ordered it if it fails.
func (r *Room) call(d Dialer, by *Member, address string) {
	ctx, cancel := context.WithTimeout(r.ctx, dialTimeout)
	defer cancel()
	err := d.Dial(ctx, r, address)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.outgoing--
	if err == nil {
		return
	}
	r.log.Info("outgoing call failed", "address", address, "error", err)
	if by != nil {
		by.box.post(Notice{NoticeRefused, "Calling " + address + ": " + err.Error()})
	}
}

// announce shows text to all present and, where a Speaker is there, says it.
func (r *Room) announce(text string) {
	r.tell(Notice{NoticeAnnouncement, text}, everybody)
	if r.host.cfg.Speaker == nil || r.speaking >= mostSpeaking || r.closed {
		return
	}
	r.speaking++
	r.wg.Go(func() {
		ctx, cancel := context.WithTimeout(r.ctx, speakTimeout)
		defer cancel()
		pcm, err := r.host.cfg.Speaker.Speak(ctx, text)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.speaking--
		switch {
		case err != nil:
			r.log.Warn("announcement not spoken", "error", err)
		case len(r.members) > 0:
			r.mix.Announce(pcm)
		}
	})
}

package conference

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rendezvous/conference/settings"
	"rendezvous/moderation"
)

// recorder stands for package recordings: what it is told is kept.
type recorder struct {
	err     error         // Start fails
	starts  chan struct{} // if not nil, Start waits for a token
	stopErr error

	mu       sync.Mutex
	requests []RecordingRequest
	tapes    []*recorded
}

type recorded struct {
	r      *recorder
	failed chan error

	mu    sync.Mutex
	did   []string
	infos int
}

func (r *recorder) Start(ctx context.Context, q RecordingRequest) (Recording, error) {
	if r.starts != nil {
		select {
		case <-r.starts:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, q)
	if r.err != nil {
		return nil, r.err
	}
	t := &recorded{r: r, failed: make(chan error, 1)}
	r.tapes = append(r.tapes, t)
	return t, nil
}

func (t *recorded) do(what string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.did = append(t.did, what)
	return nil
}

func (t *recorded) ID() string           { return "rec" }
func (t *recorded) Pause() error         { return t.do("pause") }
func (t *recorded) Resume() error        { return t.do("resume") }
func (t *recorded) Stop() error          { t.do("stop"); return t.r.stopErr }
func (t *recorded) Failed() <-chan error { return t.failed }
func (t *recorded) Info(*Info) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.infos++
}

// runsOf returns what was done with each recording once the host is closed.
func (r *recorder) runsOf() (did [][]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.tapes {
		t.mu.Lock()
		did = append(did, t.did)
		t.mu.Unlock()
	}
	return did
}

func record(text string) moderation.Order {
	return moderation.Order{Action: moderation.Record, Text: text}
}

func recording(want moderation.Recording) func(*Info) bool {
	return func(i *Info) bool { return i.Recording == want }
}

func TestRecordingByOrder(t *testing.T) {
	rec := &recorder{}
	var events []string // with the room locked: one at a time
	h := newHost(t, Config{Recorder: rec, Events: func(e Event) {
		if strings.HasPrefix(string(e.Kind), "recording.") {
			events = append(events, string(e.Kind)+" "+e.Recording)
		}
	}}, settings.Room{Title: "Main"})
	r := h.Rooms()[0]
	mod, e := joinAs(t, r, "mod", moderation.Moderator)
	mustNot(t, mod, record("stop"), "The meeting is not being recorded.")
	must(t, mod, record("start"))
	mustNot(t, mod, record("start"), "The meeting is already being recorded.")
	e.waitInfo(t, "recording", recording(moderation.RecordingOn))
	e.waitNotice(t, NoticeRecordingStarted)
	_, late := join(t, r, Caller{})
	late.waitNotice(t, NoticeRecordingStarted) // who comes later is told, too
	must(t, mod, record("pause"))
	e.waitInfo(t, "paused", recording(moderation.RecordingPaused))
	mustNot(t, mod, record("pause"), "The meeting is not being recorded.")
	must(t, mod, record("resume"))
	must(t, mod, record("stop"))
	e.waitInfo(t, "stopped", recording(moderation.RecordingOff))
	e.waitNotice(t, NoticeRecordingStopped)
	must(t, mod, record("start")) // a second one, which the end of the meeting stops
	must(t, mod, moderation.Order{Action: moderation.End})
	h.Close()
	did := rec.runsOf()
	if len(did) < 1 || !slices.Equal(did[0], []string{"pause", "resume", "stop"}) {
		t.Errorf("the recorder was told %v", did)
	}
	// Of the second, which may have been stopped before it ran, only the end is certain.
	if want := []string{"recording.started rec", "recording.stopped rec"}; !slices.Equal(events[:2], want) || !slices.Contains(events[2:], "recording.done rec") {
		t.Errorf("events %v", events)
	}
	for _, d := range did {
		if d[len(d)-1] != "stop" {
			t.Errorf("a recording was not stopped: %v", d)
		}
	}
	if q := rec.requests[0]; q.Room != "main" || q.Title != "Main" || q.By != "mod" || q.Mixer != r.mix || len(q.Info.Participants) != 1 {
		t.Errorf("asked for %+v", q)
	}
}

// Of a recording that ended before there was anything in it nobody is told that it is to be had, nor that it has failed.
func TestNothingRecorded(t *testing.T) {
	rec := &recorder{stopErr: ErrNothingRecorded}
	var events []EventKind // with the room locked: one at a time
	h := newHost(t, Config{Recorder: rec, Events: func(e Event) {
		if e.Recording != "" {
			events = append(events, e.Kind)
		}
	}}, settings.Room{})
	mod, e := joinAs(t, h.Rooms()[0], "mod", moderation.Moderator)
	must(t, mod, record("start"))
	e.waitInfo(t, "recording", recording(moderation.RecordingOn))
	must(t, mod, record("stop"))
	h.Close()
	if want := []EventKind{EventRecordingStarted, EventRecordingStopped}; !slices.Equal(events, want) {
		t.Errorf("events %v, want %v", events, want)
	}
}

func TestRecordingByPolicy(t *testing.T) {
	for policy, want := range map[moderation.RecordPolicy]struct {
		starts bool
		stop   string // why stopping is refused; "": it is not
	}{
		moderation.RecordNever:   {false, "This room is not recorded."},
		moderation.RecordOnOrder: {false, "The meeting is not being recorded."},
		moderation.RecordAuto:    {true, ""},
		moderation.RecordAlways:  {true, "This room is always recorded."},
	} {
		t.Run(string(policy), func(t *testing.T) {
			rec := &recorder{}
			h := newHost(t, Config{Recorder: rec}, settings.Room{Recording: policy, Lobby: true})
			r := h.Rooms()[0]
			_, waiting := join(t, r, Caller{})
			waiting.waitNotice(t, NoticeLobby)
			if len(rec.runsOf()) > 0 {
				t.Error("records an empty room")
			}
			mod, e := joinAs(t, r, "mod", moderation.Moderator)
			if want.starts {
				e.waitInfo(t, "recording", recording(moderation.RecordingOn))
			}
			if want.stop != "" {
				mustNot(t, mod, record("stop"), want.stop)
			} else {
				must(t, mod, record("stop"))
			}
			h.Close()
			if got := len(rec.runsOf()); (got == 1) != want.starts {
				t.Errorf("%d recordings were made", got)
			}
			for _, did := range rec.runsOf() {
				if !slices.Equal(did, []string{"stop"}) {
					t.Errorf("the recorder was told %v", did)
				}
			}
		})
	}
}

// A recording that failed in a room that records by itself is begun again until it works, with pauses, and the moderators
// are told once that it does not; one that a moderator has stopped is not.
func TestRecordingIsBegunAgain(t *testing.T) {
	for _, policy := range []moderation.RecordPolicy{moderation.RecordAuto, moderation.RecordAlways, moderation.RecordOnOrder} {
		t.Run(string(policy), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testBegunAgain(t, policy) })
		})
	}
}

func testBegunAgain(t *testing.T, policy moderation.RecordPolicy) {
	rec := &recorder{}
	h := newHost(t, Config{Recorder: rec}, settings.Room{Recording: policy})
	defer h.Close()
	mod, e := joinAs(t, h.Rooms()[0], "mod", moderation.Moderator)
	counted := func(kind NoticeKind) (n int) {
		synctest.Wait()
		e.mu.Lock()
		defer e.mu.Unlock()
		for _, notice := range e.notices {
			if notice.Kind == kind {
				n++
			}
		}
		return n
	}
	tries := func() int {
		synctest.Wait()
		rec.mu.Lock()
		defer rec.mu.Unlock()
		return len(rec.requests)
	}
	space := func(err error) {
		rec.mu.Lock()
		defer rec.mu.Unlock()
		rec.err = err
	}
	if policy == moderation.RecordOnOrder {
		must(t, mod, record("start"))
	}
	e.waitInfo(t, "recording", recording(moderation.RecordingOn))
	full := errors.New("no space left on device")
	space(full)
	rec.tapes[0].failed <- full
	if policy == moderation.RecordOnOrder {
		space(nil)
		time.Sleep(mostRetake)
		if n := tries(); n != 1 {
			t.Errorf("what was ordered once was begun %d times", n)
		}
		return
	}
	time.Sleep(5 * time.Minute)
	if n := tries(); n != 1+6 { // after 5, 15, 35, 75, 155 and 275 seconds
		t.Errorf("begun %d times in five minutes", n)
	}
	if n := counted(NoticeRecordingFailed); n != 1 {
		t.Errorf("told %d times of the failure", n)
	}
	space(nil)
	time.Sleep(mostRetake + time.Second)
	e.waitInfo(t, "recording again", recording(moderation.RecordingOn))
	if n := counted(NoticeRecordingStarted); n != 2 {
		t.Errorf("told %d times of the start", n)
	}

	// An order does not wait for the pause, and whoever gave it is told what came of it.
	space(full)
	rec.tapes[1].failed <- full
	e.waitInfo(t, "stopped", recording(moderation.RecordingOff))
	before := tries()
	must(t, mod, record("start"))
	if n := tries(); n != before+1 {
		t.Errorf("begun %d times by one order", n-before)
	}
	if n := counted(NoticeRecordingFailed); n != 3 {
		t.Errorf("told %d times of the failures", n)
	}
	space(nil)
	time.Sleep(mostRetake)
	e.waitInfo(t, "recording again", recording(moderation.RecordingOn))
	if policy == moderation.RecordAuto {
		must(t, mod, record("stop"))
		before := tries()
		time.Sleep(mostRetake)
		if n := tries(); n != before {
			t.Error("begun again although it was stopped")
		}
	}
	must(t, mod, moderation.Order{Action: moderation.End})
	before = tries()
	time.Sleep(mostRetake)
	if n := tries(); n != before {
		t.Error("an empty room is recorded")
	}
}

func TestRecordingThatFails(t *testing.T) {
	t.Run("at the start", func(t *testing.T) {
		h := newHost(t, Config{Recorder: &recorder{err: errors.New("no space left")}}, settings.Room{})
		mod, e := joinAs(t, h.Rooms()[0], "mod", moderation.Moderator)
		_, other := join(t, h.Rooms()[0], Caller{})
		must(t, mod, record("start"))
		if n := e.waitNotice(t, NoticeRecordingFailed); n.Text != "start: no space left" {
			t.Errorf("told %q", n.Text)
		}
		must(t, mod, record("start")) // may be tried again
		must(t, mod, moderation.Order{Action: moderation.Announce, Text: "x"})
		other.waitNotice(t, NoticeAnnouncement)
		other.mu.Lock()
		defer other.mu.Unlock()
		if slices.ContainsFunc(other.notices, func(n Notice) bool { return n.Kind == NoticeRecordingFailed }) {
			t.Error("somebody who is no moderator was told")
		}
	})
	t.Run("in the middle", func(t *testing.T) {
		rec := &recorder{stopErr: errors.New("file is broken")}
		h := newHost(t, Config{Recorder: rec}, settings.Room{Recording: moderation.RecordAlways})
		_, e := joinAs(t, h.Rooms()[0], "mod", moderation.Moderator)
		e.waitInfo(t, "recording", recording(moderation.RecordingOn))
		rec.mu.Lock()
		rec.tapes[0].failed <- errors.New("disk full")
		rec.mu.Unlock()
		e.waitInfo(t, "stopped", recording(moderation.RecordingOff))
		e.wait(t, "both failures", func() bool {
			return slices.Contains(e.notices, Notice{NoticeRecordingFailed, "disk full"}) &&
				slices.Contains(e.notices, Notice{NoticeRecordingFailed, "finish: file is broken"})
		})
		if did := rec.runsOf(); !slices.Equal(did[0], []string{"stop"}) {
			t.Errorf("the recorder was told %v", did)
		}
	})
	t.Run("slow", func(t *testing.T) {
		rec := &recorder{starts: make(chan struct{})}
		h := newHost(t, Config{Recorder: rec}, settings.Room{})
		mod, e := joinAs(t, h.Rooms()[0], "mod", moderation.Moderator)
		must(t, mod, record("start"))
		must(t, mod, record("stop")) // before it has begun
		must(t, mod, record("start"))
		rec.starts <- struct{}{}
		rec.starts <- struct{}{}
		e.waitInfo(t, "the second", recording(moderation.RecordingOn))
		must(t, mod, record("stop"))
		must(t, mod, record("start"))
		h.Close() // while the third is starting
		for _, did := range rec.runsOf() {
			if !slices.Equal(did, []string{"stop"}) {
				t.Errorf("the recorder was told %v", did)
			}
		}
	})
}

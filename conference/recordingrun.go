package conference

import (
	"errors"
	"fmt"
	"time"

	"rendezvous/mixer"
	"rendezvous/moderation"
)

// RecordingRequest is what a Recorder is told of the recording it is to make.
type RecordingRequest struct {
	Room  string
	Title string
	By    string       // name of who ordered it; "" by the room's policy
	Mixer *mixer.Mixer // to attach the recorder's taps to
	Info  *Info        // the room at the start
}

// recordingRun is one recording from order to end. Its goroutine is the only one that
// calls the Recorder, which may be slow: the room only leaves word.
type recordingRun struct {
	room  *Room
	by    string
	words chan string // "pause", "resume"; closed: stop
	info  chan *Info  // the newest
	began time.Time   // when it ran; zero: it does not yet
	id    string      // of the recording, once it runs; guarded by the room's lock
}

// wordsQueued is how many orders may wait for a slow recorder.
const wordsQueued = 16

// orderRecording carries out a Record order.
func (r *Room) orderRecording(o moderation.Order, by string) error {
	switch o.Text {
	case "start":
		r.retake.told = false // whoever orders it wants to know
		r.startRecording(by)
	case "stop":
		r.stopRecording()
		r.retake = retake{}
	default:
		if r.run == nil {
			return refuse(o, "The meeting is not being recorded.")
		}
		select {
		case r.run.words <- o.Text:
		default:
			return refuse(o, "The recorder is busy.")
		}
		if o.Text == "pause" {
			r.recording = moderation.RecordingPaused
			r.tell(Notice{Kind: NoticeRecordingStopped, Text: "paused"}, everybody)
		} else {
			r.recording = moderation.RecordingOn
			for _, m := range r.members {
				m.aware = false
			}
			r.tellRecorded()
		}
	}
	return nil
}

func everybody(*Member) bool { return true }

// startRecording begins a recording. Only when the recorder says it runs is it shown as on.
func (r *Room) startRecording(by string) {
	if r.host.cfg.Recorder == nil || r.run != nil || r.closed {
		return
	}
	t := &recordingRun{room: r, by: by, words: make(chan string, wordsQueued), info: make(chan *Info, 1)}
	r.run, r.retake.at = t, time.Time{}
	r.wg.Go(t.run)
}

// stopRecording ends the recording; the recorder finishes the file by itself.
func (r *Room) stopRecording() {
	if r.run == nil {
		return
	}
	close(r.run.words)
	id := r.run.id
	r.run = nil
	if r.recording != moderation.RecordingOff {
		r.recording = moderation.RecordingOff
		r.emit(Event{Kind: EventRecordingStopped, Recording: id})
		r.tell(Notice{Kind: NoticeRecordingStopped}, everybody)
	} else { // it was never on, but who has come since the order was told that it would be
		r.tell(Notice{Kind: NoticeRecordingStopped}, func(m *Member) bool { return m.aware })
	}
	r.unrecorded()
	r.changed()
}

// postInfo leaves the newest snapshot for the recorder. It is called under the room's lock only.
func (t *recordingRun) postInfo(info *Info) {
	select {
	case <-t.info:
	default:
	}
	t.info <- info
}

// first is the snapshot that the recording begins with. One that waits is older: told after it,
// it would have somebody leave who has just come.
func (t *recordingRun) first() *Info {
	t.room.mu.Lock()
	defer t.room.mu.Unlock()
	select {
	case <-t.info:
	default:
	}
	return t.room.snapshot()
}

func (t *recordingRun) run() {
	r := t.room
	metrics := r.host.cfg.Metrics
	rec, err := r.host.cfg.Recorder.Start(r.ctx, RecordingRequest{
		Room: r.id, Title: r.Title(), By: t.by, Mixer: r.mix, Info: t.first(),
	})
	if err != nil {
		t.failed(fmt.Errorf("start: %w", err))
		return
	}
	metrics.recordings.Inc()
	defer metrics.recordings.Dec()
	t.running(rec.ID())
	err = t.obey(rec)
	if err != nil {
		t.failed(err) // what was recorded so far is still finished
	}
	switch err := rec.Stop(); {
	case errors.Is(err, ErrNothingRecorded):
		return // there is none to be had
	case err != nil:
		t.failed(fmt.Errorf("finish: %w", err))
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.emit(Event{Kind: EventRecordingDone, Recording: rec.ID()})
}

// obey passes on what the room wants until it wants no more, or the recording cannot go on.
func (t *recordingRun) obey(rec Recording) error {
	for {
		select {
		case word, ok := <-t.words:
			if !ok {
				return nil
			}
			var err error
			if word == "pause" {
				err = rec.Pause()
			} else {
				err = rec.Resume()
			}
			if err != nil {
				return fmt.Errorf("%s: %w", word, err)
			}
		case info := <-t.info:
			rec.Info(info)
		case err := <-rec.Failed():
			return err
		}
	}
}

// running shows the recording as on, unless it has been stopped meanwhile.
func (t *recordingRun) running(id string) {
	r := t.room
	r.mu.Lock()
	defer r.mu.Unlock()
	t.began, t.id = time.Now(), id
	if r.run == t {
		r.recording, r.retake.told = moderation.RecordingOn, false
		r.emit(Event{Kind: EventRecordingStarted, Recording: id})
		r.tellRecorded()
		r.changed()
	}
}

// failed ends the recording, never the meeting, and tells the moderators. In a room that is recorded by its
// policy it is begun again later; that this fails too is told no second time.
func (t *recordingRun) failed(err error) {
	r := t.room
	r.host.cfg.Metrics.recFailed.Inc()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.run == t {
		r.stopRecording()
		if r.retakeLater(t) {
			r.log.Debug("recording still fails", "error", err)
			return
		}
	}
	r.log.Error("recording failed", "error", err)
	r.emit(Event{Kind: EventRecordingFailed, Reason: err.Error(), Recording: t.id})
	r.tell(Notice{NoticeRecordingFailed, err.Error()}, leads)
}

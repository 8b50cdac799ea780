package recordings

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"rendezvous/mixer/audio"
	"rendezvous/mixer/ladder"
)

// Recording is a recording that is being made. It is an audio.Member and, through
// Video, a ladder.Viewer to attach to the room's mixer, and is given the people
// present by Update. One goroutine writes the files, another one sees to it that they last.
type Recording struct {
	lib   *Library
	log   *slog.Logger
	dir   string
	queue *queue
	audio audio.Format
	start time.Time // with the monotonic clock
	file  *meeting

	failed  chan error    // takes one
	written chan struct{} // wakes the goroutine that syncs
	trouble chan error    // takes one: what that goroutine could not do

	stop   chan struct{} // closed by Stop
	done   chan struct{} // closed when the writer has ended
	once   sync.Once
	result error // of Stop; read after done

	needKey atomic.Bool // the next picture must be a key frame
	paused  atomic.Bool

	mu        sync.Mutex // guards what follows
	entry     Entry
	journal   *journal
	tracks    []*Track
	files     []*growing
	counted   uint64        // drops that are in the metrics
	pausedAt  time.Duration // recording time at which it stands while paused
	pausedFor time.Duration // in all
}

// ID is the recording's id in the catalogue.
func (r *Recording) ID() string { return r.entry.ID } // never changes

// now is the recording's time: since the start, without pauses.
func (r *Recording) now() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.nowLocked()
}

func (r *Recording) nowLocked() time.Duration {
	if r.paused.Load() {
		return r.pausedAt
	}
	return r.lib.since(r.start) - r.pausedFor
}

// ReadFrame implements audio.Member: a recorder is silent.
func (r *Recording) ReadFrame(*audio.Frame) bool { return false }

// ReadPrivate implements audio.Member.
func (r *Recording) ReadPrivate(*audio.Frame) bool { return false }

// Format implements audio.Member.
func (r *Recording) Format() audio.Format {
	if r.paused.Load() {
		return audio.Format{}
	}
	return r.audio
}

// WritePacket implements audio.Member.
func (r *Recording) WritePacket(p audio.Packet, _ audio.Format) {
	if !r.paused.Load() {
		r.queue.put(item{at: r.now(), data: p.Payload})
	}
}

// Watching implements ladder.Viewer: the best rung, in H.264.
func (r *Recording) Watching(dst []ladder.Want) []ladder.Want {
	if r.paused.Load() {
		return dst
	}
	return append(dst, ladder.Want{Codec: ladder.H264, Rung: 0, Key: r.needKey.Load()})
}

// WriteUnit implements ladder.Viewer.
func (r *Recording) WriteUnit(u *ladder.Unit) {
	if u.Codec != ladder.H264 || u.Rung != 0 || r.paused.Load() {
		return
	}
	if r.needKey.Load() {
		if !u.Key {
			return
		}
		r.needKey.Store(false)
	}
	r.queue.put(item{at: r.now(), unit: u})
}

// Update tells who is there and who is talking.
func (r *Recording) Update(people []Person) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.journal.update(people, r.nowLocked(), r.lib.cfg.Now())
}

// Track begins a file with the sound of one participant, or goes on with it if there
// is one already. Attach it to the mix as a tap that hears them alone.
func (r *Recording) Track(id, name string) *Track {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.tracks {
		if t.id == id {
			return t
		}
	}
	t := &Track{rec: r, id: id, name: name, file: fmt.Sprintf("track-%03d.ogg", len(r.tracks)+1)}
	r.tracks = append(r.tracks, t)
	return t
}

// Pause leaves out what follows. The error is always nil; twice is the same as once.
func (r *Recording) Pause() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.paused.Load() {
		r.pausedAt = r.nowLocked()
		r.paused.Store(true)
	}
	return nil
}

// Resume goes on where Pause left off, with the next key frame. The error is always nil;
// without Pause it does nothing.
func (r *Recording) Resume() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.paused.Load() {
		r.pausedFor = r.lib.since(r.start) - r.pausedAt
		r.needKey.Store(true)
		r.paused.Store(false)
	}
	return nil
}

// Failed delivers one error if the recording cannot go on, for instance because the
// disk is full. What was recorded until then is kept; Stop is still to be called.
func (r *Recording) Failed() <-chan error { return r.failed }

// Stop ends the recording and returns when its files and the catalogue are written. The
// recording must have been taken out of the mixer. Stopping twice is the same as once. The
// error is the first that the disk has had, during the recording too; what could be written
// is there all the same.
func (r *Recording) Stop() error {
	r.once.Do(func() { close(r.stop) })
	<-r.done
	return r.result
}

// run writes what the queue holds until Stop.
func (r *Recording) run() {
	defer close(r.done)
	var syncing sync.WaitGroup
	end := make(chan struct{})
	syncing.Go(func() { r.harden(end) })
	var failure error
	var items []item
	write := func() {
		var cut bool
		items, cut = r.queue.take(items[:0])
		if cut {
			r.needKey.Store(true)
		}
		if failure != nil {
			return
		}
		if failure = r.write(items, cut); failure != nil {
			r.fail(failure)
		}
	}
	for {
		select {
		case <-r.queue.wake:
			write()
		case err := <-r.trouble:
			if failure == nil {
				failure = err
				r.fail(err)
			}
		case <-r.stop:
			close(end)
			syncing.Wait()
			write()
			r.result = r.finish(failure)
			return
		}
	}
}

func (r *Recording) fail(err error) {
	_ = r.Pause() // the mixer need not encode for it any more
	r.log.Error("recording cannot go on", "error", err)
	r.failed <- err // has room for one, and one is all there is
}

func (r *Recording) write(items []item, cut bool) error {
	lost := cut
	for _, i := range items {
		var err error
		switch {
		case i.unit != nil:
			if lost = lost && !i.unit.Key; !lost {
				err = r.file.picture(i.unit, i.at)
			}
		case i.tap != nil:
			err = i.tap.write(i.data, i.silent, i.at)
		default:
			err = r.file.sound(i.data, i.at)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sidecar is the recording as it stands.
func (r *Recording) sidecar() Sidecar {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := r.nowLocked()
	presences, speech := r.journal.snapshot(at)
	e := r.entry
	e.People = len(presences)
	e.Duration = at.Seconds()
	e.Files = append([]File{}, e.Files...)
	for _, t := range r.tracks {
		e.Files = append(e.Files, t.entry())
	}
	return Sidecar{Entry: e, Participants: presences, Speech: speech, Chapters: chapters(presences, speech, e.Duration)}
}

// finish closes the files and completes sidecar and catalogue.
func (r *Recording) finish(failure error) error {
	s := r.sidecar()
	r.countDrops()
	err := r.file.close()
	for _, t := range r.taps() {
		if e := t.close(); err == nil {
			err = e
		}
	}
	if failure == nil {
		failure = err
	}
	s.State, s.Ended = Complete, r.lib.cfg.Now().UTC()
	if failure != nil {
		s.State, s.Error = Failed, oneLine(failure)
	}
	return r.lib.complete(r, &s)
}

func (r *Recording) taps() []*Track {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*Track{}, r.tracks...)
}

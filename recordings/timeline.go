package recordings

import "time"

const (
	sampleRate   = 48000
	frameSamples = 960   // 20 ms
	videoClock   = 90000 // ticks per second of a ladder.Unit

	// A late tick of the bus is made up for by a burst of packets. Only what is missing for
	// longer than this is a gap to be filled with silence.
	audioGap = 500 * time.Millisecond
	// Sound that is so far ahead is left out: the gap it belongs to has been filled.
	audioLead = 120 * time.Millisecond
	// The picture's clock stops when the room is empty; further off than this it is set anew.
	videoSlip = 400 * time.Millisecond
)

// audioTimeline gives sound its place: one frame after the other, and silence
// where none came.
type audioTimeline struct {
	started bool
	next    int64 // sample at which the next frame goes
}

// place is told when a frame arrived, in recording time. It returns how many frames
// of silence go before it, starting at sample from, and whether to keep it at all; the
// frame itself goes right after the silence.
func (t *audioTimeline) place(at time.Duration) (from int64, silence int, keep bool) {
	expected := samples(at)
	if !t.started {
		t.started = true
		t.next = max(expected-expected%frameSamples, 0)
	}
	if t.next > expected+samples(audioLead) {
		return t.next, 0, false
	}
	from = t.next
	if missing := expected - t.next; missing > samples(audioGap) {
		silence = int(missing / frameSamples)
	}
	t.next += int64(silence+1) * frameSamples
	return from, silence, true
}

func samples(d time.Duration) int64 { return int64(d) * sampleRate / int64(time.Second) }

// videoTimeline turns the room's picture clock, 32 bits that wrap, into recording time.
type videoTimeline struct {
	started bool
	last    uint32
	time    int64 // recording time of last, in ticks of videoClock
}

// place returns the recording time of a picture in ticks, given its time stamp and
// when it arrived.
func (t *videoTimeline) place(pts uint32, at time.Duration) int64 {
	arrived := int64(at) * videoClock / int64(time.Second)
	if !t.started {
		t.started, t.last, t.time = true, pts, arrived
		return t.time
	}
	next := t.time + int64(int32(pts-t.last))
	// Follow slowly what the arrival says: after a pause, or where the clock ran on.
	next += (arrived - next) / 32
	slip := int64(videoSlip) * videoClock / int64(time.Second)
	if next <= t.time || next-arrived > slip || arrived-next > slip {
		next = max(arrived, t.time+1)
	}
	t.last, t.time = pts, next
	return next
}

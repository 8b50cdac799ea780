package leg

import (
	"image"
	"sync"
	"time"

	"rendezvous/mixer/ladder"
)

// view is which rung of the room's ladder a caller is shown, and on which they wait.
type view struct {
	mu      sync.Mutex // guards all below
	rungs   []ladder.Rung
	current int  // rung whose pictures are being sent, -1 before the first
	target  int  // rung wanted
	needKey bool // asked for by the receiver; deltas still go out meanwhile
	blocked bool // the reference is broken: only a key frame may follow
	begun   bool
	size    image.Point // of what is being sent, in pixels; zero before the first
	pts     uint32      // of the last picture sent, if begun
	number  uint32      // its ladder.Unit.Number

	required func(ladder.Codec, int) int // what a rung of the ladder takes as things are, in bit/s; nil: its least
	budget   int                         // bit/s that the path carries of pictures, 0: not known
	held     bool                        // no picture is wanted at the moment
	still    bool                        // only a picture now and then
	spared   bool                        // the host spares itself better rungs
	shown    time.Time                   // when the last of these was sent
}

// stillEvery is how often a caller whose network carries no moving picture is sent one.
const stillEvery = 5 * time.Second

// restart begins anew, with a key frame, for another codec or room.
func (v *view) restart() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.begin()
}

func (v *view) begin() { v.current, v.needKey, v.blocked, v.begun = -1, false, false, false }

func (v *view) setRungs(rungs []ladder.Rung, required func(ladder.Codec, int) int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.rungs, v.required = rungs, required
	v.target = max(0, min(v.target, len(rungs)-1))
	v.begin()
}

func (v *view) requestKey() {
	v.mu.Lock()
	v.needKey = true
	v.mu.Unlock()
}

// broken says that a picture was dropped on the way to this caller.
func (v *view) broken() {
	v.mu.Lock()
	v.needKey, v.blocked = true, true
	v.mu.Unlock()
}

// aim is what the path carries now.
type aim struct {
	rung   int
	budget int  // bit/s of pictures, 0: not known
	hold   bool // not now
	still  bool // a picture now and then
	spared bool // the host spares itself better ones
	drop   bool // the rung that they leave for a worse one is not sent any more: the path is full
}

func (v *view) follow(a aim) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if a.drop && a.rung > v.target {
		v.blocked = true
	}
	if v.still && !a.still {
		v.needKey, v.blocked = true, true
	}
	v.target, v.budget, v.held, v.still, v.spared = a.rung, a.budget, a.hold, a.still, a.spared
}

func (v *view) wants(codec ladder.Codec, now time.Time, dst []ladder.Want) []ladder.Want {
	v.mu.Lock()
	defer v.mu.Unlock()
	waiting := v.current != v.target
	switch {
	case v.held:
		return append(dst, ladder.Want{Codec: codec, Rung: v.target, Hold: true, Bitrate: v.budget})
	case v.still:
		due := v.current < 0 || v.needKey || now.Sub(v.shown) >= stillEvery
		return append(dst, ladder.Want{Codec: codec, Rung: v.target, Hold: !due, Key: due, Bitrate: v.budget})
	}
	if v.current >= 0 && !(waiting && v.blocked) {
		dst = append(dst, ladder.Want{Codec: codec, Rung: v.current, Key: v.needKey && !waiting, Bitrate: v.budget})
	}
	if waiting {
		dst = append(dst, ladder.Want{Codec: codec, Rung: v.target, Key: true, Bitrate: v.budget})
	}
	return dst
}

// resized is the size of the pictures that are being sent, if it has changed with this one.
func (v *view) resized(u *ladder.Unit) (size image.Point, changed bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !u.Key || u.Rung >= len(v.rungs) {
		return v.size, false
	}
	before := v.size
	v.size = image.Pt(v.rungs[u.Rung].Width, v.rungs[u.Rung].Height)
	return v.size, v.size != before
}

// accept decides whether a picture is to be sent to this caller. The rung they leave goes on until
// the key frame of the other has come.
func (v *view) accept(u *ladder.Unit, now time.Time) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.held || v.still && !u.Key: // made for others
		v.blocked = true
		return false
	case v.begun && u.PTS == v.pts: // they have this picture, from the other rung
		return false
	case u.Key && (u.Rung == v.target || u.Rung == v.current):
		v.current, v.needKey, v.blocked = u.Rung, false, false
	case u.Rung != v.current || v.blocked:
		return false
	case u.Number != v.number+1: // some were not made for them
		v.needKey, v.blocked = true, true
		return false
	}
	v.number = u.Number
	v.begun, v.pts, v.shown = true, u.PTS, now
	return true
}

// takes is what a rung takes as things are, in bit/s.
func (v *view) takes(codec ladder.Codec) func(rung int) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	rungs, required := v.rungs, v.required
	return func(rung int) int {
		if required == nil {
			return least(rungs[rung])
		}
		return required(codec, rung)
	}
}

func (v *view) ladder() []ladder.Rung {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.rungs
}

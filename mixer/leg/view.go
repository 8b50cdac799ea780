package leg

import (
	"sync"

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
	pts     uint32 // of the last picture sent, if begun
}

// restart begins anew, with a key frame, for another codec or room.
func (v *view) restart() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.begin()
}

func (v *view) begin() { v.current, v.needKey, v.blocked, v.begun = -1, false, false, false }

func (v *view) setRungs(rungs []ladder.Rung) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.rungs = rungs
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

func (v *view) setTarget(rung int) {
	v.mu.Lock()
	v.target = rung
	v.mu.Unlock()
}

func (v *view) wants(codec ladder.Codec, dst []ladder.Want) []ladder.Want {
	v.mu.Lock()
	defer v.mu.Unlock()
	waiting := v.current != v.target
	if v.current >= 0 && !(waiting && v.blocked) {
		dst = append(dst, ladder.Want{Codec: codec, Rung: v.current, Key: v.needKey && !waiting})
	}
	if waiting {
		dst = append(dst, ladder.Want{Codec: codec, Rung: v.target, Key: true})
	}
	return dst
}

// accept decides whether a picture is to be sent to this caller. The rung they leave goes on until
// the key frame of the other has come.
func (v *view) accept(u *ladder.Unit) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.begun && u.PTS == v.pts: // they have this picture, from the other rung
		return false
	case u.Key && (u.Rung == v.target || u.Rung == v.current):
		v.current, v.needKey, v.blocked = u.Rung, false, false
	case u.Rung != v.current || v.blocked:
		return false
	}
	v.begun, v.pts = true, u.PTS
	return true
}

func (v *view) ladder() []ladder.Rung {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.rungs
}

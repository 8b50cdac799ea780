package leg

import (
	"sync"

	"rendezvous/mixer/ladder"
)

// view is which rung of the room's ladder a caller is shown, and on which he waits.
type view struct {
	mu      sync.Mutex // guards all below
	rungs   []ladder.Rung
	current int  // rung whose pictures are being sent, -1 before the first
	target  int  // rung wanted
	needKey bool // asked for by the receiver; deltas still go out meanwhile
	blocked bool // the reference is broken: only a key frame may follow
}

// restart begins anew, for another codec or room.
func (v *view) restart() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.current, v.needKey, v.blocked = -1, false, false
}

func (v *view) setRungs(rungs []ladder.Rung) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.rungs = rungs
	v.target = max(0, min(v.target, len(rungs)-1))
	v.current, v.needKey, v.blocked = -1, false, false
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
	if v.current >= 0 {
		dst = append(dst, ladder.Want{Codec: codec, Rung: v.current, Key: v.needKey && v.current == v.target})
	}
	if v.current != v.target {
		dst = append(dst, ladder.Want{Codec: codec, Rung: v.target, Key: true})
	}
	return dst
}

// accept decides whether a picture is to be sent to this caller.
func (v *view) accept(u *ladder.Unit) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if u.Rung == v.target && u.Key {
		v.current, v.needKey, v.blocked = v.target, false, false
		return true
	}
	return u.Rung == v.current && !v.blocked
}

func (v *view) ladder() []ladder.Rung {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.rungs
}

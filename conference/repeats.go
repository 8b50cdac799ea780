package conference

import (
	"fmt"
	"reflect"
	"time"

	"rendezvous/conference/audit"
)

// repeatWindow is how long the same refusal of the same person is one entry of the audit.
const repeatWindow = 10 * time.Second

// repeats holds back refusals that say what was said just before, by participant: whoever repeats what they may
// not must not wash away what others have done, from the log on the disk and from the conversation, which
// each member keeps.
type repeats map[string]*repeat

type repeat struct {
	first, last audit.Entry
	more        int // after the first
}

// merge takes an entry and returns those to be written now.
func (r repeats) merge(e audit.Entry) []audit.Entry {
	if e.Actor == "" {
		return []audit.Entry{e}
	}
	p := r[e.Actor]
	if p != nil && sameRefusal(p.first, e) && e.Time.Sub(p.first.Time) < repeatWindow {
		p.last = e
		p.more++
		return nil
	}
	out := append(r.end(e.Actor), e)
	if e.Result == audit.Refused {
		r[e.Actor] = &repeat{first: e}
	}
	return out
}

// end forgets a participant and returns what is still to be written of them.
func (r repeats) end(actor string) []audit.Entry {
	p := r[actor]
	delete(r, actor)
	if p == nil || p.more == 0 {
		return nil
	}
	p.last.Reason = fmt.Sprintf("%s (%d times more)", p.last.Reason, p.more)
	return []audit.Entry{p.last}
}

// sameRefusal tells whether two entries of one participant differ in nothing but their time.
func sameRefusal(a, b audit.Entry) bool {
	return a.Result == audit.Refused && b.Result == audit.Refused && a.Reason == b.Reason && a.Target == b.Target &&
		reflect.DeepEqual(a.Order, b.Order)
}

package recordings

import (
	"errors"
	"sort"
	"time"
)

const (
	// tidyEvery is how often retention is looked at when nothing happens.
	tidyEvery = time.Hour
	// lookEvery is how often a folder that is away, or a catalogue that could not be written, is looked at again.
	lookEvery = 10 * time.Second
	// fewAtOnce is how many recordings may be deleted for their age in an hour; or a tenth of all, if that is more.
	fewAtOnce = 5
)

// keepOrder deletes what need not be kept, until Close.
func (l *Library) keepOrder() {
	hourly, often := time.NewTicker(tidyEvery), time.NewTicker(lookEvery)
	defer hourly.Stop()
	defer often.Stop()
	l.tidyUp()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-often.C:
			if !l.catchUp() {
				continue
			}
		case <-l.tidy:
		case <-hourly.C:
		}
		l.tidyUp()
	}
}

// catchUp does what could not be done: it reads the catalogue of a folder that has come back, or writes it. It tells whether
// there is something new in the catalogue.
func (l *Library) catchUp() (news bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.loaded {
		return l.attend() == nil
	}
	if l.unsaved && l.save() == nil {
		l.log.Info("the catalogue of recordings is written again")
	}
	return false
}

// wake makes the goroutine that waits for c look again.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (l *Library) tidyUp() {
	for _, id := range l.toDelete() {
		if err := l.Delete(id); err != nil {
			if !errors.Is(err, ErrNotFound) {
				l.log.Error("recording cannot be deleted", "recording", id, "error", err)
			}
			continue
		}
		l.metrics.deleted.Inc()
		l.log.Info("recording deleted: it need not be kept any longer", "recording", id)
	}
}

// toDelete are the recordings that need not be kept.
func (l *Library) toDelete() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.loaded || l.mark.check() != nil {
		return nil
	}
	l.lookForFolders()
	now, running := l.cfg.Now(), l.cfg.Running()
	doubted := !l.clock.doubted.IsZero()
	believed := l.clock.look(now, running)
	if !believed && !doubted {
		l.log.Warn("the clock has jumped, or the host was off for long: nothing is deleted for its age before the host has run for a day by it",
			"clock", now, "known", l.clock.known)
	}
	if believed && len(l.entries) > 0 && l.clock.known.Sub(l.seen) >= tidyEvery {
		if err := l.save(); err != nil {
			l.log.Error("catalogue cannot be written", "error", err)
		}
	}
	list := l.finished()
	if l.aged.began == 0 && l.aged.n == 0 || running-l.aged.began >= tidyEvery-time.Minute { // the ticker's hour is not quite that of running
		l.aged.began, l.aged.n = running, 0
	}
	may := allowance{aged: max(fewAtOnce, len(list)/10) - l.aged.n, newest: running >= hold || l.remembered}
	if n := len(list); n > 0 && list[n-1].Started.After(now.Add(-running)) {
		may.newest = true // it was made by the same clock
	}
	if !believed {
		may.aged = 0
	}
	ids, n := expired(list, l.keep, now, may)
	l.aged.n += n
	return ids
}

// allowance bounds what is deleted for its age alone, should a clock be wrong all the same.
type allowance struct {
	aged   int  // how many
	newest bool // the newest too
}

// lookForFolders notes which recordings are not there, and goes on with those that have come back; the caller holds mu.
func (l *Library) lookForFolders() {
	for _, id := range sortedIDs(l.entries) {
		e := l.entries[id]
		there := isDir(l.folder(e))
		switch {
		case l.running[id] != nil || l.missing[id] == !there:
		case there:
			delete(l.missing, id)
			l.log.Info("the folder of a recording is there again", "room", e.Room, "recording", id)
			if e.unfinished() {
				l.ask(job{id: id})
			}
			wake(l.changed)
		default:
			l.missing[id] = true
			l.log.Warn("the folder of a recording is missing", "room", e.Room, "recording", id)
		}
	}
}

// finished are the recordings that are whole and there, the oldest first; the caller holds mu.
func (l *Library) finished() []Entry {
	var list []Entry
	for _, id := range sortedIDs(l.entries) {
		e := l.entries[id]
		if l.running[id] == nil && !l.missing[id] && !l.mending(id) && !e.unfinished() && e.State != Damaged {
			list = append(list, *e)
		}
	}
	sort.SliceStable(list, func(i, j int) bool { return list[i].Started.Before(list[j].Started) })
	return list
}

// expired returns the ids of what need not be kept, given finished recordings from
// the oldest to the newest, and how many of them are so for their age alone.
func expired(list []Entry, keep Retention, now time.Time, may allowance) (ids []string, aged int) {
	var total int64
	for _, e := range list {
		total += e.Size
	}
	for i, e := range list {
		old := keep.MaxAge > 0 && now.Sub(e.Ended) > keep.MaxAge && aged < may.aged && (may.newest || i < len(list)-1)
		large := keep.MaxSize > 0 && total > keep.MaxSize
		if !old && !large {
			continue
		}
		if !large {
			aged++
		}
		ids = append(ids, e.ID)
		total -= e.Size
	}
	return ids, aged
}

func sortedIDs(entries map[string]*Entry) []string {
	ids := make([]string, 0, len(entries))
	for id := range entries {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	return ids
}

// seconds turns a number of seconds into a duration.
func seconds(s float64) time.Duration {
	const most = float64(1<<63-1) / float64(time.Second)
	return time.Duration(min(s, most*0.99) * float64(time.Second))
}

package recordings

import (
	"sort"
	"time"
)

// keepOrder deletes what need not be kept, until Close.
func (l *Library) keepOrder() {
	ticker := time.NewTicker(tidyEvery)
	defer ticker.Stop()
	l.tidyUp()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-l.tidy:
		case <-ticker.C:
		}
		l.tidyUp()
	}
}

// wake makes the goroutine that waits for c look again.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (l *Library) tidyUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range expired(l.finished(), l.keep, l.cfg.Now()) {
		if err := l.remove(id); err != nil {
			l.log.Error("recording cannot be deleted", "recording", id, "error", err)
			continue
		}
		l.metrics.deleted.Inc()
		l.log.Info("recording deleted: it need not be kept any longer", "recording", id)
	}
}

// finished are the recordings that have their end, the oldest first; the caller holds mu.
func (l *Library) finished() []Entry {
	var list []Entry
	for _, id := range sortedIDs(l.entries) {
		if l.running[id] == nil && !l.entries[id].unfinished() {
			list = append(list, *l.entries[id])
		}
	}
	sort.SliceStable(list, func(i, j int) bool { return list[i].Started.Before(list[j].Started) })
	return list
}

// expired returns the ids of what need not be kept, given finished recordings from
// the oldest to the newest.
func expired(list []Entry, keep Retention, now time.Time) []string {
	var total int64
	for _, e := range list {
		total += e.Size
	}
	var ids []string
	for _, e := range list {
		old := keep.MaxAge > 0 && now.Sub(e.Ended) > keep.MaxAge
		large := keep.MaxSize > 0 && total > keep.MaxSize
		if !old && !large {
			continue
		}
		ids = append(ids, e.ID)
		total -= e.Size
	}
	return ids
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

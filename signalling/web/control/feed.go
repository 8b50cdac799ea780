package control

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rendezvous/conference"
)

const (
	feedLength     = 1024             // events that are kept, for those who come back and for those who are slow
	feedPart       = 32               // events that a listener is sent at once
	feedListeners  = 16               // of a token
	heartbeatPause = 15 * time.Second // less than proxies let a connection be silent
	listenerPause  = 10 * time.Second // how long a listener may take nothing
)

// Feed keeps the newest events of all rooms, and lets programs follow them (API.Events). It is a ring: a listener that is so
// slow that it would be overtaken is cut off, and counted.
type Feed struct {
	life                string // of this program, in the events' ids
	heartbeat, patience time.Duration

	listening prometheus.Gauge
	dropped   prometheus.Counter

	mu   sync.Mutex // guards what follows
	ring [feedLength]fed
	next uint64         // number of the next event; the first has 1
	more chan struct{}  // closed when there is another event
	of   map[string]int // listeners, by token
}

// fed is an event as it is sent.
type fed struct {
	number uint64
	kind   conference.EventKind
	room   string
	text   []byte
}

// NewFeed returns an empty feed. Its metrics are registered on reg, which may be nil.
func NewFeed(reg prometheus.Registerer) *Feed {
	var life [6]byte
	rand.Read(life[:]) // never fails (crypto/rand)
	f := &Feed{
		life: hex.EncodeToString(life[:]), heartbeat: heartbeatPause, patience: listenerPause,
		listening: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "rendezvous", Subsystem: "events", Name: "listeners", Help: "Programs that follow events by the control API."}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "rendezvous", Subsystem: "events", Name: "listeners_dropped_total", Help: "Programs that were cut off because they did not take events fast enough."}),
		next: 1, more: make(chan struct{}), of: make(map[string]int),
	}
	if reg != nil {
		reg.MustRegister(f.listening, f.dropped)
	}
	return f
}

// Add tells an event to who listens. It never waits. The error is of writing the event as JSON, a mistake of ours.
func (f *Feed) Add(e conference.Event) error {
	text, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("event %s: %w", e.Kind, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ring[f.next%feedLength] = fed{f.next, e.Kind, e.Room, text}
	f.next++
	close(f.more)
	f.more = make(chan struct{})
	return nil
}

// since returns the events from a number on, feedPart at most, and a channel that is closed when there are more; false if some of
// them are no longer here.
func (f *Feed) since(number uint64) (list []fed, more <-chan struct{}, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if number+feedLength < f.next {
		return nil, nil, false
	}
	for ; number < f.next && len(list) < feedPart; number++ {
		list = append(list, f.ring[number%feedLength])
	}
	return list, f.more, true
}

// id names the last event before a number.
func (f *Feed) id(number uint64) string { return f.life + "-" + strconv.FormatUint(number-1, 10) }

// resume returns the number to go on with for who has had the events up to an id, "" for who has had none; missed if they must have
// missed some, as those before the program was started anew.
func (f *Feed) resume(id string) (number uint64, missed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if id == "" {
		return f.next, false
	}
	life, text, _ := strings.Cut(id, "-")
	last, err := strconv.ParseUint(text, 10, 64)
	if err != nil || life != f.life || last >= f.next || last+1+feedLength < f.next {
		return f.next, true
	}
	return last + 1, false
}

// enter takes a listener of a token in, if there are not too many.
func (f *Feed) enter(token string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of[token] >= feedListeners {
		return false
	}
	f.of[token]++
	f.listening.Inc()
	return true
}

func (f *Feed) leave(token string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of[token]--; f.of[token] == 0 {
		delete(f.of, token)
	}
	f.listening.Dec()
}

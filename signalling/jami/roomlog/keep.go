package roomlog

import (
	"encoding/json"
	"time"

	"rendezvous/conference"
	"rendezvous/swarm/commit"
)

// syncWait is how long Sync waits at most: who speaks in a room does not wait for a disk that hangs.
const syncWait = 2 * time.Second

// Sync returns when what Event was told before is on the disk, from where it will get into the conversation, or cannot be put
// there; after two seconds at the latest.
func (m *Log) Sync() {
	if !m.started.Load() {
		return
	}
	synced := make(chan struct{})
	late := time.NewTimer(syncWait)
	defer late.Stop()
	m.events.add(synced)
	select {
	case <-synced:
	case <-m.kept:
	case <-late.C:
	}
}

// keep puts events into the spool and hands them on. What comes close together is synced together.
func (m *Log) keep() {
	defer close(m.kept)
	failing := false
	for {
		var all []any
		select {
		case <-m.events.more:
		case <-m.ctx.Done(): // and what is there
		}
		for v, ok := m.events.take(); ok; v, ok = m.events.take() {
			all = append(all, v)
		}
		if len(all) > 0 {
			err := m.keepAll(all)
			if err != nil && !failing {
				m.log.Error("what is said in the room is lost if the host ends before it is in the conversation", "error", err)
			}
			failing = err != nil
		}
		if m.ctx.Err() != nil && m.events.empty() {
			return
		}
	}
}

func (m *Log) keepAll(all []any) (err error) {
	var events []*spooled
	var lasting []*spooled
	var synced []chan struct{}
	for _, v := range all {
		switch v := v.(type) {
		case conference.Event:
			e := &spooled{Event: v}
			events = append(events, e)
			if e.lasts() {
				e.After = m.own.Load().Repository().Head().String()
				lasting = append(lasting, e)
			}
		case chan struct{}:
			synced = append(synced, v)
		}
	}
	if len(lasting) > 0 {
		var dropped int
		dropped, err = m.spool.add(lasting)
		for range dropped {
			m.cfg.Metrics.drop("spool")
		}
	}
	for _, e := range events {
		m.post(*e)
	}
	for _, s := range synced {
		close(s)
	}
	return err
}

// lasts reports whether an event will be in the conversation.
func (e *spooled) lasts() bool {
	return e.Kind == conference.EventChat || e.Kind == conference.EventOrder && recordText(e.Order) != nil
}

// resumeSpool takes in again what the last run has not written, or not noted as written.
func (m *Log) resumeSpool() {
	if len(m.held) == 0 {
		return
	}
	lines, orders := m.written(m.held[0].After)
	for _, e := range m.held {
		switch {
		case e.Kind == conference.EventChat && e.Message != nil:
			text := spoken(e.Name, e.Message.Text)
			if lines[text] > 0 { // written before the crash
				lines[text]--
				m.spool.done(e.id)
				continue
			}
		case e.Kind == conference.EventOrder && orders[string(recordText(e.Order))]:
			m.spool.done(e.id)
			continue
		}
		m.event(e)
	}
	m.log.Info("what was said before the last end is written now", "lines and orders", m.spool.waiting())
	m.held = nil
}

// written are our own lines and orders in the conversation after a commit, or of the newest messages if that is not there; lines
// with how often. Clocks, which may have been set meanwhile, have no part in it.
func (m *Log) written(after string) (lines map[string]int, orders map[string]bool) {
	lines, orders = map[string]int{}, map[string]bool{}
	const most = 2 * mostSpooled // what the spool holds, and what others say meanwhile
	entries, err := m.own.Load().Repository().Since(after, most, looked)
	if err != nil {
		return lines, orders
	}
	for _, e := range entries {
		if e.Device != m.cfg.Device {
			continue
		}
		switch e.Message.Type {
		case commit.TypeText:
			lines[e.Message.Get("body")]++
		case TypeOrders:
			var texts []json.RawMessage
			if json.Unmarshal([]byte(e.Message.Get("orders")), &texts) == nil {
				for _, t := range texts {
					orders[string(t)] = true
				}
			}
		}
	}
	return lines, orders
}

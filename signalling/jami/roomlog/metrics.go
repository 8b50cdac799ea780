package roomlog

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what the minutes of all rooms do. nil counts nothing.
type Metrics struct {
	lines   *prometheus.CounterVec // by direction
	dropped *prometheus.CounterVec // by what
	failed  prometheus.Counter
}

// NewMetrics registers the metrics; r may be nil. It fails if others of these names are
// registered.
func NewMetrics(r prometheus.Registerer) (*Metrics, error) {
	vec := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "rendezvous", Subsystem: "room_log", Name: name, Help: help}, []string{label})
	}
	m := &Metrics{
		lines:   vec("lines_total", "Lines of chat carried between rooms and their conversations.", "direction"),
		dropped: vec("dropped_total", "What could not be carried because too much came at once.", "kind"),
		failed: prometheus.NewCounter(prometheus.CounterOpts{Namespace: "rendezvous", Subsystem: "room_log", Name: "failed_total",
			Help: "Entries that could not be written into a conversation."}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.lines, m.dropped, m.failed} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("roomlog: %w", err)
		}
	}
	return m, nil
}

func (m *Metrics) line(direction string) {
	if m != nil {
		m.lines.WithLabelValues(direction).Inc()
	}
}

func (m *Metrics) drop(kind string) {
	if m != nil {
		m.dropped.WithLabelValues(kind).Inc()
	}
}

func (m *Metrics) fail() {
	if m != nil {
		m.failed.Inc()
	}
}

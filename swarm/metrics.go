package swarm

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"rendezvous/swarm/repo"
)

// Metrics counts what all swarms of a program do. nil counts nothing.
type Metrics struct {
	commits  *prometheus.CounterVec // by type
	fetches  *prometheus.CounterVec // by result
	files    *prometheus.CounterVec // by result
	refused  prometheus.Counter
	messages *prometheus.CounterVec // by result
	damaged  prometheus.Gauge
	repairs  *prometheus.CounterVec // by result
}

// NewMetrics registers the metrics; r may be nil. It fails if others of these names are
// registered.
func NewMetrics(r prometheus.Registerer) (*Metrics, error) {
	vec := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "rendezvous", Subsystem: "swarm", Name: name, Help: help}, []string{label})
	}
	m := &Metrics{
		commits:  vec("commits_total", "New commits of conversations.", "kind"),
		fetches:  vec("fetches_total", "Fetches from other devices.", "result"),
		files:    vec("files_total", "Files that members asked for.", "result"),
		messages: vec("messages_total", "Messages sent to other devices.", "result"),
		refused: prometheus.NewCounter(prometheus.CounterOpts{Namespace: "rendezvous", Subsystem: "swarm", Name: "refused_histories_total",
			Help: "Fetched histories that broke a rule."}),
		damaged: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "rendezvous", Subsystem: "swarm", Name: "damaged_conversations",
			Help: "Conversations that are damaged on the disk now."}),
		repairs: vec("repairs_total", "Repairs of damaged conversations from another device's copy.", "result"),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.commits, m.fetches, m.files, m.messages, m.refused, m.damaged, m.repairs} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("swarm: %w", err)
		}
	}
	return m, nil
}

// known are the kinds that get a counter of their own: strangers invent others.
var known = map[string]string{
	"initial": "initial", "member": "member", "vote": "vote", "text/plain": "text", "application/edited-message": "edit",
	"application/data-transfer+json": "file", "application/call-history+json": "call", "application/update-profile": "profile", "merge": "merge",
}

func (m *Metrics) commit(e repo.Entry) {
	if m == nil {
		return
	}
	kind := known[e.Message.Type]
	if kind == "" {
		kind = "other"
	}
	m.commits.WithLabelValues(kind).Inc()
}

func (m *Metrics) fetch(result string) {
	if m != nil {
		m.fetches.WithLabelValues(result).Inc()
	}
}

func (m *Metrics) file(result string) {
	if m != nil {
		m.files.WithLabelValues(result).Inc()
	}
}

func (m *Metrics) message(result string) {
	if m != nil {
		m.messages.WithLabelValues(result).Inc()
	}
}

func (m *Metrics) refuse() {
	if m != nil {
		m.refused.Inc()
	}
}

// damage counts conversations that are damaged: 1 more or -1.
func (m *Metrics) damage(more float64) {
	if m != nil {
		m.damaged.Add(more)
	}
}

func (m *Metrics) repair(result string) {
	if m != nil {
		m.repairs.WithLabelValues(result).Inc()
	}
}

package connection

import "github.com/prometheus/client_golang/prometheus"

// Metrics counts what all endpoints of a program do. The zero of *Metrics,
// nil, counts nothing.
type Metrics struct {
	attempts    *prometheus.CounterVec
	refused     *prometheus.CounterVec
	connections prometheus.Gauge
	channels    *prometheus.CounterVec
	seconds     prometheus.Histogram
}

// NewMetrics registers the metrics of connections; r may be nil. It fails if others of
// these names are registered.
func NewMetrics(r prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rendezvous_jami_connection_attempts_total",
			Help: "Connections tried, by who asked and how it ended.",
		}, []string{"asked_by", "result"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rendezvous_jami_refused_total",
			Help: "What peers sent that was dropped or refused, by reason.",
		}, []string{"reason"}),
		connections: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rendezvous_jami_connections",
			Help: "Connections to devices that are up.",
		}),
		channels: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rendezvous_jami_channels_total",
			Help: "Channels opened, by who opened them.",
		}, []string{"opened_by"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "rendezvous_jami_connect_seconds",
			Help:    "Time from a connection request to the authenticated connection.",
			Buckets: []float64{.1, .2, .5, 1, 2, 5, 10, 30},
		}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.attempts, m.refused, m.connections, m.channels, m.seconds} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *Metrics) refuse(reason string) {
	if m != nil {
		m.refused.WithLabelValues(reason).Inc()
	}
}

func (m *Metrics) attempt(askedBy, result string) {
	if m != nil {
		m.attempts.WithLabelValues(askedBy, result).Inc()
	}
}

func (m *Metrics) up(delta float64, seconds float64) {
	if m == nil {
		return
	}
	m.connections.Add(delta)
	if delta > 0 {
		m.seconds.Observe(seconds)
	}
}

func (m *Metrics) channel(openedBy string) {
	if m != nil {
		m.channels.WithLabelValues(openedBy).Inc()
	}
}

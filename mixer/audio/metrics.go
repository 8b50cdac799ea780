package audio

import "github.com/prometheus/client_golang/prometheus"

// Metrics are the Prometheus metrics of all buses.
type Metrics struct {
	lateness     prometheus.Histogram
	skipped      prometheus.Counter
	caughtUp     prometheus.Counter
	tickTime     prometheus.Histogram
	private      prometheus.Counter
	shared       prometheus.Counter
	encodeErrors prometheus.Counter
	members      prometheus.Gauge
	talkers      prometheus.Gauge
	playDropped  prometheus.Counter
}

// NewMetrics makes the metrics, once for all buses, and registers them; like
// prometheus.MustRegister it panics if others of these names are.
func NewMetrics(r prometheus.Registerer) *Metrics {
	const ns, sub = "rendezvous", "audio"
	m := &Metrics{
		lateness: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: ns, Subsystem: sub,
			Name: "tick_lateness_seconds", Help: "How much later than due the mix ticks began.",
			Buckets: []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .2, .5}}),
		skipped: prometheus.NewCounter(prometheus.CounterOpts{Namespace: ns, Subsystem: sub,
			Name: "ticks_skipped_total", Help: "Mix ticks left out because the clock was too far behind."}),
		caughtUp: prometheus.NewCounter(prometheus.CounterOpts{Namespace: ns, Subsystem: sub,
			Name: "ticks_caught_up_total", Help: "Mix ticks run one whole tick or more after they were due."}),
		tickTime: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: ns, Subsystem: sub,
			Name: "tick_duration_seconds", Help: "How long a mix tick took: decoding, mixing and encoding.",
			Buckets: []float64{.0001, .0002, .0005, .001, .002, .005, .01, .02, .05}}),
		encodeErrors: prometheus.NewCounter(prometheus.CounterOpts{Namespace: ns, Subsystem: sub,
			Name: "encode_errors_total", Help: "Frames that could not be encoded."}),
		members: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: ns, Subsystem: sub,
			Name: "members", Help: "Members of all mix buses."}),
		talkers: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: ns, Subsystem: sub,
			Name: "talkers", Help: "Members that talk now."}),
		playDropped: prometheus.NewCounter(prometheus.CounterOpts{Namespace: ns, Subsystem: sub,
			Name: "announcements_dropped_total", Help: "Announcements that were not played, or not to their end."}),
	}
	encodes := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Subsystem: sub,
		Name: "encodes_total", Help: "Frames encoded, for one member (private) or for all who listen (shared)."}, []string{"kind"})
	m.private, m.shared = encodes.WithLabelValues("private"), encodes.WithLabelValues("shared")
	r.MustRegister(encodes, m.lateness, m.skipped, m.caughtUp, m.tickTime, m.encodeErrors, m.members, m.talkers, m.playDropped)
	return m
}

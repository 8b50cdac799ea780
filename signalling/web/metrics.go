package web

import "github.com/prometheus/client_golang/prometheus"

// metrics are the door's Prometheus metrics.
type metrics struct {
	sessions *prometheus.GaugeVec   // by kind: page, whip, whep
	refused  *prometheus.CounterVec // by code
	resumed  prometheus.Counter
	stun     prometheus.Counter
	dropped  *prometheus.CounterVec // by reason: connections, media, sockets
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		sessions: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "rendezvous_web_sessions", Help: "Callers by the web door at present.",
		}, []string{"kind"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rendezvous_web_refused_total", Help: "Callers that were not let in.",
		}, []string{"code"}),
		resumed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rendezvous_web_resumed_total", Help: "Pages that came back after losing their signalling connection.",
		}),
		stun: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rendezvous_web_stun_malformed_total", Help: "STUN messages that were dropped because they are not well-formed.",
		}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rendezvous_web_dropped_total", Help: "Connections, those of media over TCP, and WebSockets that were not taken: too many were open.",
		}, []string{"reason"}),
	}
	if r != nil {
		r.MustRegister(m.sessions, m.refused, m.resumed, m.stun, m.dropped)
	}
	return m
}

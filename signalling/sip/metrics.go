package sip

import (
	"github.com/prometheus/client_golang/prometheus"

	"rendezvous/signalling/sip/rtppipe"
)

// metrics are the door's Prometheus metrics.
type metrics struct {
	calls      prometheus.Gauge
	ended      *prometheus.CounterVec // direction, result
	rejected   *prometheus.CounterVec // reason
	requests   *prometheus.CounterVec // method
	dropped    *prometheus.CounterVec // reason
	registered *prometheus.GaugeVec   // upstream
	media      rtppipe.Counters
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		calls: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rendezvous_sip_calls", Help: "Calls of telephones now."}),
		ended: vec("rendezvous_sip_calls_ended_total", "Calls that were answered and are over.", "direction", "result"),
		rejected: vec("rendezvous_sip_rejected_total",
			"Requests answered with an error.", "reason"),
		requests: vec("rendezvous_sip_requests_total", "Requests received.", "method"),
		dropped: vec("rendezvous_sip_dropped_total",
			"Messages and connections dropped without an answer.", "reason"),
		registered: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "rendezvous_sip_registered", Help: "1 while registered at the upstream."}, []string{"upstream"}),
	}
	packets := vec("rendezvous_sip_rtp_packets_total", "RTP packets to and from telephones.", "direction")
	lost := vec("rendezvous_sip_rtp_dropped_total", "RTP and RTCP packets from the network that were not taken.", "reason")
	m.media = rtppipe.Counters{
		In: packets.WithLabelValues("in"), Out: packets.WithLabelValues("out"),
		Malformed: lost.WithLabelValues("malformed"), Stranger: lost.WithLabelValues("stranger"),
		Unauthentic: lost.WithLabelValues("srtp"),
	}
	if r != nil {
		r.MustRegister(m.calls, m.ended, m.rejected, m.requests, m.dropped, m.registered, packets, lost)
	}
	return m
}

func vec(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

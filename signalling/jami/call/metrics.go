package call

import "github.com/prometheus/client_golang/prometheus"

// Metrics counts what all servers of a program do. nil counts nothing.
type Metrics struct {
	calls     *prometheus.CounterVec
	malformed prometheus.Counter
	refused   *prometheus.CounterVec
	packets   prometheus.Counter
	stun      prometheus.Counter
}

// NewMetrics registers the metrics of calls; r may be nil. It fails if they are registered already.
func NewMetrics(r prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rendezvous_jami_calls_total",
			Help: "Calls with Jami devices, by direction and how they began.",
		}, []string{"direction", "result"}),
		malformed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rendezvous_jami_sip_malformed_total",
			Help: "SIP messages from Jami devices that could not be read.",
		}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rendezvous_jami_sip_refused_total",
			Help: "SIP requests of Jami devices that were refused, and orders, by reason.",
		}, []string{"reason"}),
		packets: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rendezvous_jami_srtp_rejected_total",
			Help: "Media packets that did not verify.",
		}),
		stun: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rendezvous_jami_stun_malformed_total",
			Help: "STUN messages at calls' ports that were dropped because they are not well-formed.",
		}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.calls, m.malformed, m.refused, m.packets, m.stun} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *Metrics) call(direction, result string) {
	if m != nil {
		m.calls.WithLabelValues(direction, result).Inc()
	}
}

// Malformed counts a SIP message that could not be read; give it to the exchange.
func (m *Metrics) Malformed() {
	if m != nil {
		m.malformed.Inc()
	}
}

func (m *Metrics) refuse(reason string) {
	if m != nil {
		m.refused.WithLabelValues(reason).Inc()
	}
}

func (m *Metrics) stunMalformed() {
	if m != nil {
		m.stun.Inc()
	}
}

func (m *Metrics) rejected(packets uint64) {
	if m != nil {
		m.packets.Add(float64(packets))
	}
}

package leg

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the legs' Prometheus metrics, shared by all legs of the program.
// Its methods' receivers may not be nil: use NewMetrics(nil) where nobody looks.
type Metrics struct {
	legs           prometheus.Gauge
	packetsIn      *prometheus.CounterVec // kind
	bytesIn        *prometheus.CounterVec
	packetsOut     *prometheus.CounterVec
	bytesOut       *prometheus.CounterVec
	lost           *prometheus.CounterVec
	malformed      *prometheus.CounterVec
	queueDrops     *prometheus.CounterVec
	decodeErrors   prometheus.Counter
	decodeSeconds  prometheus.Counter
	keyRequestsIn  prometheus.Counter
	keyRequestsOut prometheus.Counter
	packetsAsked   prometheus.Counter
	rungChanges    *prometheus.CounterVec // direction
	jitter         prometheus.Histogram
	writeErrors    *prometheus.CounterVec
	estimate       prometheus.Histogram
	roundTrip      prometheus.Histogram
	loss           *prometheus.HistogramVec // direction
	shown          *prometheus.CounterVec   // rung, reason
}

// NewMetrics registers the legs' metrics on reg, which may be nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	kind := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "rendezvous", Subsystem: "leg", Name: name, Help: help}, []string{"kind"})
	}
	count := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "rendezvous", Subsystem: "leg", Name: name, Help: help})
	}
	m := &Metrics{
		legs: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "rendezvous", Name: "legs", Help: "Callers with media."}),
		packetsIn:      kind("packets_received_total", "RTP packets received."),
		bytesIn:        kind("bytes_received_total", "RTP bytes received."),
		packetsOut:     kind("packets_sent_total", "RTP packets sent."),
		bytesOut:       kind("bytes_sent_total", "RTP payload bytes sent."),
		lost:           kind("packets_lost_total", "RTP packets that never came."),
		malformed:      kind("packets_malformed_total", "Received packets that could not be read."),
		queueDrops:     kind("queue_drops_total", "Packets or pictures dropped because a receiver was too slow."),
		writeErrors:    kind("write_errors_total", "Packets the transport did not take."),
		decodeErrors:   count("decode_errors_total", "Pictures the decoder refused."),
		decodeSeconds:  count("decode_seconds_total", "Time spent decoding pictures."),
		keyRequestsIn:  count("key_requests_received_total", "Key frames asked of us."),
		keyRequestsOut: count("key_requests_sent_total", "Key frames asked of callers."),
		packetsAsked:   count("packets_asked_total", "Missing packets of pictures asked of callers, each as often as it was."),
		rungChanges: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "rendezvous", Subsystem: "leg", Name: "rung_changes_total",
			Help: "Changes of the quality sent to a caller."}, []string{"direction"}),
		jitter: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "rendezvous", Subsystem: "leg", Name: "jitter_seconds",
			Help:    "Interarrival jitter of received audio, as reported each second.",
			Buckets: []float64{.001, .002, .005, .01, .02, .05, .1, .2, .5}}),
		estimate: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "rendezvous", Subsystem: "leg", Name: "estimate_bps",
			Help:    "What the paths to callers carry, bit/s, of each caller once a second.",
			Buckets: []float64{100e3, 200e3, 300e3, 500e3, 800e3, 1.2e6, 2e6, 3e6, 5e6, 8e6}}),
		roundTrip: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "rendezvous", Subsystem: "leg", Name: "round_trip_seconds",
			Help:    "Round trip to callers, of each caller once a second.",
			Buckets: []float64{.01, .02, .05, .1, .15, .2, .3, .5, 1, 2}}),
		loss: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "rendezvous", Subsystem: "leg", Name: "loss_ratio",
			Help:    "Share of packets lost on the way to (down) and from (up) callers, of each caller once a second.",
			Buckets: []float64{0, .01, .02, .03, .05, .08, .12, .2, .4}}, []string{"direction"}),
		shown: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "rendezvous", Subsystem: "leg", Name: "shown_seconds_total",
			Help: "Seconds of callers at each rung of the picture (none: -1), by why it is not the best."}, []string{"rung", "reason"}),
	}
	if reg != nil {
		reg.MustRegister(m.legs, m.packetsIn, m.bytesIn, m.packetsOut, m.bytesOut, m.lost, m.malformed,
			m.queueDrops, m.writeErrors, m.decodeErrors, m.decodeSeconds, m.keyRequestsIn,
			m.keyRequestsOut, m.packetsAsked, m.rungChanges, m.jitter, m.estimate, m.roundTrip, m.loss, m.shown)
	}
	return m
}

// observe counts a second of one caller's. There is no label for whom: that would be a series for each.
func (m *Metrics) observe(q Quality) {
	if q.EstimateBPS > 0 {
		m.estimate.Observe(float64(q.EstimateBPS))
	}
	if q.RoundTripMS >= 0 {
		m.roundTrip.Observe(float64(q.RoundTripMS) / 1000)
	}
	if q.LossDown >= 0 {
		m.loss.WithLabelValues("down").Observe(float64(q.LossDown) / 100)
	}
	if q.LossUp >= 0 {
		m.loss.WithLabelValues("up").Observe(float64(q.LossUp) / 100)
	}
	m.shown.WithLabelValues(strconv.Itoa(q.Rung), string(q.Reason)).Inc()
}

// mediaMetrics are the counters of one kind, looked up once so that packets don't.
type mediaMetrics struct {
	packetsIn, bytesIn, packetsOut, bytesOut, lost, malformed, queueDrops, writeErrors prometheus.Counter
}

func (m *Metrics) of(k Kind) mediaMetrics {
	s := k.String()
	return mediaMetrics{
		packetsIn: m.packetsIn.WithLabelValues(s), bytesIn: m.bytesIn.WithLabelValues(s),
		packetsOut: m.packetsOut.WithLabelValues(s), bytesOut: m.bytesOut.WithLabelValues(s),
		lost: m.lost.WithLabelValues(s), malformed: m.malformed.WithLabelValues(s),
		queueDrops: m.queueDrops.WithLabelValues(s), writeErrors: m.writeErrors.WithLabelValues(s),
	}
}

package ladder

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the ladders' Prometheus metrics, shared by all rooms.
type Metrics struct {
	encodeSeconds *prometheus.CounterVec // codec, rung
	pictures      *prometheus.CounterVec
	keyFrames     *prometheus.CounterVec
	bytes         *prometheus.CounterVec
	skipped       *prometheus.CounterVec // reason
	errors        prometheus.Counter
	encoders      prometheus.Gauge
}

// NewMetrics registers the ladders' metrics on reg, which may be nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "rendezvous", Subsystem: "ladder", Name: name, Help: help}, labels)
	}
	m := &Metrics{
		encodeSeconds: vec("encode_seconds_total", "Time spent encoding pictures.", "codec", "rung"),
		pictures:      vec("pictures_total", "Pictures encoded.", "codec", "rung"),
		keyFrames:     vec("key_frames_total", "Key frames among them.", "codec", "rung"),
		bytes:         vec("bytes_total", "Bytes of encoded pictures.", "codec", "rung"),
		skipped: vec("skipped_total",
			"Pictures not encoded because time was short: the clock came late, encoding took too long, or the encoder kept its bitrate.", "reason"),
		errors: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "rendezvous", Subsystem: "ladder", Name: "errors_total", Help: "Failures to open an encoder or to encode."}),
		encoders: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "rendezvous", Subsystem: "ladder", Name: "encoders", Help: "Open encoders."}),
	}
	if reg != nil {
		reg.MustRegister(m.encodeSeconds, m.pictures, m.keyFrames, m.bytes, m.skipped, m.errors, m.encoders)
	}
	return m
}

// encodeMetrics are those of one encode, looked up once.
type encodeMetrics struct {
	seconds, pictures, keyFrames, bytes prometheus.Counter
}

func (m *Metrics) of(codec Codec, rung int) encodeMetrics {
	r := strconv.Itoa(rung)
	return encodeMetrics{
		seconds:   m.encodeSeconds.WithLabelValues(string(codec), r),
		pictures:  m.pictures.WithLabelValues(string(codec), r),
		keyFrames: m.keyFrames.WithLabelValues(string(codec), r),
		bytes:     m.bytes.WithLabelValues(string(codec), r),
	}
}

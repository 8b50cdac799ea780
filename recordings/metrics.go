package recordings

import "github.com/prometheus/client_golang/prometheus"

// Metrics are the Prometheus metrics of the recordings.
type Metrics struct {
	stored  prometheus.Gauge
	bytes   prometheus.Gauge
	dropped prometheus.Counter
	ended   *prometheus.CounterVec // state
	deleted prometheus.Counter

	unarchived      prometheus.Gauge
	archiveFailures prometheus.Counter
}

// NewMetrics registers the metrics with reg; nil registers them nowhere.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		stored: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rendezvous_recordings_stored", Help: "Finished recordings in the catalogue."}),
		bytes: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rendezvous_recordings_stored_bytes", Help: "Size of all finished recordings."}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rendezvous_recordings_dropped_packets_total", Help: "Packets not recorded because the disk was too slow."}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rendezvous_recordings_ended_total", Help: "Recordings that ended, by what became of them."}, []string{"state"}),
		deleted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rendezvous_recordings_expired_total", Help: "Recordings deleted because of their age or the size of all."}),
		unarchived: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rendezvous_recordings_unarchived", Help: "Recordings, and deletions of recordings, that the archive has not taken yet."}),
		archiveFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rendezvous_recordings_archive_failures_total", Help: "Attempts to archive that failed."}),
	}
	if reg != nil {
		reg.MustRegister(m.stored, m.bytes, m.dropped, m.ended, m.deleted, m.unarchived, m.archiveFailures)
	}
	return m
}

package conference

import "github.com/prometheus/client_golang/prometheus"

// Metrics are the Prometheus metrics of all rooms.
type Metrics struct {
	rooms        prometheus.Gauge
	participants *prometheus.GaugeVec   // door
	orders       *prometheus.CounterVec // action, result
	joins        *prometheus.CounterVec // door
	refused      *prometheus.CounterVec // code
	infos        prometheus.Counter
	dropped      prometheus.Counter
	recordings   prometheus.Gauge
	recFailed    prometheus.Counter
}

// NewMetrics registers the metrics with reg; nil registers them nowhere.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		rooms: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rendezvous_rooms", Help: "Rooms there are, empty or not."}),
		participants: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "rendezvous_participants", Help: "Participants in all rooms, those in lobbies included."}, []string{"door"}),
		orders: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rendezvous_orders_total", Help: "Orders given in all rooms."}, []string{"action", "result"}),
		joins: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rendezvous_joins_total", Help: "Callers let into a room or its lobby."}, []string{"door"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rendezvous_joins_refused_total", Help: "Callers turned away, by reason."}, []string{"code"}),
		infos: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rendezvous_infos_sent_total", Help: "Room snapshots delivered to participants."}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rendezvous_mailbox_dropped_total", Help: "Chat lines and notices dropped because a door was too slow."}),
		recordings: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rendezvous_recordings_running", Help: "Recordings being made."}),
		recFailed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rendezvous_recordings_failed_total", Help: "Recordings that could not begin or go on."}),
	}
	if reg != nil {
		reg.MustRegister(m.rooms, m.participants, m.orders, m.joins, m.refused, m.infos, m.dropped, m.recordings, m.recFailed)
	}
	return m
}

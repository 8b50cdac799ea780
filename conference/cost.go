package conference

import "github.com/prometheus/client_golang/prometheus"

// Costs tells Prometheus what each room costs. There are as many series as rooms, four each, and a room's go with it.
type Costs struct {
	host *Host
	work *prometheus.Desc
}

// NewCosts tells of a host's rooms.
func NewCosts(h *Host) *Costs {
	return &Costs{h, prometheus.NewDesc("rendezvous_room_work_seconds_total",
		"How long the host has worked for a room: decoding and composing pictures, encoding them, and everything about sound. "+
			"It is the CPU's time as long as there are enough cores.", []string{"room", "work"}, nil)}
}

// Describe implements prometheus.Collector.
func (c *Costs) Describe(to chan<- *prometheus.Desc) { to <- c.work }

// Collect implements prometheus.Collector.
func (c *Costs) Collect(to chan<- prometheus.Metric) {
	for _, r := range c.host.Rooms() {
		cost := r.mix.Cost()
		for work, d := range map[string]float64{
			"decode": cost.Decode.Seconds(), "compose": cost.Compose.Seconds(), "encode": cost.Encode.Seconds(), "sound": cost.Sound.Seconds(),
		} {
			to <- prometheus.MustNewConstMetric(c.work, prometheus.CounterValue, d, r.id, work)
		}
	}
}

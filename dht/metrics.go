package dht

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rendezvous/dht/wire"
)

// counter only goes up.
type counter struct{ atomic.Uint64 }

// methodCounters counts requests by method.
type methodCounters struct{ ping, find, get, put, refresh, listen, update, other counter }

func (c *methodCounters) of(m wire.Method) *counter {
	switch m {
	case wire.Ping:
		return &c.ping
	case wire.Find:
		return &c.find
	case wire.Get:
		return &c.get
	case wire.Put:
		return &c.put
	case wire.Refresh:
		return &c.refresh
	case wire.Listen:
		return &c.listen
	case wire.Update:
		return &c.update
	default:
		return &c.other
	}
}

func (c *methodCounters) count(m wire.Method) { c.of(m).Add(1) }

// metrics is what the node counts. It is a Prometheus collector; sizes of tables are asked of the node when collected.
type metrics struct {
	stats func(context.Context) (Stats, error)

	packetsIn, packetsOut, bytesIn, bytesOut counter
	requestsIn, requestsOut                  methodCounters
	timeouts                                 counter
	valuesRefused                            counter // puts of others that policy, quota or signature forbade
	eventsDropped                            counter // for readers that were too slow

	// Datagrams dropped, by reason.
	malformed, otherNetwork, martians, rateLimited, unmatched, partialsRefused, impostors, readErrors, sendErrors, busy counter
}

var (
	descPackets  = prometheus.NewDesc("dht_packets_total", "Datagrams sent and received.", []string{"direction"}, nil)
	descBytes    = prometheus.NewDesc("dht_bytes_total", "Bytes of datagrams sent and received.", []string{"direction"}, nil)
	descRequests = prometheus.NewDesc("dht_requests_total", "Requests sent (every attempt) and received, by method.", []string{"direction", "method"}, nil)
	descTimeouts = prometheus.NewDesc("dht_timeouts_total", "Requests that were never answered.", nil, nil)
	descDropped  = prometheus.NewDesc("dht_dropped_total", "What was dropped, by reason.", []string{"reason"}, nil)
	descNodes    = prometheus.NewDesc("dht_nodes", "Nodes in the routing table.", []string{"family", "state"}, nil)
	descSearches = prometheus.NewDesc("dht_searches", "Keys being searched for.", []string{"family"}, nil)
	descStored   = prometheus.NewDesc("dht_stored_values", "Values stored for others and ourselves.", nil, nil)
	descKeys     = prometheus.NewDesc("dht_stored_keys", "Keys at which something is stored or listened to.", nil, nil)
	descStoredB  = prometheus.NewDesc("dht_stored_bytes", "Bytes of the values stored.", nil, nil)
	descListen   = prometheus.NewDesc("dht_listeners", "Listeners of other nodes.", nil, nil)
)

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descPackets, descBytes, descRequests, descTimeouts, descDropped, descNodes,
		descSearches, descStored, descKeys, descStoredB, descListen} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. Sizes are left out while the node does not answer.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	count := func(d *prometheus.Desc, c *counter, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(c.Load()), labels...)
	}
	count(descPackets, &m.packetsIn, "in")
	count(descPackets, &m.packetsOut, "out")
	count(descBytes, &m.bytesIn, "in")
	count(descBytes, &m.bytesOut, "out")
	count(descTimeouts, &m.timeouts)
	for _, method := range []wire.Method{wire.Ping, wire.Find, wire.Get, wire.Put, wire.Refresh, wire.Listen, wire.Update, "other"} {
		count(descRequests, m.requestsIn.of(method), "in", string(method))
		count(descRequests, m.requestsOut.of(method), "out", string(method))
	}
	for reason, c := range map[string]*counter{
		"malformed": &m.malformed, "other_network": &m.otherNetwork, "martian": &m.martians, "rate": &m.rateLimited,
		"unmatched": &m.unmatched, "partial_limit": &m.partialsRefused, "impostor": &m.impostors,
		"read_error": &m.readErrors, "send_error": &m.sendErrors, "busy": &m.busy,
		"value_refused": &m.valuesRefused, "slow_reader": &m.eventsDropped,
	} {
		count(descDropped, c, reason)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s, err := m.stats(ctx)
	if err != nil {
		return
	}
	gauge := func(d *prometheus.Desc, v int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	for name, f := range map[string]FamilyStats{"ipv4": s.IPv4, "ipv6": s.IPv6} {
		gauge(descNodes, f.Good, name, "good")
		gauge(descNodes, f.Dubious, name, "dubious")
		gauge(descSearches, f.Searches, name)
	}
	gauge(descStored, s.Values)
	gauge(descKeys, s.Keys)
	gauge(descStoredB, s.Bytes)
	gauge(descListen, s.Listeners)
}

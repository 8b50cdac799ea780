package dht

import (
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Config is what a node is made of. The zero Config is a node on no address: give at least one.
type Config struct {
	// IPv4 and IPv6 are the UDP addresses to bind, such as "0.0.0.0:4222", "[::]:0". Empty leaves that family out.
	IPv4, IPv6 string
	// Network keeps separate networks apart; Jami's is 0.
	Network uint32
	// NodeID is this node's place; zero takes the one of StateFile, or a random one.
	NodeID Key
	// Bootstrap names the nodes, host:port, through which to join when no known node answers.
	Bootstrap []string
	// StateFile keeps the node id and known good nodes over restarts; empty keeps none.
	StateFile string
	// Client makes a node that asks but is asked nothing: others do not list it. For short-lived tools.
	Client bool
	// MaintainStorage moves stored values to new nodes near their key as these appear. Jami's nodes leave that to the
	// publishers, which is the default here too.
	MaintainStorage bool
	// Limits bounds what others can make the node hold and do; zero fields take their defaults.
	Limits Limits
	// Logger gets what an operator should know; nil is silent.
	Logger *slog.Logger
	// Metrics is where the node registers its metrics; nil registers none.
	Metrics prometheus.Registerer
}

// Limits are the bounds on what strangers can cause. Zero fields mean the default given with each.
type Limits struct {
	// StoreBytes bounds all stored values together: 64 MiB.
	StoreBytes int
	// StoreBytesPerAddress bounds what one address (IPv4, or IPv6 /64) may store: 8 MiB.
	StoreBytesPerAddress int
	// ValuesPerKey bounds the values at one key: 16384.
	ValuesPerKey int
	// StoreKeys bounds the keys that hold values: 65536.
	StoreKeys int
	// Listeners bounds the remote listeners of this node: 16384; ListenersPerKey those at one key: 1024.
	Listeners, ListenersPerKey int
	// RequestsPerSecond and RequestsPerSecondPerAddress bound incoming requests, and how many come at once: 8192 and 256.
	RequestsPerSecond, RequestsPerSecondPerAddress int
	// PartialMessages bounds fragmented messages being put together: 1024 in all; PartialPerAddress: 64 of one address;
	// PartialBytes: 32 MiB announced in all.
	PartialMessages, PartialPerAddress, PartialBytes int
	// KnownNodes bounds the remote nodes remembered, in tables, searches and caches together, per family: 4096.
	KnownNodes int
	// Searches bounds the keys being searched for, per family: 4096.
	Searches int
	// EventBacklog bounds the values that wait for a slow reader of Get or Listen: 1024. The oldest is dropped.
	EventBacklog int
	// GetTimeout bounds one get or put over the network when its context has no earlier deadline: 30 s.
	GetTimeout time.Duration
}

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		field *int
		value int
	}{
		{&l.StoreBytes, 64 << 20},
		{&l.StoreBytesPerAddress, 8 << 20},
		{&l.ValuesPerKey, 16 << 10},
		{&l.StoreKeys, 64 << 10},
		{&l.Listeners, 16 << 10},
		{&l.ListenersPerKey, 1024},
		{&l.RequestsPerSecond, 8192},
		{&l.RequestsPerSecondPerAddress, 256},
		{&l.PartialMessages, 1024},
		{&l.PartialPerAddress, 64},
		{&l.PartialBytes, 32 << 20},
		{&l.KnownNodes, 4096},
		{&l.Searches, 4096},
		{&l.EventBacklog, 1024},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if l.GetTimeout == 0 {
		l.GetTimeout = 30 * time.Second
	}
	return l
}

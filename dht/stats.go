package dht

import (
	"net/netip"
	"time"
)

// NodeInfo is what is known of another node.
type NodeInfo struct {
	ID   Key            `json:"id"`
	Addr netip.AddrPort `json:"addr"`
	// Good means that it answered lately.
	Good bool `json:"good"`
	// Heard is when anything came from it, Replied when it last answered us.
	Heard   time.Time `json:"heard"`
	Replied time.Time `json:"replied"`
}

// FamilyStats counts what is known in one IP family.
type FamilyStats struct {
	Good     int `json:"good"`
	Dubious  int `json:"dubious"`
	Buckets  int `json:"buckets"`
	Searches int `json:"searches"`
}

// Stats is what a node knows and stores at one moment. Bytes are those of the values
// stored for others and for us.
type Stats struct {
	ID        Key         `json:"id"`
	IPv4      FamilyStats `json:"ipv4"`
	IPv6      FamilyStats `json:"ipv6"`
	Keys      int         `json:"keys"`
	Values    int         `json:"values"`
	Bytes     int         `json:"bytes"`
	Listeners int         `json:"listeners"`
	// Reported is the addresses others see us at.
	Reported []netip.Addr `json:"reported"`
}

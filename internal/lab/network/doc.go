// Package network is a network in a box: real programs in network namespaces, and between each of them and the host a
// path with a bandwidth, a queue, delay, jitter, loss, bursts, reordering and blackouts, that the kernel need know nothing of.
// A path is a pair of TUN devices; what comes out of the one goes through the model of internal/netlink, in real time, into
// the other. The same seed makes the same network. What is set may change at any time, and each packet is remembered: its
// RTP header, which SRTP leaves in the clear, how long it queued, and what became of it.
//
// It needs root, /dev/net/tun and iproute2; without them New returns an error, and tests should fail with it. Several
// live side by side, and beside other namespaces: each has addresses and names of its own, which go when it is closed, and
// when the next one is made if its process had no time to.
package network

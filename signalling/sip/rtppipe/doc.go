// Package rtppipe is the pair of UDP sockets that carries one medium of a
// telephone call: RTP and RTCP, SRTP when keys are set, sent back to where the
// peer's packets come from (symmetric RTP, RFC 4961), so that phones behind NAT are
// reached. It is a leg.Pipe.
package rtppipe

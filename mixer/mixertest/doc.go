// Package mixertest is what tests of a room's mixer need of its callers: legs whose media come and go
// in plain RTP over sockets on loopback.
package mixertest

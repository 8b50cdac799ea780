// Package e2e proves that our side gets through a TURN server (RFC 6062) and asks a STUN server
// for its address, both coturn.
package e2e

// Package rtc carries a leg's media over WebRTC. An Engine holds what all peers
// share (one UDP port, one TCP port, the codecs on offer); a Peer is one
// RTCPeerConnection's other end, whichever way its SDP came: from the meeting
// page, by WHIP or by WHEP.
//
// Of a connection pion has about a dozen goroutines; nothing here adds to them. The ports are handed out by
// one reader each (mux), what a peer reports is taken by what decrypts it (control), and what it is to be told is due
// by the engine's one clock.
//
// The remote side always makes the offer (RFC 9725 section 4.2 asks for it, and
// the page follows), so there is no glare to resolve.
package rtc

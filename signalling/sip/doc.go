// Package sip is the telephones' way into the rooms: SIP over UDP, TCP and TLS,
// audio and video over RTP and SDES-SRTP, a spoken menu for those who dialled no
// room, keys for those who have no screen, registrations at upstream registrars and
// calls to the outside.
//
// Below it, sdp agrees on media and rtppipe carries them.
package sip

// Package sip is the telephones' way into the rooms: SIP over UDP, TCP and TLS
// (RFC 3261), audio and video over RTP and SDES-SRTP, a spoken menu for those who
// dialled no room, keys for those who have no screen, registrations at upstream
// registrars and calls to the outside.
//
// A caller reaches a room by its id or number, sip:ROOM@host, may give the PIN with it,
// sip:ROOM*PIN@host, or is asked for both by the menu, sip:conference@host. In the
// room a star and a digit give orders (package keypad).
//
// Below it, sdp agrees on media and rtppipe carries them. sipgo does messages,
// transactions and connections; dialogs are kept here, since a call is renegotiated,
// refreshed and ended by both sides.
package sip

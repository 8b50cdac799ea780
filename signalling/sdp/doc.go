// Package sdp reads and writes session descriptions (RFC 8866) and carries out
// the offer/answer exchange (RFC 3264) for doors that speak SIP: audio and video over
// RTP/AVP, AVPF, SAVP and SAVPF with SDES keys (RFC 4568). It opens no sockets
// and sends nothing: it turns an offer into a list of agreed media, and agreed
// media into text. What one kind of peers has of its own is a Dialect.
//
// The reader forgives what peers get wrong (bare line feeds, missing lines, media and
// lines that nobody knows) and refuses what it cannot use.
package sdp

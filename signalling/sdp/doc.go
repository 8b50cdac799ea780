// Package sdp reads and writes session descriptions (RFC 8866) and carries out
// the offer/answer exchange (RFC 3264): audio and video over
// RTP/AVP, AVPF, SAVP and SAVPF with SDES keys (RFC 4568). It opens no sockets
// and sends nothing: it turns an offer into a list of agreed media, and agreed
// media into text.
//
// The reader forgives what phones get wrong (bare line feeds, missing lines) and
// refuses what it cannot use.
package sdp

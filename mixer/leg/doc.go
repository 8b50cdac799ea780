// Package leg is one caller's media: RTP in to frames and pictures, packets of the
// room's mix out to RTP, and the RTCP loop that adapts both. A leg knows no
// signalling: a door hands it streams that are negotiated and decrypted.
package leg

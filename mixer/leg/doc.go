// Package leg is one caller's media: RTP in to frames and pictures, packets of the
// room's mix out to RTP, and the RTCP loop that adapts both. A leg knows no
// signalling: a door hands it streams that are negotiated and decrypted.
//
// Each stream has a goroutine that reads RTP (and decodes pictures), one of pictures another that does what is to be done
// at a certain time (packets asked for again, gaps given up); a leg has one that writes. The mixer's clocks only exchange
// frames, pictures and packets with them through bounded queues, so that no network holds up another caller.
//
// Sound and picture of a caller are brought together by their sender reports: the earlier one waits (lipSync). What the
// caller is sent carries the times of mixing and composing, by which their end aligns both (reporter).
package leg
